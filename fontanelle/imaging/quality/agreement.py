"""Whether the network says the same on a second look; the difference as an uncertainty."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.quality.check import Limits, QualityCheck, checked
from fontanelle.imaging.regions import RegionSet

DIFFERENCE_PERCENT = Limits(remark=5.0, limit=15.0)
"""Difference of a compartment between both looks, of its mean."""


def mirrored(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a prepared image with left and right exchanged."""
    return np.ascontiguousarray(array[:, :, ::-1])


def unmirrored(classes: NDArray[np.uint8], region_set: RegionSet) -> NDArray[np.uint8]:
    """Bring the classes of a mirrored image back: places and sides."""
    return np.asarray(_twins(region_set)[classes[:, :, ::-1]])


def _twins(region_set: RegionSet) -> NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for region in region_set.regions:
        for twin in region_set.regions:
            if region.pair is not None and twin.pair == region.pair and twin is not region:
                table[region.code] = twin.code
    return table


def passes_agree(one: LabelArray, other: LabelArray, region_set: RegionSet) -> QualityCheck:
    """Compare the compartments of two looks at one head.

    Parameters
    ----------
    one, other
        Codes of `region_set`, each on the field of its look.
    region_set
        What the codes mean.
    """
    first, second = (_compartments_ml(look, region_set) for look in (one, other))
    uncertainty, worst, percent = {}, region_set.regions[0], 0.0
    for region in region_set.regions:
        a, b = float(first[region.code]), float(second[region.code])
        # Two measurements with one SD differ by sqrt(2) of it. The first look knows the pose less
        # well, so this is rather more than the SD of the second.
        uncertainty[region.name] = float(abs(a - b) / np.sqrt(2))
        found = 200 * abs(a - b) / (a + b) if a + b > 0 else 0.0
        if found > percent:
            worst, percent = region, found
    sentence = (
        f"On a second look, the {worst.label.lower()} differs by {percent:.1f} %; "
        "no other region differs more."
    )
    grade = DIFFERENCE_PERCENT.grade(percent)
    check = checked("passes_agree", Code.QUALITY_AGREEMENT, grade, percent, sentence)
    return replace(check, uncertainty_ml=uncertainty)


def _compartments_ml(labels: LabelArray, region_set: RegionSet) -> NDArray[np.float64]:
    """Return the volume of each of 256 codes, CSF counted to its region."""
    compartments = region_set.compartment_table[labels.codes]
    voxel_ml = float(labels.grid.plane_voxel_mm3[0]) / 1000.0
    return np.asarray(np.bincount(compartments.ravel(), minlength=256) * voxel_ml)
