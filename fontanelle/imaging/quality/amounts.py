"""Volumes that are possible: in all, for the age, as shares of one another, left against right."""

from collections.abc import Sequence

import numpy as np

from fontanelle.errors import Code
from fontanelle.imaging.head import Head
from fontanelle.imaging.quality.check import Grade, Limits, QualityCheck, checked, outside
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import Volumes

TOTAL_ML = (500.0, 2000.0)
"""Intracranial volumes from a young infant's to a large adult's."""
HEAD_RATIO = (0.75, 1.3)
"""Segmented intracranial volume to the volume that bone was found to enclose."""
SIDES = Limits(remark=1.3, fail=1.6)
"""Left to right, or right to left: healthy sides differ by a tenth at most, and hemiatrophy beyond
the second is for a person to measure."""
TISSUE_USUAL = (0.80, 0.95)
"""Parenchyma over intracranial volume. On CT it is 0.85 to 0.92 at two to three years (AJNR
2021;42:382), and less in adults; 0.03 to 0.05 are left for what is not quite usual."""
TISSUE_POSSIBLE = (0.60, 0.985)
"""Beyond these the CSF was hardly found, or much tissue was taken for it."""
SD_SHARE = 0.085
"""SD of intracranial volume at one age and sex, of its mean: that of head circumference cubed
(CDC 2000, 24 months: 8.7 to 8.8 %) and of brain volume (7.7 %)."""
SIZE_SD = Limits(remark=3.0, limit=5.0)
"""SDs from the mean of the age, both ways."""


def total_plausible(volumes: Volumes, head: Head) -> QualityCheck:
    """Hold the intracranial volume against the possible, and against what bone encloses."""
    total_ml = volumes.intracranial_ml
    ratio = total_ml / head.inside_ml
    impossible = outside(total_ml, *TOTAL_ML) or outside(ratio, *HEAD_RATIO)
    return checked(
        "total_plausible",
        Code.QUALITY_TOTAL,
        Grade.FAIL if impossible else Grade.PASS,
        ratio,
        f"{total_ml:.0f} mL were segmented where bone encloses {head.inside_ml:.0f} mL.",
    )


def size_for_age(
    intracranial_ml: float, means_ml: Sequence[float], source: str
) -> QualityCheck | None:
    """Hold the intracranial volume against the mean of the age; None where no mean is known.

    Parameters
    ----------
    intracranial_ml
        As measured.
    means_ml
        Of children of this age: one, or those of both sexes where the sex is not known.
    source
        Where the means come from; said in the sentence.
    """
    if not means_ml:
        return None
    above = (intracranial_ml / max(means_ml) - 1) / SD_SHARE
    below = (intracranial_ml / min(means_ml) - 1) / SD_SHARE
    sds = above if above > 0 else min(below, 0.0)
    sentence = (
        f"{intracranial_ml:.0f} mL of intracranial volume lie {sds:+.1f} SD from the mean of the "
        f"age ({source})."
    )
    grade = SIZE_SD.grade(abs(sds))
    return checked("size_for_age", Code.QUALITY_SIZE, grade, sds, sentence)


def tissue_share(volumes: Volumes) -> QualityCheck:
    """Hold parenchyma against intracranial volume."""
    parenchyma_ml = sum(region.parenchyma_ml for region in volumes.regions)
    total_ml = volumes.intracranial_ml
    share = parenchyma_ml / total_ml if total_ml > 0 else 0.0
    grade = Grade.LIMIT if outside(share, *TISSUE_POSSIBLE) else Grade.REMARK
    if not outside(share, *TISSUE_USUAL):
        grade = Grade.PASS
    sentence = f"Brain tissue fills {100 * share:.0f} % of the intracranial space."
    return checked("tissue_share", Code.QUALITY_TISSUE, grade, share, sentence)


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
    value = worst if np.isfinite(worst) else None
    return checked("sides_alike", Code.QUALITY_RATIO, SIDES.grade(worst), value, sentence)
