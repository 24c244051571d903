"""What a reference expects of children of an age and sex, by the model that it has.

On arrays of shape (children, lines). A line is a region of the reference, in its order; the last
line is the sum of all regions, where the reference has one (`has_sum`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fontanelle.norms.comparison import Sex, Tier
from fontanelle.norms.document import ModelKind
from fontanelle.norms.lms import between_rows
from fontanelle.norms.small_samples import regression_leverage
from fontanelle.norms.values import LmsNorm, Num, Population, Reference, RegionNorm

Array = NDArray[np.float64]
ESTIMATED_TOGETHER = frozenset({Tier.LOCAL, Tier.PUBLISHED})
"""Tiers whose coefficients and SD come from one fit to one sample, so that t applies."""
UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What a reference expects, shapes (children, lines); mL, or the reference's own unit.

    Attributes
    ----------
    expected
        Mean (of skewed lines the median) of typical children of this age and sex.
    sd
        Of typical children of this age and sex; of skewed lines at the median.
    se
        Standard error of `expected`: sampling, and what the coefficients are not known by.
    typical
        What an error in percent refers to: the pooled mean, or the median.
    pooled_mean, pooled_sd
        Over age and sex; NaN where there is none.
    df
        Degrees of freedom where mean and SD were estimated from one sample; None where they count
        as known.
    power
        L of the LMS method; None where typical children scatter normally.
    """

    expected: Array
    sd: Array
    se: Array
    typical: Array
    pooled_mean: Array
    pooled_sd: Array
    df: float | None = None
    power: Array | None = None


def expectation(
    reference: Reference, tier: Tier, age_days: ArrayLike, is_boy: ArrayLike
) -> Expectation:
    """Return what a reference expects of children.

    Parameters
    ----------
    reference
        Whose validity holds every age.
    tier
        The one that decides.
    age_days, is_boy
        Shape (children,); 1 for a boy, 0 for a girl.
    """
    ages, boys = np.asarray(age_days, dtype=np.float64), np.asarray(is_boy, dtype=np.float64)
    linear = reference.linear_regions
    if linear and tier is not Tier.POOLED:
        return _regression(reference, linear, tier, ages, boys)
    skewed = tuple(norm for norm in reference.regions if isinstance(norm, LmsNorm))
    if skewed:
        return _skewed(reference, skewed, ages, boys)
    return _pooled(reference, len(ages))


def has_sum(reference: Reference) -> bool:
    """Tell whether the last line is the sum of the regions: it needs their correlations.

    A regression says itself whether its sum means anything. Of skewed regions there is none: their
    medians do not add up, and how their sum scatters does not follow from L, M and S.
    """
    if reference.correlations is None or reference.kind is ModelKind.LMS:
        return False
    return reference.total is not None or reference.kind is ModelKind.MEAN_SD


def is_estimated_together(reference: Reference, tier: Tier) -> bool:
    """Tell whether the numbers behind a tier come from one fit to one sample."""
    # A calibrated site moves the expectations of the reference's best tier.
    behind = reference.tiers[0] if tier is Tier.CALIBRATED else tier
    return behind in ESTIMATED_TOGETHER


def with_sum(regions: Array, reference: Reference) -> Array:
    """Return values by region with their sum behind them, along the last axis, if it has one."""
    if not has_sum(reference):
        return regions
    return np.concatenate([regions, regions.sum(axis=-1, keepdims=True)], axis=-1)


def with_spread(sds: Array, reference: Reference) -> Array:
    """Return SDs by region and that of their sum: from correlations, never by adding variances."""
    if not has_sum(reference) or reference.correlations is None:
        return sds
    return np.append(sds, np.sqrt(sds @ np.asarray(reference.correlations.central) @ sds))


def _regression(
    reference: Reference, norms: tuple[RegionNorm, ...], tier: Tier, age_days: Array, is_boy: Array
) -> Expectation:
    """Return mean + sex_effect (s - male_share) + age_slope (age - mean age), and its SE."""
    population, n = reference.population, reference.population.n.value
    boys = (is_boy - _known(population.male_share))[:, None]
    age_years = age_days / reference.validity.days_per_year
    years = (age_years - _known(population.age_mean))[:, None]
    mean, pooled_sd = _pooled_columns(reference)
    expected = (
        mean
        + with_sum(_values(norm.sex_effect for norm in norms), reference) * boys
        + with_sum(_values(norm.age_slope for norm in norms), reference) * years
    )
    sd = with_spread(_values(norm.residual_sd for norm in norms), reference)
    is_together = is_estimated_together(reference, tier)
    if is_together:
        se = sd * np.sqrt(_leverage(population, boys, years))
    else:
        # In the sum they add up: all rest on one percentage for sex and one for age.
        of_sex = with_sum(np.array([norm.sex_effect.se or 0.0 for norm in norms]), reference)
        of_age = with_sum(np.array([norm.age_slope.se or 0.0 for norm in norms]), reference)
        se = np.sqrt(sd**2 / n + (boys * of_sex) ** 2 + (years * of_age) ** 2)
    return Expectation(
        expected=expected,
        sd=np.broadcast_to(sd, expected.shape),
        se=se,
        typical=np.broadcast_to(mean, expected.shape),
        pooled_mean=mean,
        pooled_sd=pooled_sd,
        df=n - 3.0 if is_together else None,
    )


def _leverage(population: Population, boys: Array, years: Array) -> Array:
    correlation = population.age_sex_correlation
    return regression_leverage(
        boys,
        years,
        n=population.n.value,
        male_share=_known(population.male_share),
        age_sd=_known(population.age_sd),
        correlation=0.0 if correlation is None else correlation.value,
    )


def _pooled(reference: Reference, children: int) -> Expectation:
    """Return the same for everybody: mean and SD of the whole sample."""
    mean, pooled_sd = _pooled_columns(reference)
    sd = with_spread(pooled_sd[: len(reference.regions)], reference)
    shape, n = (children, len(mean)), reference.population.n.value
    return Expectation(
        expected=np.broadcast_to(mean, shape),
        sd=np.broadcast_to(sd, shape),
        se=np.broadcast_to(sd / np.sqrt(n), shape),
        typical=np.broadcast_to(mean, shape),
        pooled_mean=mean,
        pooled_sd=pooled_sd,
        df=n - 1.0,
    )


def _skewed(
    reference: Reference, norms: tuple[LmsNorm, ...], age_days: Array, is_boy: Array
) -> Expectation:
    """Return the median by the LMS method; its SE as that of a mean, as nobody states another."""
    power, median, variation = (
        np.column_stack(of_norms)
        for of_norms in zip(*(_between(norm, age_days, is_boy) for norm in norms), strict=True)
    )
    sd = median * variation
    nothing = np.full(len(norms), UNKNOWN)
    return Expectation(
        expected=median,
        sd=sd,
        se=sd / np.sqrt(reference.population.n.value),
        typical=median,
        pooled_mean=nothing,
        pooled_sd=nothing,
        power=power,
    )


def _between(norm: LmsNorm, age_days: Array, is_boy: Array) -> Array:
    """Return L, M and S of children, each from the rows of its sex, shape (3, children)."""
    found = np.full((3, len(age_days)), UNKNOWN)
    for sex in Sex:
        of_sex = (is_boy > 0.5) == (sex is Sex.MALE)
        if of_sex.any():
            found[:, of_sex] = between_rows(norm.rows(sex), age_days[of_sex])
    return found


def _pooled_columns(reference: Reference) -> tuple[Array, Array]:
    """Return pooled means and SDs; of the sum's own SD nothing is known but by correlations."""
    norms = [norm for norm in reference.regions if not isinstance(norm, LmsNorm)]
    sd = _values(norm.sd for norm in norms)
    mean = with_sum(_values(norm.mean for norm in norms), reference)
    return mean, np.append(sd, UNKNOWN) if has_sum(reference) else sd


def _values(numbers: Iterable[Num]) -> Array:
    return np.array([number.value for number in numbers])


def _known(number: Num | None) -> float:
    if number is None:
        raise ValueError("a linear reference knows share of boys, mean and SD of age")
    return number.value
