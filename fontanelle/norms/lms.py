"""The LMS method: z of a skewed measure from its median M, its variation S and a power L.

Cole and Green 1992 (Stat Med 11:1305). Works on numbers and on arrays, in any unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = Array | float
LOG_NORMAL_BELOW = 1e-7
"""|L| under which the power is taken as its limit, the logarithm."""


@dataclass(frozen=True, slots=True)
class Lms:
    """A skewed distribution: power L, median M, coefficient of variation S."""

    power: float
    median: float
    variation: float

    def z(self, value: float) -> float:
        """Return the z of a positive value."""
        return float(lms_z(value, self.power, self.median, self.variation))

    def value(self, z: float) -> float:
        """Return the value of a z.

        Raises
        ------
        ValueError
            Where the distribution ends before that z.
        """
        return float(lms_value(z, self.power, self.median, self.variation))


@dataclass(frozen=True, slots=True)
class LmsRow:
    """L, M and S at one age, days."""

    age_days: float
    lms: Lms


def lms_z(value: Values, power: Values, median: Values, variation: Values) -> Array:
    """Return z = ((x/M)^L - 1) / (L S), or ln(x/M) / S where L is 0.

    Parameters
    ----------
    value
        Above 0, in the unit of `median`.
    power, median, variation
        L, M and S; all broadcast.
    """
    ratio = np.asarray(value, dtype=np.float64) / median
    is_log, usable = _powers(power)
    bent = (ratio**usable - 1.0) / usable
    return np.asarray(np.where(is_log, np.log(ratio), bent) / variation)


def lms_value(z: Values, power: Values, median: Values, variation: Values) -> Array:
    """Return the value of a z: x = M (1 + L S z)^(1/L), or M exp(S z) where L is 0.

    Raises
    ------
    ValueError
        Where 1 + L S z is not above 0: no child has this z.
    """
    is_log, usable = _powers(power)
    scaled = np.asarray(variation, dtype=np.float64) * z
    base = np.where(is_log, 1.0, 1.0 + usable * scaled)
    if np.any(base <= 0.0):
        raise ValueError("no value has this z: 1 + L S z is not above 0")
    return np.asarray(np.where(is_log, np.exp(scaled), base ** (1.0 / usable)) * median)


def _powers(power: Values) -> tuple[NDArray[np.bool_], Array]:
    """Tell where L counts as 0, and return L with a harmless 1 there."""
    given = np.asarray(power, dtype=np.float64)
    is_log = np.asarray(np.abs(given) < LOG_NORMAL_BELOW)
    return is_log, np.where(is_log, 1.0, given)


def between_rows(rows: Sequence[LmsRow], age_days: Array) -> tuple[Array, Array, Array]:
    """Return L, M and S of ages, each linear between rows; nothing is extrapolated.

    Parameters
    ----------
    rows
        By ascending age.
    age_days
        Ages asked for; the answers have its shape.

    Raises
    ------
    ValueError
        Where an age lies outside the rows.
    """
    ages = [row.age_days for row in rows]
    if np.any((age_days < ages[0]) | (age_days > ages[-1])):
        raise ValueError(f"the rows end at {ages[0]:g} and {ages[-1]:g}")
    return (
        np.asarray(np.interp(age_days, ages, [row.lms.power for row in rows])),
        np.asarray(np.interp(age_days, ages, [row.lms.median for row in rows])),
        np.asarray(np.interp(age_days, ages, [row.lms.variation for row in rows])),
    )
