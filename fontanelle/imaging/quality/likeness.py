"""How far a scan is from those that the network was trained on, in a few plain numbers.

A package stores the mean and covariance of the numbers over training samples; the distance is
Mahalanobis'. Pure numpy: export and service call the same function.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.quality.check import Limits, QualityCheck, checked
from fontanelle.imaging.quality.voxels import parenchyma
from fontanelle.imaging.regions import RegionSet

FEATURES = (
    "tissue_hu",
    "tissue_spread",
    "csf_contrast_hu",
    "noise",
    "slice_noise_ratio",
    "tissue_share",
    "ventricles_share",
    "skull_hu",
)
"""Median of parenchyma; log of its interquartile range; its median above the ventricles'; log of
the median step between neighbours in a slice, and of that between slices over it; parenchyma over
intracranial volume; log of ventricles over it; upper quartile around the brain."""
SHELL_VOXELS = 3
"""How far around the brain the skull is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What training samples look like.

    Attributes
    ----------
    mean
        Of `FEATURES`, shape (8,).
    covariance
        Shape (8, 8).
    usual
        Distance within which 99 of 100 training samples lie; twice as far limits a result.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    usual: float

    def distance(self, found: NDArray[np.float64]) -> float:
        """Return Mahalanobis' distance."""
        offset = found - self.mean
        return float(np.sqrt(offset @ np.linalg.solve(self.covariance, offset)))


def features(
    hu: NDArray[np.float32], on_field: LabelArray, region_set: RegionSet
) -> NDArray[np.float64]:
    """Return the numbers that `FEATURES` names.

    Parameters
    ----------
    hu
        The field before the window, HU.
    on_field
        Codes of the region set on it.
    region_set
        What the codes mean.
    """
    codes = on_field.codes
    tissue, ventricles = parenchyma(on_field, region_set), codes == region_set.ventricles.code
    inside = hu[tissue] if tissue.any() else np.zeros(1, np.float32)
    low, middle, high = np.percentile(inside, (25, 50, 75)).tolist()
    in_row, in_column = _median_step(hu, tissue, 1), _median_step(hu, tissue, 2)
    noise = max((in_row + in_column) / 2, 0.01)
    total = max(int(np.count_nonzero(codes)), 1)
    return np.array(
        [
            middle,
            np.log(max(high - low, 0.1)),
            middle - (float(np.median(hu[ventricles])) if ventricles.any() else middle),
            np.log(noise),
            np.log(max(_median_step(hu, tissue, 0), 0.01) / noise),
            np.count_nonzero(tissue) / total,
            np.log(np.count_nonzero(ventricles) / total + 1e-3),
            _skull_hu(hu, codes > 0),
        ]
    )


def _median_step(hu: NDArray[np.float32], mask: NDArray[np.bool_], axis: int) -> float:
    """Return the median difference between neighbours of which both lie in a mask."""
    # Every second place on the other axes will do.
    thin = tuple(slice(None) if i == axis else slice(None, None, 2) for i in range(3))
    values, inside = np.moveaxis(hu[thin], axis, 0), np.moveaxis(mask[thin], axis, 0)
    both = inside[1:] & inside[:-1]
    return float(np.median(np.abs(np.diff(values, axis=0)[both]))) if both.any() else 0.0


def _skull_hu(hu: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    shell = ndimage.binary_dilation(inside, iterations=SHELL_VOXELS) & ~inside
    return float(np.percentile(np.clip(hu[shell], -200, 2000), 75)) if shell.any() else 0.0


def learnt(samples: Sequence[NDArray[np.float64]]) -> Likeness:
    """Return what samples look like; at least twice as many are needed as there are features."""
    found = np.array(samples)
    covariance = np.cov(found.T) + 1e-6 * np.eye(found.shape[1])
    known = Likeness(found.mean(axis=0), covariance, 0.0)
    distances = [known.distance(one) for one in found]
    return Likeness(known.mean, covariance, float(np.percentile(distances, 99)))


def like_training(
    hu: NDArray[np.float32], on_field: LabelArray, region_set: RegionSet, known: Likeness
) -> QualityCheck:
    """Measure the distance from the training samples, and name what is most unusual."""
    found = features(hu, on_field, region_set)
    distance = known.distance(found)
    sds = (found - known.mean) / np.sqrt(np.diag(known.covariance))
    worst = int(np.argmax(np.abs(sds)))
    sentence = (
        f"The scan lies {distance:.1f} from the training samples, of which 99 % lie within "
        f"{known.usual:.1f}; most unusual is {FEATURES[worst].replace('_', ' ')} "
        f"({sds[worst]:+.1f} SD)."
    )
    grade = Limits(remark=known.usual, limit=2 * known.usual).grade(distance)
    return checked("like_training", Code.QUALITY_UNLIKE, grade, distance, sentence)
