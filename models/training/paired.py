"""A site's real CT with labels to learn from, beside synthesised heads.

    FOLDER/anything/image.nii.gz    HU
    FOLDER/anything/labels.nii.gz   codes of the region set, on the same grid

as `fontanelle models pseudo-label` writes them. Labels made by registration teach the network
what a registration finds; mix few of them in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray

from fontanelle.errors import Code, FontanelleError, Refused
from fontanelle.imaging import nifti
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.pose import Canonical, Pose, canonical_grid, find_pose
from fontanelle.imaging.quality import Placement
from fontanelle.imaging.resample import restored, sampled
from models.phantom.head import turned
from models.training.heads import CANONICAL
from models.training.labelling import region_set, require_one_grid
from models.training.protocol import MIRRORED, OUTER_CSF
from models.training.synthesis import Field, Sample

KEPT_FIELD = (160, 192, 160)
KEPT_SPACING_MM = 1.15
"""Canonical mm: a little more is kept of each scan than is ever shown."""
OUTSIDE_HU = -1024.0


@dataclass(frozen=True, slots=True)
class Jitter:
    """How a scan is moved before it is shown, standard deviations: what the first look leaves."""

    angle_deg: float = 1.5
    shift_mm: float = 1.25
    size_percent: float = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One scan with its labels, in the canonical frame.

    Attributes
    ----------
    hu
        int16 (slice, row, column) of `KEPT_FIELD`.
    classes
        As networks learn them, same shape.
    """

    hu: NDArray[np.int16]
    classes: NDArray[np.uint8]


class PairedScans:
    """Draws samples from real scans with labels; the same seed gives the same sequence."""

    def __init__(
        self,
        folder: Path,
        placement: Placement,
        *,
        seed: int,
        canonical: Canonical = CANONICAL,
        jitter: Jitter | None = None,
    ) -> None:
        """Read all pairs of a folder; about 15 MB of each stay in memory.

        Raises
        ------
        Refused
            PAIRS_INVALID with all that is wrong, pair by pair.
        """
        self._canonical = canonical
        self._jitter = jitter or Jitter()
        self._pairs = read_pairs(folder, placement, canonical)
        self._random = np.random.default_rng(seed)

    def draw(self, field: Field) -> Sample:
        """Draw one scan on a field of canonical voxels, moved a little, mirrored every other time.

        Mirrored, left and right change their labels.
        """
        pair = self._pairs[int(self._random.integers(len(self._pairs)))]
        kept = _upright(KEPT_FIELD, KEPT_SPACING_MM)
        target = self._moved(_upright(field, self._canonical.spacing_mm))
        hu = sampled(Image(pair.hu, kept), target, OUTSIDE_HU)
        classes = restored(pair.classes, kept, target).codes
        if self._random.random() < 0.5:
            hu, classes = hu[:, :, ::-1], MIRRORED[classes[:, :, ::-1]]
        return Sample(
            torch.from_numpy(np.ascontiguousarray(hu)),
            torch.tensor(np.ascontiguousarray(classes), dtype=torch.int64),
        )

    def _moved(self, grid: Geometry) -> Geometry:
        """Turn, scale and shift a grid about its middle."""
        jitter = self._jitter
        angles = self._random.normal(0.0, jitter.angle_deg, 3)
        size = math.exp(self._random.normal(0.0, jitter.size_percent / 100.0))
        affine = np.eye(4)
        axes = turned((angles[0], angles[1], angles[2])) @ grid.affine_lps_mm[:3, :3] * size
        middle = grid.to_patient((np.array(grid.shape) - 1) / 2)
        middle = middle + self._random.normal(0.0, jitter.shift_mm, 3)
        affine[:3, :3] = axes
        affine[:3, 3] = middle - axes @ ((np.array(grid.shape) - 1) / 2)
        return Geometry(grid.shape, affine)


def read_pairs(folder: Path, placement: Placement, canonical: Canonical) -> list[Pair]:
    """Read every folder below `folder` that holds an image with labels.

    Raises
    ------
    Refused
        PAIRS_INVALID with all that is wrong; pairs go by their place in the sorted list.
    """
    places = sorted(
        {file.parent for name in ("image", "labels") for file in folder.rglob(f"{name}.nii.gz")}
    )
    if not places:
        raise Refused(
            Code.PAIRS_INVALID, "The folder holds no image.nii.gz with a labels.nii.gz beside it."
        )
    found: list[Pair] = []
    wrong: list[str] = []
    for number, place in enumerate(places, start=1):
        try:
            found.append(read_pair(place, placement, canonical))
        except FontanelleError as error:
            wrong.append(f"pair {number} of {len(places)}: {error.reason.sentence}")
    if wrong:
        raise Refused(Code.PAIRS_INVALID, " ".join(wrong))
    return found


def read_pair(folder: Path, placement: Placement, canonical: Canonical) -> Pair:
    """Read one image with its labels and bring it into the canonical frame.

    Raises
    ------
    Refused
        Where a file is absent or unreadable, the grids differ, a code is unknown, or a region is
        missing, so that the frame cannot be told.
    """
    image, labels = (_read(folder / f"{name}.nii.gz") for name in ("image", "labels"))
    require_one_grid(_geometry(image), _geometry(labels), "Image and labels")
    regions = region_set()
    table = np.full(256, 255, dtype=np.uint8)
    table[0], table[OUTER_CSF] = 0, OUTER_CSF
    for region in regions.segments:
        table[region.code] = region.code
        if region.csf_code is not None:
            table[region.csf_code] = OUTER_CSF
    codes = labels.hu.clip(0, 255).astype(np.uint8)
    classes = table[codes]
    if (labels.hu < 0).any() or (classes == 255).any():
        raise Refused(Code.LABELS_NUMBER, "The labels hold numbers that are no code of a region.")
    grid = _geometry(image)
    intracranial_ml = float(np.count_nonzero(codes)) * grid.voxel_mm3 / 1000.0
    pose = find_pose(LabelArray(codes, grid), intracranial_ml, regions, placement, canonical)
    if pose is None:
        raise Refused(Code.LABELS_NUMBER, "A region has no voxel.")
    _require_place(pose, placement)
    kept = replace(canonical, field=KEPT_FIELD, spacing_mm=KEPT_SPACING_MM)
    target = canonical_grid(pose, kept)
    hu = sampled(image, target, OUTSIDE_HU)
    return Pair(np.rint(hu).astype(np.int16), restored(classes, grid, target).codes)


def write_image(path: Path, image: Image) -> None:
    """Write an image's HU as NIfTI: voxels and their places, nothing of a header."""
    affine_ras = nifti.LPS_FROM_RAS @ _geometry(image).affine_lps_mm[:, [2, 1, 0, 3]]
    written = nibabel.nifti1.Nifti1Image(image.hu.astype(np.int16).transpose(2, 1, 0), affine_ras)
    written.header.set_xyzt_units("mm")
    written.set_sform(affine_ras, code=1)
    # A qform holds no shear: it would deny the sform of a tilted gantry.
    written.set_qform(None, code=0)
    nibabel.nifti1.save(written, path)


def _read(path: Path) -> Image:
    if not path.is_file():
        raise Refused(Code.INPUT_NOT_FOUND, f"There is no {path.name}.")
    return nifti.read(path).image


def _geometry(image: Image) -> Geometry:
    if not isinstance(image.grid, Geometry):
        raise TypeError("a NIfTI file has one grid")
    return image.grid


def _require_place(pose: Pose, placement: Placement) -> None:
    if pose.mirrored or pose.misplaced > placement.tolerance:
        raise Refused(Code.LABELS_ORIENTATION, "The regions do not lie where they lie in a head.")


def _upright(field: Sequence[int], spacing_mm: float) -> Geometry:
    """Return a field in canonical mm about its own middle, growing towards (S, P, L)."""
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing_mm
    affine[:3, 3] = -spacing_mm * (np.array(field[::-1]) - 1) / 2
    affine[3, 3] = 1.0
    return Geometry((field[0], field[1], field[2]), affine)
