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
RANGE: Final = (
    "95 % prediction interval for a child of this age and sex; where the site is not calibrated "
    "it holds the site's unknown offset."
)
