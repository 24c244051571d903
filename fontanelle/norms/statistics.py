"""The little statistics that a comparison needs: centiles, and limits for many regions at once."""

from functools import cache
from math import erfc, expm1, log1p, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc

NORMAL = NormalDist()
Z_95 = NORMAL.inv_cdf(0.975)
"""Half width of a two-sided 95 % interval, in standard errors."""
FAMILY_WISE_LEVEL = 0.05
"""Share of typical children who may have any flag at all among the regions."""
DIRECTIONS = 200_000
"""Simulated children. The limit scatters by 0.0015 between seeds and is used to two decimals."""
SEED = 20250

Matrix = tuple[tuple[float, ...], ...]


def centile(z: float) -> float:
    """Return the share of typical children below `z`, 0 to 100."""
    return 50.0 * erfc(-z / sqrt(2.0))


def asymmetry_index(left_ml: float, right_ml: float) -> float | None:
    """Return 200 (L - R) / (L + R) in percent; None where both sides are empty."""
    total_ml = left_ml + right_ml
    return 200.0 * (left_ml - right_ml) / total_ml if total_ml > 0 else None


def level_of_each(count: int, level: float = FAMILY_WISE_LEVEL) -> float:
    """Return the level at which each of `count` independent tests fails a share `level` of all.

    Sidak 1967 (J Am Stat Assoc 62:626). Tests that go together fail fewer.
    """
    return -expm1(log1p(-level) / count)


def independent_limit(count: int, level: float = FAMILY_WISE_LEVEL) -> float:
    """Return the two-sided limit for |z| of `count` independent measures."""
    return NORMAL.inv_cdf(1.0 - level_of_each(count, level) / 2.0)


@cache
def family_wise_limit(correlations: Matrix, level: float = FAMILY_WISE_LEVEL) -> float:
    """Return the |z| that a share `level` of typical children exceeds in any region.

    The limit is rounded to two decimals, so that the one printed is the one used.

    Parameters
    ----------
    correlations
        Positive definite, of the regions' residuals.
    level
        Share of typical children with at least one region beyond the limit, 0 to 1.
    """
    largest = _largest_by_direction(correlations)
    regions = len(correlations)

    def share_beyond(limit: float) -> float:
        return float(chdtrc(regions, (limit / largest) ** 2).mean())

    return round(float(brentq(lambda limit: share_beyond(limit) - level, 0.0, 40.0)), 2)


def _largest_by_direction(correlations: Matrix) -> NDArray[np.float64]:
    """Return max |z| of typical children at unit distance from the average one, shape (draws,)."""
    return np.asarray(np.abs(directions(correlations)).max(axis=1))


def directions(correlations: Matrix, draws: int = DIRECTIONS) -> NDArray[np.float64]:
    """Return z of typical children at unit distance from the average one, shape (draws, regions).

    Only the direction in which a child differs is drawn. How far it differs is a chi variable and
    is integrated exactly, which halves the scatter and makes a single region's limit exact.
    """
    drawn = np.random.default_rng(SEED).standard_normal((draws, len(correlations)))
    at_unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(at_unit @ np.linalg.cholesky(np.asarray(correlations)).T)
