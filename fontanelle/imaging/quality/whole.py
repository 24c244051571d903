"""Whether the brain is there, whole, each region in one piece, and inside the skull."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.quality.check import Grade, Limits, QualityCheck, checked
from fontanelle.imaging.regions import Region, RegionSet
from fontanelle.imaging.volumes import Volumes

FACE_CM2 = Limits(remark=0.5, fail=3.0)
"""Brain on a face of the scan or the field: then it ends inside the brain."""
EMPTY_ML = 0.5
"""A region smaller than this was not found."""
STRAY_SHARE = Limits(remark=0.01, limit=0.05, fail=0.2)
"""Share of a region's parenchyma that is not connected to its largest part."""
OUTSIDE_SHARE = Limits(remark=0.01, limit=0.04, fail=0.12)
"""Share of what was segmented that is bone or air."""
BONE_HU = 300.0
"""Denser than blood, calcified plexus included at 1 mm."""
AIR_HU = -200.0
"""No tissue of the head is as light."""
RIM_VOXELS = 2
"""Partial volume of the skull reaches as deep."""


def brain_whole(labels: LabelArray, on_field: LabelArray) -> QualityCheck:
    """Look for brain on the faces of the scan and of the field."""
    area_cm2 = max(_face_cm2(part.codes, _plane_steps_mm(part)) for part in (labels, on_field))
    return checked(
        "brain_whole",
        Code.QUALITY_BRAIN_CUT,
        FACE_CM2.grade(area_cm2),
        area_cm2,
        f"{area_cm2:.1f} cm2 of the intracranial space lie on a face of the field.",
    )


def _plane_steps_mm(labels: LabelArray) -> tuple[float, float, float]:
    affine = labels.grid.plane_affine(0)
    row_mm, column_mm = (float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2))
    slice_mm = float(np.median(labels.grid.plane_voxel_mm3)) / (row_mm * column_mm)
    return slice_mm, row_mm, column_mm


def _face_cm2(codes: NDArray[np.uint8], step_mm: tuple[float, float, float]) -> float:
    """Return the largest labelled area on one of the six faces."""
    largest = 0.0
    for axis in range(3):
        area_mm2 = float(np.prod([step for i, step in enumerate(step_mm) if i != axis]))
        for end in (0, -1):
            count = int(np.count_nonzero(np.take(codes, end, axis=axis)))
            largest = max(largest, count * area_mm2 / 100.0)
    return largest


def regions_found(volumes: Volumes) -> QualityCheck:
    """Look for regions that were not found."""
    empty = [region.region for region in volumes.regions if region.parenchyma_ml < EMPTY_ML]
    sentence = f"Not found: {', '.join(empty)}." if empty else "Every region was found."
    grade = Grade.FAIL if empty else Grade.PASS
    return checked("regions_found", Code.QUALITY_REGION_EMPTY, grade, float(len(empty)), sentence)


def regions_in_one_piece(on_field: LabelArray, region_set: RegionSet) -> QualityCheck:
    """Look for parts of a region that lie apart from it."""
    boxes = ndimage.find_objects(on_field.codes)
    worst, share = region_set.regions[0], 0.0
    for region in region_set.regions:
        box = boxes[region.code - 1] if region.code <= len(boxes) else None
        found = 0.0 if box is None else _stray_share(on_field.codes[box] == region.code)
        if found > share:
            worst, share = region, found
    return _pieces(worst, share)


def _pieces(worst: Region, share: float) -> QualityCheck:
    sentence = f"{100 * share:.1f} % of the {worst.label.lower()} lie apart from it, at most."
    grade = STRAY_SHARE.grade(share)
    return checked("regions_in_one_piece", Code.QUALITY_PIECES, grade, share, sentence)


def _stray_share(mask: NDArray[np.bool_]) -> float:
    # Voxels that touch by a corner belong together: borders between lobes are ragged.
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count <= 1:
        return 0.0
    sizes = np.bincount(parts.ravel())[1:]
    return float(1.0 - sizes.max() / sizes.sum())


def brain_in_skull(on_field: LabelArray, hu: NDArray[np.float32]) -> QualityCheck:
    """Look for bone and air under the labels, away from their rim."""
    inner = ndimage.binary_erosion(on_field.codes > 0, iterations=RIM_VOXELS)
    inside = hu[inner]
    share = float(((inside > BONE_HU) | (inside < AIR_HU)).mean()) if inside.size else 1.0
    sentence = f"{100 * share:.1f} % of what was segmented is bone or air."
    grade = OUTSIDE_SHARE.grade(share)
    return checked("brain_in_skull", Code.QUALITY_SKULL, grade, share, sentence)
