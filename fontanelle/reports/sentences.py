"""Sentences that the structured report and the pages say alike. Imports nothing, numpy least."""

from typing import Final

CAUTION: Final = (
    "The network is not validated on toddlers' scans. No diagnosis may rest on these numbers."
)
UNREVIEWED: Final = "No person has reviewed this report."
PROVISIONAL: Final = (
    "The z-scores are provisional: the numbers are shown, nobody is called normal or abnormal."
)
COMPARTMENT: Final = (
    "A region's volume is its compartment: parenchyma and the CSF beside it. Its z excludes "
    "neither atrophy nor hydrocephalus, bleeding, fracture, mass or swelling."
)
WITHHELD: Final = "The segmentation failed its checks. No volumes and no labels leave."
CIRCUMFERENCE_SOURCES: Final = {
    "given": "by tape, from the order",
    "measured": "measured on the scan",
}
CIRCUMFERENCE_RANGE: Final = "95 % of the chart's children of this age and sex."
RANGE: Final = (
    "95 % prediction interval for a child of this age and sex; where the site is not calibrated "
    "it holds the site's unknown offset."
)
SMALL_HEAD: Final = "So many low regions are one finding, a small head: see its circumference."


def low_regions(low: int, of: int, share_percent: float) -> str:
    """Say how many regions are low, and how rare so many are."""
    if low == 0:
        return f"None of {of} regions is below the 5th centile."
    return (
        f"{low} of {of} regions are below the 5th centile; {share_percent:.1f} % of typical "
        "children have as many or more."
    )
