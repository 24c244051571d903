"""The sum of all regions, shares of it, and the package's own measured error."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Flag, Sex
from tests.unit.norms.cases import (
    BOY,
    BOY_OF_723_DAYS,
    BOYS_VOLUMES_ML,
    CALIBRATED,
    GIRL,
    GIRL_OF_560_DAYS,
    MEANS_ML,
    UNCALIBRATED,
    XI,
    region,
    volumes_of,
)


# By the formula of docs/references.md, and by ordinary least squares on an artificial cohort.
@pytest.mark.parametrize(
    ("child", "table", "expected_ml", "z"),
    [
        (BOY, BOY_OF_723_DAYS, 1039.9202, -0.7884),
        (GIRL, GIRL_OF_560_DAYS, 910.0201, -1.1295),
    ],
)
def test_the_sum_has_the_worked_numbers(child, table, expected_ml, z) -> None:
    total = compare(volumes_of(table), child, XI, CALIBRATED).total

    assert total.region == "total"
    assert (total.expected_ml, total.z) == pytest.approx((expected_ml, z), abs=1e-4)
    assert total.sd_ml == pytest.approx(74.478, abs=1e-3)
    assert total.pooled_z is None


@pytest.mark.parametrize(
    ("sex", "age_days", "expected_ml", "z"),
    [
        ("M", 548, 991.9067, 0.1370),
        ("M", 913, 1092.0491, -1.2076),
        ("F", 548, 906.7277, 1.2807),
        ("F", 913, 1006.8701, -0.0639),
    ],
)
def test_the_sum_of_the_published_means_at_the_ends(sex, age_days, expected_ml, z) -> None:
    total = compare(MEANS_ML, Child(age_days, Sex(sex)), XI, CALIBRATED).total

    assert (total.expected_ml, total.z) == pytest.approx((expected_ml, z), abs=1e-4)


def test_the_sums_sd_comes_from_the_correlations_not_from_adding_variances() -> None:
    sds = np.array([norm.residual_sd.value for norm in XI.linear_regions])
    draws = np.random.default_rng(3).multivariate_normal(
        np.zeros(10), XI.correlations.central * np.outer(sds, sds), 200_000, method="cholesky"
    )

    total = compare(MEANS_ML, BOY, XI, CALIBRATED).total

    assert total.sd_ml == pytest.approx(draws.sum(axis=1).std(), rel=0.01)
    assert np.sqrt((sds**2).sum()) == pytest.approx(29.9, abs=0.1)


def test_the_sums_interval_holds_coefficients_sampling_and_the_sites_prior() -> None:
    total = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED).total
    before = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED).total

    # By hand: s - p = 0.444519, a - 1.98 = -0.000534; SE of sex and age are sums of those of the
    # regions (2.5 and 3 % of 1002.11 over 1.96), the prior is 6 % of 1002.11.
    step = 1 - 826 / 1487
    variance = 74.478**2 / 1487 + (step * 25.05275 / 1.959964) ** 2
    assert (total.z_high - total.z_low) / 2 == pytest.approx(
        1.959964 * np.sqrt(variance) / 74.478, rel=1e-3
    )
    variance += (0.06 * 1002.11) ** 2
    assert (before.high_ml - before.expected_ml) == pytest.approx(
        1.959964 * np.sqrt(74.478**2 + variance), rel=1e-3
    )


def test_a_sum_with_a_missing_region_is_not_compared() -> None:
    comparison = compare(BOYS_VOLUMES_ML | {"brainstem": 0.0}, BOY, XI, CALIBRATED)

    assert (comparison.total.z, comparison.total.flag) == (None, Flag.NOT_COMPARED)
    assert [reason.code for reason in comparison.total.reasons] == [Code.QUALITY_REGION_EMPTY]
    assert comparison.multiplicity.of == 9


@pytest.mark.parametrize("age_days", [730, 2000])
def test_shares_add_up_to_a_hundred_with_or_without_a_reference(age_days) -> None:
    comparison = compare(BOYS_VOLUMES_ML, Child(age_days, Sex.MALE), XI, UNCALIBRATED)

    shares = [line.share_percent for line in comparison.regions]
    assert sum(shares) == pytest.approx(100)
    # 204.5 of 981.2 mL
    assert shares[0] == pytest.approx(20.8418, abs=1e-4)
    assert comparison.total.share_percent is None


def measured(percent: float):
    return replace(CALIBRATED, measurement_error_percent=dict.fromkeys(XI.region_names, percent))


@pytest.mark.parametrize(("percent", "wider"), [(1.0, 0.24), (2.0, 0.48), (3.0, 0.72), (5.0, 1.20)])
def test_the_packages_measured_error_widens_the_intervals_and_moves_no_z(percent, wider) -> None:
    without = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED)
    widened = compare(BOYS_VOLUMES_ML, BOY, XI, measured(percent))

    for line, wide, norm in zip(without.regions, widened.regions, XI.linear_regions, strict=True):
        assert (wide.z, wide.centile, wide.expected_ml) == (
            line.z,
            line.centile,
            line.expected_ml,
        )
        half, wide_half = (each.z_high - each.z for each in (line, wide))
        added = 1.959964 * percent / 100 * norm.mean.value / norm.residual_sd.value
        assert wide_half == pytest.approx(np.hypot(half, added), rel=1e-6)
        assert wide.high_ml - wide.low_ml > line.high_ml - line.low_ml
        assert (line.measurement_error_percent, wide.measurement_error_percent) == (
            None,
            pytest.approx(percent),
        )
    # On average over the regions, as docs/references.md has it.
    ratio = np.mean([n.mean.value / n.residual_sd.value for n in XI.linear_regions])
    assert 1.959964 * percent / 100 * ratio == pytest.approx(wider, abs=0.02)


def test_an_error_that_was_measured_of_one_region_is_that_regions_own() -> None:
    one = replace(CALIBRATED, measurement_error_percent={"brainstem": 4.0})

    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, one)
    without = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED)

    assert region(comparison, "cerebellum") == region(without, "cerebellum")
    assert region(comparison, "brainstem").measurement_error_percent == pytest.approx(4.0)
    # Of the sum it is not known then.
    assert comparison.total.measurement_error_percent is None


@given(st.floats(0.1, 8.0), st.floats(0.1, 8.0))
@settings(max_examples=30)
def test_a_larger_error_is_a_wider_interval(one, other) -> None:
    small, large = sorted((one, other))
    narrow = compare(BOYS_VOLUMES_ML, BOY, XI, measured(small)).regions
    wide = compare(BOYS_VOLUMES_ML, BOY, XI, measured(large)).regions

    for less, more in zip(narrow, wide, strict=True):
        assert more.z_low <= less.z_low <= less.z_high <= more.z_high
        assert more.centile_low <= less.centile_low <= less.centile_high <= more.centile_high
