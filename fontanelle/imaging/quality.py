"""First checks of a finished segmentation: what a total cannot show.

A check that fails withholds the result: no numbers leave, only the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Reason
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import Head
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import Volumes

FACE_LIMIT_CM2 = 3.0
"""Brain on a face of the field beyond this means that the field ends inside the brain."""
FACE_NOTED_CM2 = 0.5
"""Beyond this it is worth a look."""
EMPTY_ML = 0.5
"""A region smaller than this was not found."""
TOTAL_ML = (500.0, 2000.0)
"""Intracranial volumes from a young infant's to a large adult's."""
HEAD_RATIO = (0.75, 1.3)
"""Segmented intracranial volume to the volume that bone was found to enclose."""
RATIO_LIMIT = 1.6
"""Left to right, or right to left. Hemiatrophy beyond this is for a person to measure."""
RATIO_NOTED = 1.3
"""Beyond this it is worth a look; healthy sides differ by a tenth at most."""
TURN_LIMIT_DEG = 50.0
"""A head turned further than any in training."""


class Grade(StrEnum):
    """Outcome of one quality check."""

    PASS = "pass"  # noqa: S105 (a grade, no password)
    REMARK = "remark"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One check: its name, grade, the number it rests on, and a sentence; `reason` if it failed."""

    check: str
    grade: Grade
    value: float | None
    sentence: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the regions of a head lie, as a package knows it from its training heads.

    Attributes
    ----------
    centroids
        Region to its centroid (L, P, S) relative to the mean of all centroids, divided by the
        cube root of the intracranial volume in mm3: free of place and size.
    tolerance
        Largest distance from the expected place after a rigid fit, in the same unit.
    """

    centroids: Mapping[str, tuple[float, float, float]]
    tolerance: float


def assess(
    labels: LabelArray,
    on_field: LabelArray,
    head: Head,
    volumes: Volumes,
    *,
    region_set: RegionSet,
    placement: Placement,
) -> tuple[QualityCheck, ...]:
    """Run all checks.

    Parameters
    ----------
    labels
        On the source planes.
    on_field
        The same on the network's field.
    head
        As found in the voxels.
    volumes
        As measured on the source planes.
    region_set, placement
        Of the package.
    """
    return (
        brain_whole(labels, on_field),
        regions_found(volumes),
        total_plausible(volumes, head),
        sides_alike(volumes, region_set),
        regions_in_place(on_field, volumes.intracranial_ml, region_set, placement),
    )


def _check(
    name: str,
    code: Code,
    value: float | None,
    sentence: str,
    *,
    failed: bool,
    noted: bool = False,
) -> QualityCheck:
    if failed:
        return QualityCheck(name, Grade.FAIL, value, sentence, Reason(code, sentence))
    return QualityCheck(name, Grade.REMARK if noted else Grade.PASS, value, sentence)


def brain_whole(labels: LabelArray, on_field: LabelArray) -> QualityCheck:
    """Look for brain on the faces of the scan and of the field."""
    area_cm2 = max(_face_cm2(part.codes, _plane_steps_mm(part)) for part in (labels, on_field))
    return _check(
        "brain_whole",
        Code.QUALITY_BRAIN_CUT,
        area_cm2,
        f"{area_cm2:.1f} cm2 of the intracranial space lie on a face of the field.",
        failed=area_cm2 > FACE_LIMIT_CM2,
        noted=area_cm2 > FACE_NOTED_CM2,
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
    return _check(
        "regions_found", Code.QUALITY_REGION_EMPTY, float(len(empty)), sentence, failed=bool(empty)
    )


def total_plausible(volumes: Volumes, head: Head) -> QualityCheck:
    """Hold the intracranial volume against the possible, and against what bone encloses."""
    total_ml = volumes.intracranial_ml
    ratio = total_ml / head.inside_ml
    possible = TOTAL_ML[0] <= total_ml <= TOTAL_ML[1]
    return _check(
        "total_plausible",
        Code.QUALITY_TOTAL,
        ratio,
        f"{total_ml:.0f} mL were segmented where bone encloses {head.inside_ml:.0f} mL.",
        failed=not (possible and HEAD_RATIO[0] <= ratio <= HEAD_RATIO[1]),
    )


def sides_alike(volumes: Volumes, region_set: RegionSet) -> QualityCheck:
    """Hold left against right."""
    by_region = volumes.by_region_ml
    worst, worst_pair = 1.0, ""
    for left in region_set.regions:
        if left.laterality != "left":
            continue
        right = next(r for r in region_set.regions if r.pair == left.pair and r is not left)
        small, large = sorted((by_region[left.name], by_region[right.name]))
        ratio = large / small if small > 0 else float("inf")
        if ratio > worst:
            worst, worst_pair = ratio, left.pair or ""
    sentence = f"The sides differ most in the {worst_pair} pair, by a factor of {worst:.2f}."
    failed = worst > RATIO_LIMIT
    value = worst if np.isfinite(worst) else None
    noted = worst > RATIO_NOTED
    return _check("sides_alike", Code.QUALITY_RATIO, value, sentence, failed=failed, noted=noted)


def regions_in_place(
    on_field: LabelArray,
    intracranial_ml: float,
    region_set: RegionSet,
    placement: Placement,
) -> QualityCheck:
    """Fit the regions' expected places to those found, and look at what does not fit.

    A mirrored arrangement or a turn beyond all training fails as well.
    """
    found = centroids(on_field, intracranial_ml, region_set)
    names = [region.name for region in region_set.regions]
    if any(name not in found for name in names):
        sentence = "A region is missing, so places could not be judged."
        return _check("regions_in_place", Code.QUALITY_PLACE, None, sentence, failed=True)
    expected = np.array([placement.centroids[name] for name in names])
    places = np.array([found[name] for name in names])
    rotation, mirrored = rigid_fit(expected, places)
    misplaced = np.linalg.norm(places - expected @ rotation.T, axis=1)
    worst = int(np.argmax(misplaced))
    turn_deg = float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))
    distance_mm = float(misplaced[worst]) * (intracranial_ml * 1000.0) ** (1 / 3)
    sentence = (
        f"{region_set.regions[worst].label} lies {distance_mm:.0f} mm from its place among the "
        f"others; the head is turned by {turn_deg:.0f} degrees{', mirrored' if mirrored else ''}."
    )
    failed = misplaced[worst] > placement.tolerance or turn_deg > TURN_LIMIT_DEG or mirrored
    return _check(
        "regions_in_place", Code.QUALITY_PLACE, distance_mm, sentence, failed=bool(failed)
    )


def centroids(
    labels: LabelArray, intracranial_ml: float, region_set: RegionSet
) -> dict[str, tuple[float, float, float]]:
    """Return each region's centroid in the unit of `Placement`; absent regions are left out.

    `labels` must lie on a regular grid.
    """
    places: dict[str, NDArray[np.float64]] = {}
    # Every second voxel places a centroid within a tenth of a millimetre, in an eighth of the time.
    sparse = labels.codes[::2, ::2, ::2]
    for region in region_set.regions:
        index = np.argwhere(sparse == region.code)
        if len(index):
            slice_, row, column = index.mean(axis=0) * 2
            affine = labels.grid.plane_affine(0)
            places[region.name] = affine[:3] @ np.array([slice_, row, column, 1.0])
    if not places:
        return {}
    middle = np.mean(list(places.values()), axis=0)
    scale = (intracranial_ml * 1000.0) ** (1 / 3)
    relative = {name: ((place - middle) / scale).tolist() for name, place in places.items()}
    return {name: (x, y, z) for name, (x, y, z) in relative.items()}


def rigid_fit(
    expected: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Return the proper rotation that fits best, and whether a mirrored one would fit better.

    Kabsch 1976, doi 10.1107/S0567739476001873; both sets are centred.
    """
    u, _, vt = np.linalg.svd(found.T @ expected)
    sign = float(np.sign(np.linalg.det(u @ vt)))
    return u @ np.diag([1.0, 1.0, sign]) @ vt, sign < 0
