"""A label protocol applied to a label map of anybody's, in the numbering of `label_maps/README.md`.

Two NIfTI files on one grid, structures and tissues, become the codes that a segmentation has:
parenchyma of each region, CSF of its compartment, ventricles.
"""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging import nifti
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.regions import RegionSet
from models.package import read_region_set
from models.training.protocol import OUTER_CSF, PROTOCOLS, Protocol, classes
from models.training.region_set import region_set_text

STRUCTURE_MAX, TISSUE_MAX = 38, 19
"""Largest numbers of the two numberings."""
_LOBES = {
    1: "left frontal lobe",
    2: "right frontal lobe",
    3: "left parietal lobe",
    4: "right parietal lobe",
    5: "left occipital lobe",
    6: "right occipital lobe",
    7: "left temporal lobe",
    8: "right temporal lobe",
    9: "cerebellum",
    10: "brainstem",
}
"""What every label map must hold."""
SAME_PLACE_MM = 0.1
"""How far corners of the two maps may lie apart."""
CUBE_TOLERANCE = 0.02
"""How much the sides of a voxel may differ: a protocol measures distances in voxels."""
SPACING_MM = (0.4, 2.5)
"""Coarser voxels do not hold the CSF of a sulcus, finer ones are a mistake in the header."""
STRAIGHT = np.cos(np.radians(30.0))
"""Cosine that each axis of the voxels must have with its axis of the patient."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """A head as it was labelled, axes (slice, row, column) growing towards (S, P, L).

    Attributes
    ----------
    structures, tissues
        uint8, numbering of the label maps.
    grid
        Cubic voxels.
    file_axes, reversed_axes
        How the file counted: its axes, and which of (slice, row, column) it ran the other way.
    """

    structures: NDArray[np.uint8]
    tissues: NDArray[np.uint8]
    grid: Geometry
    file_axes: nifti.FileAxes
    reversed_axes: tuple[int, ...]


def region_set() -> RegionSet:
    """Return the regions that every protocol here labels."""
    return read_region_set(region_set_text())


def protocol_called(name: str) -> Protocol:
    """Return a protocol by its name.

    Raises
    ------
    Refused
        PROTOCOL_UNKNOWN.
    """
    if name not in PROTOCOLS:
        known = ", ".join(sorted(PROTOCOLS))
        raise Refused(Code.PROTOCOL_UNKNOWN, f"There is no protocol {name}; there are: {known}.")
    return PROTOCOLS[name]


def read_label_map(regions: Path, tissues: Path) -> LabelMap:
    """Read a pair of label maps, in whatever orientation they are stored.

    Parameters
    ----------
    regions, tissues
        NIfTI files on one grid; numbers as in `label_maps/README.md`.

    Raises
    ------
    Refused
        INPUT_NOT_FOUND, INPUT_NIFTI or INPUT_NIFTI_AFFINE for files that cannot be read;
        LABELS_GRID for shape, spacing or place; LABELS_NUMBER for numbers that the numbering does
        not have or that are missing; LABELS_ORIENTATION where the anatomy denies the affine.
    """
    structures, grid, axes = _read(regions, "regions", STRUCTURE_MAX)
    kinds, other, _ = _read(tissues, "tissues", TISSUE_MAX)
    require_one_grid(grid, other, "Regions and tissues")
    _require_cubes(grid)
    reversed_axes = tuple(i for i in range(3) if grid.affine_lps_mm[2 - i, i] < 0)
    found = LabelMap(
        np.ascontiguousarray(np.flip(structures, reversed_axes)),
        np.ascontiguousarray(np.flip(kinds, reversed_axes)),
        _flipped(grid, reversed_axes),
        axes,
        reversed_axes,
    )
    _require_brain(found.structures)
    _require_upright(found.structures)
    return found


def apply(protocol: Protocol, label_map: LabelMap) -> LabelArray:
    """Return codes of the region set on the grid of the files.

    Parameters
    ----------
    protocol
        Which structure belongs where.
    label_map
        As read.
    """
    spacing_mm = float(np.mean(label_map.grid.step_mm))
    labelled = classes(label_map.structures, label_map.tissues, protocol, spacing_mm)
    codes = assemble(labelled, region_set(), OUTER_CSF)
    back = np.ascontiguousarray(np.flip(codes, label_map.reversed_axes))
    return LabelArray(back, _flipped(label_map.grid, label_map.reversed_axes))


def require_one_grid(grid: Geometry, other: Geometry, what: str) -> None:
    """Refuse two files whose voxels do not lie in the same places.

    Raises
    ------
    Refused
        LABELS_GRID; the sentence begins with `what`.
    """
    if grid.shape != other.shape:
        raise Refused(
            Code.LABELS_GRID,
            f"{what} have the shapes {grid.shape} and {other.shape} (slice, row, column).",
        )
    corners = np.array(np.meshgrid(*((0, n - 1) for n in grid.shape))).reshape(3, -1).T
    apart = np.linalg.norm(grid.to_patient(corners) - other.to_patient(corners), axis=1)
    if apart.max() > SAME_PLACE_MM:
        raise Refused(Code.LABELS_GRID, f"{what} lie up to {apart.max():.1f} mm apart.")


def _read(
    path: Path, what: str, largest: int
) -> tuple[NDArray[np.uint8], Geometry, nifti.FileAxes]:
    if not path.is_file():
        raise Refused(Code.INPUT_NOT_FOUND, f"There is no file of {what} at that path.")
    found = nifti.read(path)
    numbers = found.image.hu
    stored = np.asanyarray(nibabel.nifti1.load(path).dataobj)
    if stored.dtype.kind == "f" and not np.array_equal(stored, np.rint(stored)):
        raise Refused(Code.LABELS_NUMBER, f"The {what} hold fractions: they were interpolated.")
    strange = np.unique(numbers[(numbers < 0) | (numbers > largest)])
    if strange.size:
        named = ", ".join(str(number) for number in strange[:5])
        raise Refused(
            Code.LABELS_NUMBER,
            f"The {what} hold {named}{' and more' if strange.size > 5 else ''}; "
            f"their numbering ends at {largest}.",
        )
    if not isinstance(found.image.grid, Geometry):
        raise TypeError("a NIfTI file has one grid")
    return numbers.astype(np.uint8), found.image.grid, found.axes


def _flipped(grid: Geometry, axes: tuple[int, ...]) -> Geometry:
    """Return the grid of an array after `np.flip` along axes."""
    affine = grid.affine_lps_mm.copy()
    for axis in axes:
        affine[:3, 3] += (grid.shape[axis] - 1) * affine[:3, axis]
        affine[:3, axis] *= -1
    return Geometry(grid.shape, affine)


def _require_cubes(grid: Geometry) -> None:
    steps = np.array(grid.step_mm)
    said = " x ".join(f"{step:.2f}" for step in steps)
    if steps.max() / steps.min() - 1 > CUBE_TOLERANCE:
        raise Refused(
            Code.LABELS_GRID, f"Voxels are {said} mm: a protocol needs cubes, resample them first."
        )
    if not SPACING_MM[0] <= steps.mean() <= SPACING_MM[1]:
        raise Refused(
            Code.LABELS_GRID,
            f"Voxels are {said} mm; {SPACING_MM[0]:g} to {SPACING_MM[1]:g} mm can be labelled.",
        )
    along = np.abs(grid.affine_lps_mm[[2, 1, 0], [0, 1, 2]]) / steps
    if along.min() < STRAIGHT:
        raise Refused(
            Code.LABELS_GRID,
            f"The voxels' axes are turned by {np.degrees(np.arccos(along.min())):.0f} degrees "
            "against the patient's; at most 30 can be labelled.",
        )


def _require_brain(structures: NDArray[np.uint8]) -> None:
    counts = np.bincount(structures.ravel(), minlength=STRUCTURE_MAX + 1)
    absent = [name for number, name in _LOBES.items() if not counts[number]]
    if absent:
        raise Refused(Code.LABELS_NUMBER, f"The regions hold no {', no '.join(absent)}.")


def _require_upright(structures: NDArray[np.uint8]) -> None:
    """Ask the anatomy whether the affine tells the truth."""
    middles = {number: _middle(structures, number) for number in _LOBES}
    side = middles[1][2] - middles[2][2]
    if side <= 0 or middles[7][2] <= middles[8][2]:
        raise Refused(
            Code.LABELS_ORIENTATION,
            "The left lobes lie on the patient's right: the affine is wrong or sides are swapped.",
        )
    if middles[5][1] <= middles[1][1] or middles[6][1] <= middles[2][1]:
        raise Refused(
            Code.LABELS_ORIENTATION,
            "The occipital lobes lie in front of the frontal ones: the affine is wrong.",
        )
    if middles[9][0] >= middles[3][0] or middles[9][0] >= middles[4][0]:
        raise Refused(
            Code.LABELS_ORIENTATION,
            "The cerebellum lies above the parietal lobes: the affine is wrong.",
        )


def _middle(structures: NDArray[np.uint8], number: int) -> NDArray[np.float64]:
    return np.asarray(np.argwhere(structures == number).mean(axis=0))
