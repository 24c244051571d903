"""Many regions at once: that some are low is usual. How usual, and when it is one finding.

The shares follow from the reference's own correlations, by simulation; they are cached by the
matrix itself, which the reference's digest seals.
"""

from collections.abc import Sequence
from functools import cache
from itertools import compress
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Multiplicity
from fontanelle.norms.statistics import DIRECTIONS, NORMAL, Matrix, directions

LOW_CENTILE = 5.0
LOW_Z = NORMAL.inv_cdf(LOW_CENTILE / 100.0)
DIRECTIONS_OF_PART = DIRECTIONS // 8
"""Where regions are missing, of which there are many ways; the shares scatter by 0.1 points."""
SMALL_HEAD_SHARE = 0.7
"""Of the regions: seven of ten are low together in 2 % of typical children (xi2025)."""


@cache
def shares_with_as_many(correlations: Matrix, draws: int = DIRECTIONS) -> tuple[float, ...]:
    """Return the share of typical children with k or more regions below the 5th centile.

    Parameters
    ----------
    correlations
        Positive definite, of the regions' residuals; n regions.
    draws
        Simulated directions in which children differ.

    Returns
    -------
    tuple of float
        Percent for k = 0 to n; the first is 100.
    """
    towards = directions(correlations, draws)
    regions = towards.shape[1]
    shares = np.zeros(regions)
    # A child and its mirror image are equally likely: both directions are used.
    for each in (towards, -towards):
        shares += _shares(each)
    return (100.0, *(float(share) for share in 50.0 * shares))


def _shares(towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of children with 1, 2 ... n low regions, over directions (draws, n)."""
    # At distance r from the average child a region has r u. The k lowest are low together beyond
    # the r at which the k-th lowest is; r is a chi variable and integrated exactly.
    regions = towards.shape[1]
    lowest_first = np.sort(towards, axis=1)
    with np.errstate(divide="ignore"):
        distance = np.where(lowest_first < 0, LOW_Z / lowest_first, np.inf)
    return np.asarray(chdtrc(regions, distance**2).mean(axis=0))


def multiplicity(
    correlations: Matrix, limit: float, is_compared: Sequence[bool], below_5th_centile: int
) -> Multiplicity:
    """Say what so many low regions mean.

    Parameters
    ----------
    correlations
        Of all regions of the reference.
    limit
        |z| beyond which a region is flagged.
    is_compared
        Which regions were.
    below_5th_centile
        How many of these are.
    """
    regions = sum(is_compared)
    return Multiplicity(
        limit=limit,
        below_5th_centile=below_5th_centile,
        of=regions,
        share_percent=shares_of_part(correlations, is_compared)[below_5th_centile],
        is_small_head=is_small_head(below_5th_centile, regions),
    )


def shares_of_part(correlations: Matrix, is_compared: Sequence[bool]) -> tuple[float, ...]:
    """Return the shares of `shares_with_as_many` where only some regions were compared."""
    if all(is_compared):
        return shares_with_as_many(correlations)
    compared = compress(correlations, is_compared)
    part = tuple(tuple(compress(row, is_compared)) for row in compared)
    return shares_with_as_many(part, DIRECTIONS_OF_PART) if part else (100.0,)


def is_small_head(below_5th_centile: int, regions: int) -> bool:
    """Tell whether so many regions are low that it is one finding."""
    return regions > 1 and below_5th_centile >= ceil(SMALL_HEAD_SHARE * regions)


def small_head(found: Multiplicity) -> Reason:
    """Return the one finding that many low regions are."""
    return Reason(
        Code.SMALL_HEAD,
        f"{base_rate(found)} This is one finding, a small head, and not one of each region: see "
        "the head circumference.",
    )


def base_rate(found: Multiplicity) -> str:
    """Say how many regions are low, and in how many typical children as many are."""
    if not found.below_5th_centile:
        return f"None of {found.of} regions lies below its 5th centile."
    lie = "lies below its" if found.below_5th_centile == 1 else "lie below their"
    return (
        f"{found.below_5th_centile} of {found.of} regions {lie} 5th centile; "
        f"{found.share_percent:.1f} % of typical children have as many or more."
    )
