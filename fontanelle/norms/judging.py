"""What scores mean: what is not to be believed, what is beyond which limit, left against right.

On arrays: (children, lines) as in `expectations`, and (children, pairs).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.norms.multiplicity import LOW_CENTILE
from fontanelle.norms.scoring import Array, Scores, normal_centile
from fontanelle.norms.statistics import Z_95, family_wise_limit, independent_limit
from fontanelle.norms.values import Reference

Mask = NDArray[np.bool_]

IMPLAUSIBLE_Z = 5.0
"""No child is believed to lie further out: rather the segmentation is wrong."""
IMPLAUSIBLE_RATIO = 1.3
"""Larger to smaller side of a pair. A lobe that small is seen, not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Unfit:
    """Which volumes are not worth a comparison, shapes (children, regions)."""

    is_empty: Mask
    is_lopsided: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What scores mean; shapes (children, lines), or (children, pairs).

    Attributes
    ----------
    is_far
        Further from what is expected than anybody believes, and not unfit already.
    is_compared
        Neither unfit nor far. The sum is compared where all regions are.
    side
        -1 where low, 1 where high beyond the limit of a flag, 0 within.
    is_noted
        Within the limit of a flag, but outside the middle 95 % of typical children.
    is_low
        Below the 5th centile.
    """

    is_far: Mask
    is_compared: Mask
    side: NDArray[np.int8]
    is_noted: Mask
    is_low: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Asymmetries:
    """Left against right, percent, shapes (children, pairs); NaN where both sides are empty."""

    index: Array
    z: Array


def limit_of(reference: Reference) -> float:
    """Return the |z| beyond which a region is flagged."""
    if reference.correlations is None:
        return independent_limit(len(reference.regions))
    return family_wise_limit(reference.correlations.central)


def limit_of_pairs(reference: Reference) -> float:
    """Return the |z| beyond which an asymmetry is flagged."""
    return independent_limit(max(len(reference.asymmetry), 1))


def unfit(volumes: Array, reference: Reference) -> Unfit:
    """Return which regions' volumes are not worth a comparison.

    Parameters
    ----------
    volumes
        Of the regions, shape (children, regions).
    reference
        Whose pairs tell left and right.
    """
    is_lopsided = np.zeros(volumes.shape, dtype=np.bool_)
    for left, right in pairs_of(reference):
        sides = volumes[:, [left, right]]
        differ = sides.max(axis=1) > IMPLAUSIBLE_RATIO * sides.min(axis=1)
        is_lopsided[:, left] |= differ
        is_lopsided[:, right] |= differ
    return Unfit(volumes <= 0, is_lopsided)


def pairs_of(reference: Reference) -> list[tuple[int, int]]:
    """Return the places of left and right of each pair among the regions."""
    at = {name: place for place, name in enumerate(reference.region_names)}
    return [(at[norm.left], at[norm.right]) for norm in reference.asymmetry]


def judged(found: Scores, not_fit: Unfit, limit: float) -> Judged:
    """Judge the lines of children by their centiles, which hold for small samples, too."""
    is_unfit = _of_lines(not_fit.is_empty | not_fit.is_lopsided, found)
    # What has no z (a skewed volume of nothing) is as far out as can be.
    is_far = ~is_unfit & ~(np.abs(found.z) <= IMPLAUSIBLE_Z)
    is_compared = ~is_unfit & ~is_far
    regions = not_fit.is_empty.shape[1]
    is_compared[:, regions:] &= is_compared[:, :regions].all(axis=1, keepdims=True)
    side = _side(found.centile, limit)
    is_beyond = _side(found.centile, Z_95) != 0
    return Judged(
        is_far=is_far,
        is_compared=is_compared,
        side=side,
        is_noted=is_beyond & (side == 0),
        is_low=found.centile < LOW_CENTILE,
    )


def asymmetries(volumes: Array, reference: Reference) -> Asymmetries:
    """Compare the asymmetry indices 200 (L - R) / (L + R) of children with the population's."""
    places = np.array(pairs_of(reference), dtype=np.int64).reshape(-1, 2)
    left, right = volumes[:, places[:, 0]], volumes[:, places[:, 1]]
    both = left + right
    index = 200.0 * (left - right) / np.where(both > 0, both, np.nan)
    mean = np.array([norm.mean.value for norm in reference.asymmetry])
    sd = np.array([norm.sd.value for norm in reference.asymmetry])
    return Asymmetries(index, (index - mean) / sd)


def _side(centile: Array, limit: float) -> NDArray[np.int8]:
    """Return -1 below, 1 above the centiles that a typical child has at -+ `limit` SD."""
    low, high = normal_centile(np.array([-limit, limit]))
    return _signs(centile < low, centile > high)


def side_of_z(z: Array, limit: float) -> NDArray[np.int8]:
    """Return -1 below, 1 above a limit of z."""
    return _signs(z < -limit, z > limit)


def _signs(is_low: Mask, is_high: Mask) -> NDArray[np.int8]:
    return np.asarray(is_high.astype(np.int8) - is_low.astype(np.int8), dtype=np.int8)


def _of_lines(regions: Mask, found: Scores) -> Mask:
    """Return a mask of regions as one of lines: the sum is as unfit as its worst region."""
    lines = found.z.shape[1]
    if lines == regions.shape[1]:
        return regions
    return np.concatenate([regions, regions.any(axis=1, keepdims=True)], axis=1)
