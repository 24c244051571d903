"""Whether every region lies where it belongs, and whether the head is the right way up."""

import numpy as np

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.placement import Placement, centroids, rigid_fit
from fontanelle.imaging.pose import Pose
from fontanelle.imaging.quality.check import Grade, QualityCheck, checked
from fontanelle.imaging.regions import RegionSet

TURN_LIMIT_DEG = 50.0
"""A head turned further than any in training."""
TURN_NOTED_DEG = 35.0
"""As far as training turns heads as a rule."""


def head_pose(pose: Pose | None, tolerance: float) -> QualityCheck:
    """Judge how the head lies by labels, before the network sees it in that pose."""
    name, code = "head_pose", Code.QUALITY_POSE
    if pose is None:
        sentence = "A region was not found, so the head's pose is not known."
        return checked(name, code, Grade.FAIL, None, sentence)
    mirrored = ", mirrored" if pose.mirrored else ""
    sentence = f"The head is turned by {pose.turn_deg:.0f} degrees{mirrored}"
    if pose.mirrored or pose.misplaced > tolerance:
        unfit = f"{sentence}, and its regions do not lie as in any head."
        return checked(name, code, Grade.FAIL, pose.turn_deg, unfit)
    grade = Grade.PASS if pose.turn_deg <= TURN_NOTED_DEG else Grade.REMARK
    grade = grade if pose.turn_deg <= TURN_LIMIT_DEG else Grade.FAIL
    return checked(name, code, grade, pose.turn_deg, f"{sentence}.")


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
        return checked("regions_in_place", Code.QUALITY_PLACE, Grade.FAIL, None, sentence)
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
    grade = Grade.FAIL if failed else Grade.PASS
    return checked("regions_in_place", Code.QUALITY_PLACE, grade, distance_mm, sentence)
