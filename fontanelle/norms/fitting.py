"""A hospital's own regression: volumes of its normal children on sex and age.

Ordinary least squares, all regions at once, sex and age centred on the cohort's own means, so that
the first coefficient is the pooled mean. Only numpy and scipy; statsmodels is the second route
(`fitting_recheck.py`).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fontanelle.norms.cohort import Cohort
from fontanelle.norms.fitting_diagnostics import Diagnostics, diagnose
from fontanelle.norms.fitting_pairs import PairFit, compare_sides
from fontanelle.norms.small_samples import t_half_width
from fontanelle.norms.values import Reference

Floats = NDArray[np.float64]
COEFFICIENTS = 3
"""Mean, sex, age."""
BOOTSTRAPS = 2000
AT_ONCE = 100
"""Draws in memory together."""
SEED = 20250


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Least squares of one cohort, or of many at once along the leading axes.

    Attributes
    ----------
    coefficients
        Mean, boys minus girls, growth a year; shape (..., 3, regions).
    residual_sd
        With n - 3 in the denominator, shape (..., regions).
    inverse
        (X'X)^-1, shape (..., 3, 3).
    """

    coefficients: Floats
    residual_sd: Floats
    inverse: Floats

    @property
    def standard_errors(self) -> Floats:
        """Of the coefficients, in the same shape."""
        unscaled = np.sqrt(np.diagonal(self.inverse, axis1=-2, axis2=-1))
        return np.asarray(unscaled[..., :, None] * self.residual_sd[..., None, :])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A coefficient: its value, SE, 95 % interval by t and by bootstrap, and the test against 0."""

    value: float
    se: float
    low: float
    high: float
    t: float
    p: float
    bootstrap_low: float
    bootstrap_high: float


@dataclass(frozen=True, slots=True)
class Spearman:
    """Rank correlation of a volume with age."""

    rho: float
    p: float


@dataclass(frozen=True, slots=True)
class RegionFit:
    """One region's regression.

    Attributes
    ----------
    mean_ml, sd_ml
        Pooled; the SD with n - 1 in the denominator.
    sex
        Boys minus girls, mL.
    age
        mL a year.
    residual_sd_ml, residual_sd_interval_ml, residual_sd_bootstrap_ml
        After sex and age; the 95 % interval by chi-squared, and by bootstrap.
    r_squared
        Share of the variance that sex and age explain.
    spearman
        With age, both sexes together.
    """

    name: str
    mean_ml: float
    sd_ml: float
    sex: Estimate
    age: Estimate
    residual_sd_ml: float
    residual_sd_interval_ml: tuple[float, float]
    residual_sd_bootstrap_ml: tuple[float, float]
    r_squared: float
    spearman: Spearman
    diagnostics: Diagnostics


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A whole cohort's regressions.

    Attributes
    ----------
    male_share, age_mean_years, age_sd_years, age_sex_correlation
        Of the cohort; the SD with n in the denominator. With n they hold all of (X'X)^-1.
    regions, total
        In the order of the reference, and the sum of all.
    correlations
        Of the residuals, shape (regions, regions).
    residuals_ml
        Shape (children, regions).
    pairs
        Left against right.
    """

    n: int
    male_share: float
    age_mean_years: float
    age_sd_years: float
    age_sex_correlation: float
    regions: tuple[RegionFit, ...]
    total: RegionFit
    correlations: Floats
    residuals_ml: Floats
    pairs: tuple[PairFit, ...]

    @property
    def df(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.n - COEFFICIENTS


def fit(cohort: Cohort, like: Reference, *, draws: int = BOOTSTRAPS) -> Fit:
    """Fit a cohort's regressions.

    Parameters
    ----------
    cohort
        Read by the rules of `like`.
    like
        The reference whose regions, pairs and length of a year are used; none of its numbers.
    draws
        Of the bootstrap.
    """
    is_boy = cohort.is_boy.astype(np.float64)
    age_years = cohort.age_days / like.validity.days_per_year
    design = design_of(is_boy, age_years)
    # The sum is fitted as a line of its own: its SD then needs no correlation.
    volumes_ml = np.column_stack([cohort.volumes_ml, cohort.volumes_ml.sum(axis=1)])
    solution = least_squares(design, volumes_ml)
    residuals_ml = volumes_ml - design @ solution.coefficients
    low, high = bootstrap(design, volumes_ml, draws)
    solved = _Solved(design, volumes_ml, residuals_ml, solution, low, high)
    fits = tuple(_region(name, at, solved) for at, name in enumerate((*cohort.regions, "total")))
    return Fit(
        n=cohort.n,
        male_share=float(is_boy.mean()),
        age_mean_years=float(age_years.mean()),
        age_sd_years=float(age_years.std()),
        age_sex_correlation=float(np.corrcoef(is_boy, age_years)[0, 1]),
        regions=fits[:-1],
        total=fits[-1],
        correlations=_correlations(residuals_ml[:, :-1]),
        residuals_ml=residuals_ml[:, :-1],
        pairs=tuple(
            compare_sides(
                norm.pair,
                cohort.volumes_ml[:, cohort.regions.index(norm.left)],
                cohort.volumes_ml[:, cohort.regions.index(norm.right)],
            )
            for norm in like.asymmetry
        ),
    )


def design_of(is_boy: Floats, age_years: Floats) -> Floats:
    """Return 1, sex and age, both less their means over the last axis; shape (..., children, 3)."""
    sex = is_boy - is_boy.mean(axis=-1, keepdims=True)
    age = age_years - age_years.mean(axis=-1, keepdims=True)
    return np.stack([np.ones_like(sex), sex, age], axis=-1)


def least_squares(design: Floats, volumes_ml: Floats) -> Solution:
    """Solve one cohort or many: design (..., children, 3), volumes (..., children, regions)."""
    transposed = np.swapaxes(design, -1, -2)
    inverse = np.asarray(np.linalg.inv(transposed @ design), dtype=np.float64)
    coefficients = inverse @ (transposed @ volumes_ml)
    residuals = volumes_ml - design @ coefficients
    df = design.shape[-2] - COEFFICIENTS
    residual_sd = np.sqrt((residuals**2).sum(axis=-2) / df)
    return Solution(coefficients, residual_sd, inverse)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """Everything about all lines (regions and their sum) at once; limits of shape (4, lines)."""

    design: Floats
    volumes_ml: Floats
    residuals_ml: Floats
    solution: Solution
    low: Floats
    high: Floats


def _region(name: str, at: int, solved: _Solved) -> RegionFit:
    volume_ml, residual_ml = solved.volumes_ml[:, at], solved.residuals_ml[:, at]
    spearman = stats.spearmanr(solved.design[:, 2], volume_ml)
    spread = (volume_ml - volume_ml.mean()) ** 2
    return RegionFit(
        name=name,
        mean_ml=float(volume_ml.mean()),
        sd_ml=float(volume_ml.std(ddof=1)),
        sex=_estimate(1, at, solved),
        age=_estimate(2, at, solved),
        residual_sd_ml=float(solved.solution.residual_sd[at]),
        residual_sd_interval_ml=_of_sd(float(solved.solution.residual_sd[at]), len(volume_ml)),
        residual_sd_bootstrap_ml=(float(solved.low[3, at]), float(solved.high[3, at])),
        r_squared=1.0 - float((residual_ml**2).sum() / spread.sum()),
        spearman=Spearman(float(spearman.statistic), float(spearman.pvalue)),
        diagnostics=diagnose(solved.design, residual_ml),
    )


def _estimate(which: int, at: int, solved: _Solved) -> Estimate:
    df = len(solved.design) - COEFFICIENTS
    value = float(solved.solution.coefficients[which, at])
    se = float(solved.solution.standard_errors[which, at])
    half = t_half_width(df) * se
    return Estimate(
        value=value,
        se=se,
        low=value - half,
        high=value + half,
        t=value / se,
        p=float(2.0 * stats.t.sf(abs(value / se), df)),
        bootstrap_low=float(solved.low[which, at]),
        bootstrap_high=float(solved.high[which, at]),
    )


def _of_sd(sd: float, n: int) -> tuple[float, float]:
    df = n - COEFFICIENTS
    low, high = (sd * sqrt(df / float(stats.chi2.ppf(p, df))) for p in (0.975, 0.025))
    return low, high


def bootstrap(design: Floats, volumes_ml: Floats, draws: int = BOOTSTRAPS) -> tuple[Floats, Floats]:
    """Return 95 % limits of mean, sex, age and residual SD, each of shape (4, regions).

    Children are drawn with their volumes (pairs bootstrap, percentiles), which assumes neither
    normal residuals nor one SD for all.

    Parameters
    ----------
    design
        Shape (children, 3).
    volumes_ml
        Shape (children, regions).
    draws
        How many cohorts are drawn.
    """
    n, found = len(design), []
    random = np.random.default_rng(SEED)
    for at in range(0, draws, AT_ONCE):
        chosen = random.integers(0, n, (min(AT_ONCE, draws - at), n))
        # A draw of one sex, or of one age, has no regression: rare, and passed over.
        chosen = chosen[(np.ptp(design[chosen], axis=1)[:, 1:] > 0).all(axis=1)]
        solution = least_squares(design[chosen], volumes_ml[chosen])
        found.append(np.concatenate([solution.coefficients, solution.residual_sd[:, None]], axis=1))
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5], axis=0)
    return low, high


def _correlations(residuals: Floats) -> Floats:
    """Return the correlations, symmetric to the last bit and with a diagonal of exactly 1."""
    matrix = np.corrcoef(residuals, rowvar=False)
    matrix = np.round((matrix + matrix.T) / 2.0, 6)
    np.fill_diagonal(matrix, 1.0)
    return matrix
