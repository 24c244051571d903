"""Whether the values are Hounsfield units of a head, and free of metal and streaks.

All on the network's field, before the window.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.quality.check import Grade, Limits, QualityCheck, checked, outside
from fontanelle.imaging.regions import RegionSet

TISSUE_USUAL_HU = (22.0, 45.0)
"""Median of parenchyma: grey matter has 32 to 40 HU, white 24 to 33."""
TISSUE_POSSIBLE_HU = (15.0, 55.0)
"""Swollen or enhanced; beyond these it is another scale."""
AIR_BELOW_HU = -500.0
"""The darkest 0.5 % of the field are air."""
BONE_ABOVE_HU = 250.0
"""The brightest 0.5 % are bone."""
METAL_HU = 2500.0
"""Denser than enamel."""
METAL_ML = Limits(remark=0.2, limit=5.0)
"""Metal in the field."""
STREAK_HU = (-10.0, 90.0)
"""Means of parenchyma lie within; streaks of metal, motion or bone leave it."""
STREAK_SHARE = Limits(remark=0.01, limit=0.06)
"""Share of parenchyma beyond `STREAK_HU`."""


def parenchyma(on_field: LabelArray, region_set: RegionSet) -> NDArray[np.bool_]:
    """Return where parenchyma of any region lies."""
    table = np.zeros(256, dtype=bool)
    table[[region.code for region in region_set.regions]] = True
    return np.asarray(table[on_field.codes])


def values_plausible(hu: NDArray[np.float32], tissue: NDArray[np.bool_]) -> QualityCheck:
    """Look at three known points of the scale: parenchyma, air and bone."""
    air_hu, bone_hu = np.percentile(hu[::2, ::2, ::2], (0.5, 99.5)).tolist()
    tissue_hu = float(np.median(hu[tissue])) if tissue.any() else float("nan")
    off = air_hu > AIR_BELOW_HU or bone_hu < BONE_ABOVE_HU
    grade = Grade.PASS
    if off or outside(tissue_hu, *TISSUE_USUAL_HU):
        grade = Grade.LIMIT if off or outside(tissue_hu, *TISSUE_POSSIBLE_HU) else Grade.REMARK
    sentence = (
        f"Brain tissue has {tissue_hu:.0f} HU in the median; air reaches {air_hu:.0f} and bone "
        f"{bone_hu:.0f} HU."
    )
    value = tissue_hu if np.isfinite(tissue_hu) else None
    return checked("values_plausible", Code.QUALITY_VALUES, grade, value, sentence)


def free_of_metal(hu: NDArray[np.float32], voxel_mm3: float) -> QualityCheck:
    """Look for what is denser than any tissue."""
    metal_ml = float(np.count_nonzero(hu > METAL_HU)) * voxel_mm3 / 1000.0
    sentence = f"{metal_ml:.1f} mL are denser than {METAL_HU:.0f} HU."
    grade = METAL_ML.grade(metal_ml)
    return checked("free_of_metal", Code.QUALITY_METAL, grade, metal_ml, sentence)


def free_of_streaks(hu: NDArray[np.float32], tissue: NDArray[np.bool_]) -> QualityCheck:
    """Look for parenchyma with values that parenchyma does not have."""
    # Means of 3 x 3 x 3 voxels, away from the rim: neither noise nor bone is a streak.
    inner = ndimage.binary_erosion(tissue, np.ones((3, 3, 3), bool))
    inside = ndimage.uniform_filter(hu, 3)[inner]
    beyond = (inside < STREAK_HU[0]) | (inside > STREAK_HU[1])
    share = float(beyond.mean()) if inside.size else 0.0
    sentence = (
        f"{100 * share:.1f} % of the brain tissue lie outside {STREAK_HU[0]:.0f} to "
        f"{STREAK_HU[1]:.0f} HU, as streaks and motion do."
    )
    grade = STREAK_SHARE.grade(share)
    return checked("free_of_streaks", Code.QUALITY_STREAKS, grade, share, sentence)
