"""Left against right in the same children: differences, effect sizes, asymmetry index."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fontanelle.norms.small_samples import t_half_width

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairFit:
    """One pair of regions in the same children.

    Attributes
    ----------
    difference_ml, low_ml, high_ml
        Left minus right, mean and 95 % interval.
    sd_difference_ml
        Of the differences.
    t, p
        Paired t test.
    wilcoxon_p
        Signed ranks, which needs no normal differences.
    shapiro_p
        Normality of the differences.
    d_z
        Mean difference in SDs of the differences: what a paired test works with.
    d_av
        In the mean of both sides' SDs: how much of the spread between children it is.
    correlation
        Of left and right.
    index_mean, index_sd
        Asymmetry index 200 (L - R) / (L + R), percent.
    """

    pair: str
    left_mean_ml: float
    left_sd_ml: float
    right_mean_ml: float
    right_sd_ml: float
    difference_ml: float
    low_ml: float
    high_ml: float
    sd_difference_ml: float
    t: float
    p: float
    wilcoxon_p: float
    shapiro_p: float
    d_z: float
    d_av: float
    correlation: float
    index_mean: float
    index_sd: float


def compare_sides(pair: str, left_ml: Floats, right_ml: Floats) -> PairFit:
    """Compare the two sides of a pair of regions, both of shape (children,)."""
    n, difference = len(left_ml), left_ml - right_ml
    mean, sd = float(difference.mean()), float(difference.std(ddof=1))
    half = t_half_width(n - 1) * sd / sqrt(n)
    left_sd, right_sd = float(left_ml.std(ddof=1)), float(right_ml.std(ddof=1))
    index = 200.0 * difference / (left_ml + right_ml)
    t = mean / (sd / sqrt(n))
    return PairFit(
        pair=pair,
        left_mean_ml=float(left_ml.mean()),
        left_sd_ml=left_sd,
        right_mean_ml=float(right_ml.mean()),
        right_sd_ml=right_sd,
        difference_ml=mean,
        low_ml=mean - half,
        high_ml=mean + half,
        sd_difference_ml=sd,
        t=t,
        p=float(2.0 * stats.t.sf(abs(t), n - 1)),
        wilcoxon_p=float(stats.wilcoxon(difference).pvalue),
        shapiro_p=float(stats.shapiro(difference).pvalue),
        d_z=mean / sd,
        d_av=mean / ((left_sd + right_sd) / 2.0),
        correlation=float(np.corrcoef(left_ml, right_ml)[0, 1]),
        index_mean=float(index.mean()),
        index_sd=float(index.std(ddof=1)),
    )
