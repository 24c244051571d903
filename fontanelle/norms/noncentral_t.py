"""The non-centralities between which a non-central t lies, with what was seen in its middle 95 %.

A t of `df` degrees of freedom and non-centrality d is (Z + d) / W: Z a normal variable, W the root
of a mean of `df` squared ones. What was seen, t, is its p-th quantile where P(Z + d <= t W) = p.
With t = sqrt(2 df) tan(a), V = sqrt(2 df) (W - 1) and d = t + g / cos(a) this is

    P(Z cos(a) - V sin(a) <= -g) = p

so that -g is a quantile of a mixture of two variables of mean about 0 and SD about 1. It bends
little between the ends of a: for each df it is solved at some angles and interpolated between them
by a Chebyshev polynomial. Solving it for each t by itself costs a hundred times as much, and
scipy's `nctdtrinc` stops at five digits.
"""

from functools import cache, lru_cache
from math import cos, sin, sqrt
from typing import Final

import numpy as np
from numpy.polynomial.chebyshev import chebfit, chebpts1, chebval
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, roots_legendre

Array = NDArray[np.float64]
UPPER: Final = 0.975
"""The lower limit leaves what was seen at this quantile, the upper one at the rest."""
STEEPEST: Final = float(np.arctan(12.0))
"""Largest angle either way: a child 17 SDs off (11 among five). Beyond it g stays the same."""
DEGREE: Final = 32
"""Of the polynomial: g is right to 1e-7 with 1 degree of freedom, to 1e-11 with 10 or more."""
POINTS: Final = 400
"""Of the quadrature over W."""
WIDEST: Final = 9.0
"""Of V, and more than of any g: what lies beyond has a share below 1e-13."""


def noncentrality_limits(seen: ArrayLike, df: float) -> tuple[Array, Array]:
    """Return the 95 % limits of a non-centrality.

    Parameters
    ----------
    seen
        Values of a non-central t, any shape; NaN where there is none.
    df
        Degrees of freedom, at least 1.
    """
    tangent = np.asarray(seen, dtype=np.float64) / sqrt(2.0 * df)
    # The t of a child below is that of a child above with the signs turned.
    return _lower(tangent, df), -_lower(-tangent, df)


def _lower(tangent: Array, df: float) -> Array:
    angle = np.clip(np.arctan(tangent), -STEEPEST, STEEPEST)
    bend = chebval(angle / STEEPEST, _polynomial(df))
    return np.asarray(sqrt(2.0 * df) * tangent + bend * np.hypot(1.0, tangent))


@lru_cache(maxsize=256)
def _polynomial(df: float) -> Array:
    """Return g at `UPPER` as Chebyshev coefficients in angle / `STEEPEST`."""
    spread, shares = _quadrature(df)

    def solved(angle: float) -> float:
        slope, step = sin(angle), cos(angle)
        return float(
            brentq(
                lambda g: shares @ ndtr((spread * slope - g) / step) - UPPER,
                -WIDEST,
                WIDEST,
                xtol=1e-12,
            )
        )

    at = chebpts1(DEGREE + 1)
    solutions = [solved(STEEPEST * each) for each in at]
    found = np.asarray(chebfit(at, solutions, DEGREE), dtype=np.float64)
    found.flags.writeable = False
    return found


def _quadrature(df: float) -> tuple[Array, Array]:
    """Return values of V = sqrt(2 df) (W - 1) and their shares, shape (points,)."""
    places, weights = _legendre()
    lowest = -min(sqrt(2.0 * df), WIDEST)  # W is not negative
    spread = lowest + (WIDEST - lowest) * (places + 1.0) / 2.0
    w = 1.0 + spread / sqrt(2.0 * df)
    # The density of W but for a factor: it is divided out.
    density = weights * np.exp((df - 1.0) * np.log(w) - df * (w**2 - 1.0) / 2.0)
    return spread, density / density.sum()


@cache
def _legendre() -> tuple[Array, Array]:
    places, weights = roots_legendre(POINTS)
    return places, weights
