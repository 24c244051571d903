"""Skewed volumes: L, M and S of a cohort by maximum likelihood (Cole and Green 1992).

One L and one S for all ages and both sexes, M a line in sex and age. L follows from skewness, and
that needs many children: with volumes that scatter by 8 % its standard error is about
0.82 / (0.08 sqrt(n)), that is 1.0 at 100 children, 0.6 at 300 and 0.3 at 1,487. An error of 0.6
moves a z of 2 by 0.1, as far as the 5th centile of 300 children is uncertain anyway: hence 300.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq, minimize, minimize_scalar

from fontanelle.norms.lms import lms_z

Floats = NDArray[np.float64]
LEAST = 300
POWERS = (-10.0, 12.0)


@dataclass(frozen=True, slots=True)
class LmsFit:
    """L, M and S of one region.

    Attributes
    ----------
    power, power_low, power_high
        L and its 95 % interval by the likelihood's profile; 1 where volumes scatter normally.
    median_ml, sex_ml, age_ml
        M of the average child, of boys minus girls, and a year.
    variation
        S.
    normal_p
        Whether L = 1 would do: likelihood ratio, one degree of freedom.
    """

    power: float
    power_low: float
    power_high: float
    median_ml: float
    sex_ml: float
    age_ml: float
    variation: float
    normal_p: float


def fit_lms(design: Floats, volumes_ml: Floats) -> LmsFit:
    """Fit one region.

    Parameters
    ----------
    design
        1, sex and age less their means, shape (children, 3).
    volumes_ml
        Shape (children,), positive.
    """
    line = _Likelihood(design, volumes_ml)
    power = float(minimize_scalar(line.cost, bounds=POWERS, method="bounded").x)
    median = line.median(power)
    cost = line.cost(power)
    return LmsFit(
        power=power,
        power_low=_crossing(line, power, POWERS[0], cost),
        power_high=_crossing(line, power, POWERS[1], cost),
        median_ml=float(median[0]),
        sex_ml=float(median[1]),
        age_ml=float(median[2]),
        variation=line.variation(power, median),
        normal_p=float(stats.chi2.sf(max(0.0, 2.0 * (line.cost(1.0) - cost)), 1)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """The likelihood of one region's volumes, as a function of L: M and S at their best."""

    design: Floats
    volumes_ml: Floats

    def cost(self, power: float) -> float:
        """Return minus the log likelihood, but for what does not depend on L, M and S."""
        return self._cost(power, self.median(power))

    def median(self, power: float) -> Floats:
        """Return the coefficients of M: average, sex, age."""
        start, *_ = np.linalg.lstsq(self.design, self.volumes_ml)
        # In units of the average and an SD of about a tenth of it: the search takes even steps.
        unit = 0.1 * start[0]

        def cost(step: Floats) -> float:
            return self._cost(power, start + unit * step)

        found = minimize(cost, np.zeros(len(start)))
        return np.asarray(start + unit * found.x)

    def variation(self, power: float, median: Floats) -> float:
        """Return the S of greatest likelihood."""
        bent = lms_z(self.volumes_ml, power, self.design @ median, 1.0)
        return float(np.sqrt((bent**2).mean()))

    def _cost(self, power: float, median: Floats) -> float:
        expected = self.design @ median
        if expected.min() <= 0:
            return float("inf")
        stretch = power * np.log(self.volumes_ml / expected).sum()
        return float(len(expected) * np.log(self.variation(power, median)) - stretch)


def _crossing(line: _Likelihood, best: float, end: float, cost: float) -> float:
    """Return where the profile has lost half the 95 % point of chi-squared, or the end."""
    wanted = cost + stats.chi2.ppf(0.95, 1) / 2.0
    if line.cost(end) <= wanted:
        return end
    return float(brentq(lambda power: line.cost(power) - wanted, best, end, xtol=1e-3))
