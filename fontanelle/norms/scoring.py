"""Volumes beside what a reference expects: the one place of every z, centile and interval.

On arrays of shape (children, lines), as in `expectations`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fontanelle.norms.comparison import SiteOffset
from fontanelle.norms.expectations import UNKNOWN, Expectation, with_spread, with_sum
from fontanelle.norms.lms import lms_value, lms_z
from fontanelle.norms.small_samples import centile_interval, t_centile, t_half_width
from fontanelle.norms.statistics import Z_95
from fontanelle.norms.values import Reference

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """What site and package add to what is not known; shapes broadcast to (children, lines).

    Attributes
    ----------
    offset, offset_se
        How far normal heads of the site lie from the reference, and the standard error that is
        left; the whole prior while the site was never measured.
    measurement
        SD of repeated measurement by the package; NaN where it was never measured.
    """

    offset: Array
    offset_se: Array
    measurement: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Volumes beside what is expected, shapes (children, lines); names as in `RegionComparison`."""

    expected: Array
    sd: Array
    low: Array
    high: Array
    z: Array
    z_low: Array
    z_high: Array
    centile: Array
    centile_low: Array
    centile_high: Array
    pooled_z: Array
    pooled_centile: Array


def errors_of(
    found: Expectation,
    reference: Reference,
    offsets: Sequence[SiteOffset] | None,
    measurement_error_percent: Mapping[str, float],
) -> Errors:
    """Return what site and package add to what is not known.

    Parameters
    ----------
    found
        Of the same reference.
    offsets
        Of every region in the reference's order; none where the reference is made of the site's
        own children; None where the site was never measured.
    measurement_error_percent
        By region, SD in percent of the typical volume.
    """
    percent = np.array(
        [measurement_error_percent.get(name, UNKNOWN) for name in reference.region_names]
    )
    # Of the sum: as if the package erred in all regions at once. How it does is not known.
    measurement = with_sum(found.typical[:, : len(percent)] * percent / 100.0, reference)
    if offsets is None:
        prior = reference.calibration.prior_sd.value / 100.0
        return Errors(np.zeros(1), prior * found.typical, measurement)
    if not offsets:
        return Errors(np.zeros(1), np.zeros(1), measurement)
    se = np.array([each.se_ml for each in offsets])
    return Errors(
        with_sum(np.array([each.offset_ml for each in offsets]), reference),
        with_spread(se, reference),
        measurement,
    )


def scores(volumes: Array, found: Expectation, errors: Errors) -> Scores:
    """Compute z, centile and all intervals.

    Parameters
    ----------
    volumes
        Shape (children, lines).
    found, errors
        Of the same children and lines.
    """
    variance = found.se**2 + errors.offset_se**2 + np.nan_to_num(errors.measurement) ** 2
    leverage = variance / found.sd**2
    quantile = Z_95 if found.df is None else t_half_width(found.df)
    z, spread = _z(volumes, found, errors), quantile * np.sqrt(leverage)
    low, high = _prediction(found, errors, quantile * np.sqrt(1.0 + leverage))
    centile, centile_low, centile_high = _centiles(z, spread, leverage, found)
    pooled_z = (volumes - found.pooled_mean) / found.pooled_sd
    return Scores(
        expected=found.expected + errors.offset,
        sd=found.sd,
        low=low,
        high=high,
        z=z,
        z_low=z - spread,
        z_high=z + spread,
        centile=centile,
        centile_low=centile_low,
        centile_high=centile_high,
        pooled_z=pooled_z,
        pooled_centile=normal_centile(pooled_z),
    )


def normal_centile(z: Array) -> Array:
    """Return the share of typical children below `z`, 0 to 100."""
    return 100.0 * np.asarray(ndtr(z))


def _z(volumes: Array, found: Expectation, errors: Errors) -> Array:
    at_reference = volumes - errors.offset
    if found.power is None:
        return np.asarray((at_reference - found.expected) / found.sd)
    possible = np.where(at_reference > 0, at_reference, UNKNOWN)
    return lms_z(possible, found.power, found.expected, found.sd / found.expected)


def _prediction(found: Expectation, errors: Errors, width: Array) -> tuple[Array, Array]:
    """Return the ends of the interval for a child's volume, `width` SDs on either side."""
    if found.power is None:
        middle, half = found.expected + errors.offset, width * found.sd
        return middle - half, middle + half
    variation = found.sd / found.expected
    low = lms_value(-width, found.power, found.expected, variation)
    high = lms_value(width, found.power, found.expected, variation)
    return low + errors.offset, high + errors.offset


def _centiles(
    z: Array, spread: Array, leverage: Array, found: Expectation
) -> tuple[Array, Array, Array]:
    if found.df is None:
        return normal_centile(z), normal_centile(z - spread), normal_centile(z + spread)
    # The centile is taken from t, never z from it: z stays the distance in SDs of the sample.
    low, high = centile_interval(z, leverage, found.df)
    return t_centile(z, (found.se / found.sd) ** 2, found.df), low, high
