"""Find the head in the voxels, and whether there is a brain in it. No header is asked.

A brain is a connected volume of brain density that bone encloses on nearly all sides. Table,
head holder and shoulders have no such inside; a phantom's shell has, but holds no brain density.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code, Refused
from fontanelle.imaging.geometry import Geometry, Image
from fontanelle.imaging.resample import sampled

COARSE_MM = 4.0
"""Voxel of the grid on which the head is sought."""
BONE_HU = 200.0
"""Thin infant vaults reach this in the brightest of eight 2 mm samples."""
BRAIN_HU = (-5.0, 80.0)
"""CSF to haemorrhage, averaged over a coarse voxel."""
TISSUE_HU = (12.0, 60.0)
"""Where the median of a brain lies; water-filled phantoms lie below."""
REACH_MM = 140.0
"""How far the skull may be from a point inside it."""
ENCLOSED = 0.7
"""Share of the 26 directions in which an intracranial point meets bone."""
BRAIN_MIN_ML = 250.0
"""A newborn's brain is larger."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head with a brain.

    Attributes
    ----------
    low_lps_mm, high_lps_mm
        Corners of the box around what bone encloses, in patient coordinates.
    inside_ml
        Volume of brain density within.
    """

    low_lps_mm: tuple[float, float, float]
    high_lps_mm: tuple[float, float, float]
    inside_ml: float

    @property
    def center_lps_mm(self) -> tuple[float, float, float]:
        """Middle of the box."""
        low, high = self.low_lps_mm, self.high_lps_mm
        return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Sides of the box along (L, P, S)."""
        low, high = self.low_lps_mm, self.high_lps_mm
        return high[0] - low[0], high[1] - low[1], high[2] - low[2]


def find_head(image: Image) -> Head:
    """Find the head by what bone encloses.

    Parameters
    ----------
    image
        HU on any grid.

    Raises
    ------
    Refused
        NO_BRAIN where bone encloses none; BRAIN_CUT where it would, if the scan went on.
    """
    mean_hu, peak_hu, geometry = _coarse(image)
    bone = peak_hu > BONE_HU
    enclosure = _enclosure(bone, round(REACH_MM / COARSE_MM))
    brain = _brain(mean_hu, bone, enclosure)
    inside_ml = _ml(brain, geometry)
    if inside_ml < BRAIN_MIN_ML:
        raise _no_brain(mean_hu, bone, geometry, inside_ml)
    median_hu = float(np.median(mean_hu[brain]))
    if not TISSUE_HU[0] <= median_hu <= TISSUE_HU[1]:
        raise Refused(
            Code.NO_BRAIN,
            f"What bone encloses has a median of {median_hu:.0f} HU, unlike a brain.",
        )
    low, high = _box_lps_mm(brain, geometry)
    return Head(low, high, inside_ml)


def _brain(
    mean_hu: NDArray[np.float32], bone: NDArray[np.bool_], enclosure: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return the largest connected volume of brain density that bone encloses."""
    inside = (enclosure >= ENCLOSED) & ~bone
    inside &= (mean_hu > BRAIN_HU[0]) & (mean_hu < BRAIN_HU[1])
    core = _largest(ndimage.binary_erosion(inside))
    if not core.any():
        return core
    return np.asarray(ndimage.binary_dilation(core, iterations=2, mask=inside))


def _ml(mask: NDArray[np.bool_], geometry: Geometry) -> float:
    return float(np.count_nonzero(mask)) * geometry.voxel_mm3 / 1000.0


def _no_brain(
    mean_hu: NDArray[np.float32], bone: NDArray[np.bool_], geometry: Geometry, inside_ml: float
) -> Refused:
    """Tell a scan that ends inside the brain from one without a brain.

    With lids of bone laid over both ends, the first encloses a brain and the second none.
    """
    lidded = np.pad(bone, ((1, 1), (0, 0), (0, 0)), constant_values=True)
    enclosure = _enclosure(lidded, round(REACH_MM / COARSE_MM))[1:-1]
    brain = _brain(mean_hu, bone, enclosure)
    if _ml(brain, geometry) >= BRAIN_MIN_ML and (brain[:2].any() or brain[-2:].any()):
        return Refused(Code.BRAIN_CUT, "The scan ends inside the brain.")
    return Refused(
        Code.NO_BRAIN,
        f"Bone encloses {inside_ml:.0f} mL of brain density; "
        f"a brain has more than {BRAIN_MIN_ML:.0f}.",
    )


def _coarse(image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32], Geometry]:
    """Return mean and peak HU on a grid of `COARSE_MM` along L, P, S that covers the image.

    Both have one middle, so that a mirrored image has a mirrored grid.
    """
    corners = _corners_lps_mm(image)
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.maximum(1, np.ceil((high - low) / COARSE_MM)).astype(int)[::-1]
    low = (low + high - COARSE_MM * count[::-1]) / 2
    half = COARSE_MM / 2
    fine = axis_aligned(tuple((2 * count).tolist()), half, low + half / 2)
    hu = sampled(image, fine, -1024.0)
    blocks = hu.reshape(count[0], 2, count[1], 2, count[2], 2)
    coarse = axis_aligned(tuple(count.tolist()), COARSE_MM, low + half)
    return blocks.mean(axis=(1, 3, 5)), blocks.max(axis=(1, 3, 5)), coarse


def axis_aligned(
    shape: tuple[int, ...], spacing_mm: float, first_lps_mm: NDArray[np.float64]
) -> Geometry:
    """Return a grid whose slices, rows and columns grow towards S, P and L."""
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing_mm
    affine[:3, 3] = first_lps_mm
    affine[3, 3] = 1.0
    return Geometry((shape[0], shape[1], shape[2]), affine)


def _corners_lps_mm(image: Image) -> NDArray[np.float64]:
    _, rows, columns = image.grid.shape
    in_plane = np.array([[0, r, c, 1] for r in (0, rows - 1) for c in (0, columns - 1)], float)
    ends = (image.grid.plane_affine(k) for k in (0, image.grid.shape[0] - 1))
    return np.concatenate([in_plane @ affine.T for affine in ends])[:, :3]


def _enclosure(bone: NDArray[np.bool_], reach: int) -> NDArray[np.float32]:
    """Return the share of the 26 directions in which bone is met within `reach` voxels."""
    steps = (-1, 0, 1)
    directions = [(s, r, c) for s, r, c in product(steps, steps, steps) if s or r or c]
    met = np.zeros(bone.shape, dtype=np.uint8)
    for direction in directions:
        met += _meets(bone, direction, reach)
    return np.asarray(met / np.float32(len(directions)), dtype=np.float32)


def _meets(
    bone: NDArray[np.bool_], direction: tuple[int, int, int], reach: int
) -> NDArray[np.bool_]:
    """Return where a ray along `direction` meets bone within `reach` steps.

    The ray's axis is swept from its far end: each layer knows how far bone was from the last.
    """
    axis = next(i for i, step in enumerate(direction) if step)
    layers = np.moveaxis(bone, axis, 0)
    shift = tuple(step for i, step in enumerate(direction) if i != axis)
    order = range(len(layers) - 1, -1, -1) if direction[axis] > 0 else range(len(layers))
    # Diagonal steps are longer than one voxel.
    limit = reach / float(np.linalg.norm(direction))
    far = np.full(layers.shape[1:], 1e6, dtype=np.float32)
    result = np.zeros_like(layers)
    for index in order:
        result[index] = far < limit
        far = _shifted(np.where(layers[index], np.float32(0), far + 1), shift)
    return np.moveaxis(result, 0, axis)


def _shifted(layer: NDArray[np.float32], step: tuple[int, ...]) -> NDArray[np.float32]:
    """Return `layer` such that each place holds what lies `-step` behind it; far outside."""
    moved = np.full_like(layer, 1e6)
    take, put = [], []
    for size, by in zip(layer.shape, step, strict=True):
        take.append(slice(max(0, by), size + min(0, by)))
        put.append(slice(max(0, -by), size + min(0, -by)))
    moved[tuple(put)] = layer[tuple(take)]
    return moved


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _box_lps_mm(
    mask: NDArray[np.bool_], geometry: Geometry
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    found = np.argwhere(mask)
    low = geometry.to_patient(found.min(axis=0) - 0.5).tolist()
    high = geometry.to_patient(found.max(axis=0) + 0.5).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
