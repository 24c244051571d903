"""Agreement of volumes: error and bias first, then the coefficients that papers print.

Everything here is a pure function of numbers. Truth comes first, what was found second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

DRAWS = 1000
"""Bootstrap samples; the ends of an interval scatter by a few per cent of its width."""
LEVEL_PERCENT = 95.0
SEED = 1979


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its interval.

    Attributes
    ----------
    low, high
        95 %, people drawn anew; NaN where there is one person only.
    people
        How many distinct people it rests on, however many scans there are of each.
    """

    value: float
    low: float
    high: float
    people: int


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Mean difference found - truth, and its limits of agreement (1.96 SD), in the data's unit."""

    bias: float
    low: float
    high: float


def error_percent(truth: Values, found: Values) -> Values:
    """Return the signed volume error in per cent of the truth."""
    return 100.0 * (found - truth) / truth


def icc(ratings: Values) -> float:
    """Return ICC(2,1): two-way random, absolute agreement, one rating.

    Shrout and Fleiss 1979, doi 10.1037/0033-2909.86.2.420.

    Parameters
    ----------
    ratings
        Shape (subjects, raters); for example truth and found as two raters.
    """
    subjects, raters = ratings.shape
    grand = ratings.mean()
    rows, columns = ratings.mean(axis=1), ratings.mean(axis=0)
    between = raters * ((rows - grand) ** 2).sum() / (subjects - 1)
    judges = subjects * ((columns - grand) ** 2).sum() / (raters - 1)
    rest = ((ratings - rows[:, None] - columns + grand) ** 2).sum()
    error = rest / ((subjects - 1) * (raters - 1))
    below = between + (raters - 1) * error + raters * (judges - error) / subjects
    return float((between - error) / below) if below else float("nan")


def icc_at_spread(errors_percent: Values, spread_percent: float, slope: float = 1.0) -> float:
    """Return the ICC(2,1) of truth and found that these errors give in a population.

    An ICC grows with the spread of the heads it is computed on, so heads drawn far apart flatter
    a network. This is what is expected of `icc` where the truths have a given spread; it is also
    Lin's concordance (1989, doi 10.2307/2532051).

    Parameters
    ----------
    errors_percent
        Signed volume errors.
    spread_percent
        SD of the true volumes in the population, per cent of their mean.
    slope
        How much of a true change is found; below 1 the volumes are pulled together.
    """
    shared = slope * spread_percent**2
    disagreement = float(np.var(errors_percent) + np.mean(errors_percent) ** 2)
    return 2 * shared / (spread_percent**2 + slope**2 * spread_percent**2 + disagreement)


def reliability_at_spread(errors_percent: Values, spread_percent: float) -> float:
    """Return the share of the found volumes' variance that is true: stricter than the ICC.

    The ICC shares an error out between truth and found; here found has all of it.
    """
    disagreement = float(np.mean(np.square(errors_percent)))
    return spread_percent**2 / (spread_percent**2 + disagreement)


def pearson(truth: Values, found: Values) -> float:
    """Return Pearson's correlation; NaN where one of the two does not vary."""
    apart = (truth - truth.mean(), found - found.mean())
    below = float(np.sqrt((apart[0] ** 2).sum() * (apart[1] ** 2).sum()))
    return float((apart[0] * apart[1]).sum()) / below if below else float("nan")


def r_squared(truth: Values, found: Values) -> float:
    """Return the share of the truth's variance explained by `found` as it stands.

    About the line of identity, not about a fitted one: a bias lowers it, and it may be negative.
    """
    total = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((found - truth) ** 2).sum()) / total if total else float("nan")


def bland_altman(truth: Values, found: Values) -> BlandAltman:
    """Return bias and limits of agreement (1986, doi 10.1016/S0140-6736(86)90837-8)."""
    difference = found - truth
    bias = float(difference.mean())
    reach = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    return BlandAltman(bias, bias - reach, bias + reach)


def slope_within(planted: Values, measured: Values, groups: Sequence[str]) -> float:
    """Return the least-squares slope of measured on planted, with an intercept for each group.

    What a head measures before anything was planted differs from head to head and is no
    shrinkage, so each head (each region of a head) keeps its own level.
    """
    names = np.asarray(groups)
    x, y = planted.astype(np.float64), measured.astype(np.float64)
    for name in dict.fromkeys(groups):
        of_group = names == name
        x[of_group] -= x[of_group].mean()
        y[of_group] -= y[of_group].mean()
    below = float((x**2).sum())
    return float((x * y).sum()) / below if below else float("nan")


def variation_percent(values: Values) -> float:
    """Return the coefficient of variation: SD in per cent of the mean."""
    return 100.0 * float(values.std(ddof=1)) / float(values.mean())


def over_people(statistic: Callable[[NDArray[np.intp]], float], people: Sequence[str]) -> Estimate:
    """Estimate a statistic and its interval by a bootstrap clustered by person.

    Parameters
    ----------
    statistic
        Takes the indices of the rows to be used.
    people
        Of each row. Scans of one person stay together: many scans of few people are few people.
    """
    owners = np.asarray(people)
    everyone = list(dict.fromkeys(people))
    rows = [np.flatnonzero(owners == person) for person in everyone]
    value = statistic(np.arange(len(owners)))
    if len(everyone) < 2:
        return Estimate(value, float("nan"), float("nan"), len(everyone))
    random = np.random.default_rng(SEED)
    drawn = [
        statistic(np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))]))
        for _ in range(DRAWS)
    ]
    tail = (100.0 - LEVEL_PERCENT) / 2
    low, high = np.nanpercentile(drawn, (tail, 100.0 - tail))
    return Estimate(value, float(low), float(high), len(everyone))
