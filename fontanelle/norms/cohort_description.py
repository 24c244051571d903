"""A cohort described by sex, and whether it is balanced: Tables 1 and 2 of an article on norms."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fontanelle.norms.cohort import Cohort
from fontanelle.norms.values import Reference

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages of some children, years."""

    n: int
    mean: float
    sd: float
    median: float
    youngest: float
    oldest: float


@dataclass(frozen=True, slots=True)
class Balance:
    """What would disturb a regression, tested.

    Attributes
    ----------
    age_by_sex_p, age_by_sex_rank_p
        Whether boys and girls differ in age: Welch's t, and Mann and Whitney's U.
    sexes_p
        Whether boys and girls are equally many: exact binomial test.
    uniform_age_p
        Whether ages are spread evenly over their range: Kolmogorov and Smirnov.
    share_beside_p, age_beside_p
        Whether share of boys and mean age differ from those of the reference beside it; None
        where that does not state them.
    """

    age_by_sex_p: float
    age_by_sex_rank_p: float
    sexes_p: float
    uniform_age_p: float
    share_beside_p: float | None
    age_beside_p: float | None


@dataclass(frozen=True, slots=True)
class BySex:
    """One region's volumes in boys and in girls.

    `p` is Welch's, `d` Cohen's (boys minus girls in pooled SDs), both without regard to age;
    `shapiro_boys_p` and `shapiro_girls_p` are of normality.
    """

    region: str
    boys_mean_ml: float
    boys_sd_ml: float
    girls_mean_ml: float
    girls_sd_ml: float
    p: float
    d: float
    shapiro_boys_p: float
    shapiro_girls_p: float


@dataclass(frozen=True, slots=True)
class Description:
    """Who the children are."""

    boys: Ages
    girls: Ages
    together: Ages
    balance: Balance
    regions: tuple[BySex, ...]


def describe(cohort: Cohort, beside: Reference) -> Description:
    """Describe a cohort by sex, and beside the children of another reference."""
    age_years = cohort.age_days / beside.validity.days_per_year
    is_boy = cohort.is_boy
    volumes_ml = np.column_stack([cohort.volumes_ml, cohort.volumes_ml.sum(axis=1)])
    return Description(
        boys=_ages(age_years[is_boy]),
        girls=_ages(age_years[~is_boy]),
        together=_ages(age_years),
        balance=_balance(age_years, is_boy, beside),
        regions=tuple(
            _by_sex(name, volumes_ml[is_boy, at], volumes_ml[~is_boy, at])
            for at, name in enumerate((*cohort.regions, "total"))
        ),
    )


def _ages(years: Floats) -> Ages:
    return Ages(
        n=len(years),
        mean=float(years.mean()),
        sd=float(years.std(ddof=1)),
        median=float(np.median(years)),
        youngest=float(years.min()),
        oldest=float(years.max()),
    )


def _balance(years: Floats, is_boy: NDArray[np.bool_], beside: Reference) -> Balance:
    boys, girls = years[is_boy], years[~is_boy]
    population, span = beside.population, float(np.ptp(years))
    share, mean, sd = population.male_share, population.age_mean, population.age_sd
    return Balance(
        age_by_sex_p=_welch_p(boys, girls),
        age_by_sex_rank_p=float(stats.mannwhitneyu(boys, girls).pvalue),
        sexes_p=float(stats.binomtest(len(boys), len(years)).pvalue),
        uniform_age_p=float(stats.kstest(years, "uniform", args=(years.min(), span)).pvalue),
        share_beside_p=None
        if share is None
        else _proportions_p(len(boys), len(years), share.value, population.n.value),
        age_beside_p=None
        if mean is None or sd is None
        else _means_p(years, mean.value, sd.value, round(population.n.value)),
    )


def _by_sex(region: str, boys: Floats, girls: Floats) -> BySex:
    boys_sd, girls_sd = float(boys.std(ddof=1)), float(girls.std(ddof=1))
    df = len(boys) + len(girls) - 2
    pooled = sqrt(((len(boys) - 1) * boys_sd**2 + (len(girls) - 1) * girls_sd**2) / df)
    return BySex(
        region=region,
        boys_mean_ml=float(boys.mean()),
        boys_sd_ml=boys_sd,
        girls_mean_ml=float(girls.mean()),
        girls_sd_ml=girls_sd,
        p=_welch_p(boys, girls),
        d=float(boys.mean() - girls.mean()) / pooled,
        shapiro_boys_p=float(stats.shapiro(boys).pvalue),
        shapiro_girls_p=float(stats.shapiro(girls).pvalue),
    )


def _welch_p(one: Floats, other: Floats) -> float:
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)


def _means_p(years: Floats, mean: float, sd: float, n: int) -> float:
    """Welch's t of a sample against another of which only mean, SD and n are known."""
    test = stats.ttest_ind_from_stats(
        years.mean(), years.std(ddof=1), len(years), mean, sd, n, equal_var=False
    )
    return float(test.pvalue)


def _proportions_p(boys: int, n: int, share: float, beside_n: float) -> float:
    """Chi-squared of two samples' shares, without correction."""
    beside_boys = round(share * beside_n)
    table = [[boys, n - boys], [beside_boys, round(beside_n) - beside_boys]]
    return float(stats.chi2_contingency(table, correction=False).pvalue)
