"""Checks of a finished segmentation: what a total cannot show.

Each check has a name, a grade, a number and a sentence. One that limits takes the comparison
away; one that fails withholds the result: no numbers leave, only the reason.
"""

from fontanelle.imaging.placement import Placement, centroids, rigid_fit
from fontanelle.imaging.quality.agreement import mirrored, passes_agree, unmirrored
from fontanelle.imaging.quality.amounts import size_for_age
from fontanelle.imaging.quality.assess import assess, assess_values
from fontanelle.imaging.quality.check import Grade, QualityCheck
from fontanelle.imaging.quality.likeness import Likeness, features, learnt
from fontanelle.imaging.quality.places import head_pose

__all__ = [
    "Grade",
    "Likeness",
    "Placement",
    "QualityCheck",
    "assess",
    "assess_values",
    "centroids",
    "features",
    "head_pose",
    "learnt",
    "mirrored",
    "passes_agree",
    "rigid_fit",
    "size_for_age",
    "unmirrored",
]
