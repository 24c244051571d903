"""A child beside a sample whose mean, SD or regression were estimated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Sex, Tier
from fontanelle.norms.small_samples import (
    centile_interval,
    regression_leverage,
    t_centile,
    t_half_width,
    t_statistic,
)
from tests.unit.norms.cases import BOY, BOYS_VOLUMES_ML, CALIBRATED, MEANS_ML, UNCALIBRATED, XI


# x = 70, mean 100, SD 15. By scipy's non-central t, and by 2 million posterior draws.
@pytest.mark.parametrize(
    ("n", "t", "centile", "low", "high"),
    [
        (20, -1.9518, 3.2930, 0.2895, 11.0675),
        (50, -1.9803, 2.6650, 0.6592, 6.5016),
        (1487, -1.9993, 2.2877, 1.8402, 2.7949),
    ],
)
def test_a_child_is_compared_with_few_controls_as_crawford_and_howell_do(
    n, t, centile, low, high
) -> None:
    effect, leverage = (70.0 - 100.0) / 15.0, 1.0 / n

    assert t_statistic(effect, leverage) == pytest.approx(t, abs=1e-4)
    assert t_centile(effect, leverage, n - 1) == pytest.approx(centile, abs=1e-4)
    assert centile_interval(effect, leverage, n - 1) == pytest.approx((low, high), abs=1e-4)


def test_a_child_is_compared_with_a_small_regression_as_crawford_and_garthwaite_do() -> None:
    # 120 children, 66 boys, mean age 1.97, SD 0.27; mean 201, sex 17.2, slope 19, s 16; a boy of
    # 723 days with 170 mL. By statsmodels' prediction.
    age = 723 / 365.25 - 1.97
    leverage = regression_leverage(1 - 0.55, age, n=120, male_share=0.55, age_sd=0.27)
    expected = 201.0 + 17.2 * (1 - 0.55) + 19.0 * age
    effect = (170.0 - expected) / 16.0
    new_sd = 16.0 * np.sqrt(1 + leverage)
    half = t_half_width(117) * new_sd

    assert expected == pytest.approx(208.9199, abs=1e-4)
    assert leverage == pytest.approx(0.015162, abs=1e-6)
    assert new_sd == pytest.approx(16.1208, abs=1e-4)
    assert t_statistic(effect, leverage) == pytest.approx(-2.4143, abs=1e-4)
    assert t_centile(effect, leverage, 117) == pytest.approx(0.8659, abs=1e-4)
    assert (expected - half, expected + half) == pytest.approx((176.9934, 240.8463), abs=1e-4)


def small_reference(n: int, tier: Tier):
    """Return the reference as if `n` children had been measured for it, in one fit."""
    population = replace(XI.population, n=replace(XI.population.n, value=float(n)))
    return replace(XI, population=population, tiers=(tier,))


@pytest.mark.parametrize("tier", [Tier.LOCAL, Tier.PUBLISHED])
def test_coefficients_estimated_together_take_t_and_the_leverage_of_the_design(tier) -> None:
    reference = small_reference(60, tier)
    offsets = () if tier is Tier.LOCAL else CALIBRATED.offsets

    found = compare(BOYS_VOLUMES_ML, BOY, reference, replace(CALIBRATED, offsets=offsets))

    # Another route: (X'X)^-1 of a design with exactly these moments, s, age and their means.
    share, sd = XI.population.male_share.value, XI.population.age_sd.value
    inverse = np.linalg.inv(60 * np.diag([1.0, share * (1 - share), sd**2]))
    x0 = np.array([1.0, 1.0 - share, 723 / 365.25 - XI.population.age_mean.value])
    leverage = x0 @ inverse @ x0
    t = stats.t(57)
    for line, norm in zip(found.regions, XI.linear_regions, strict=True):
        residual_sd = norm.residual_sd.value
        half = t.ppf(0.975) * np.sqrt(leverage)
        assert (line.z_low, line.z_high) == pytest.approx((line.z - half, line.z + half), rel=1e-6)
        spread = t.ppf(0.975) * residual_sd * np.sqrt(1 + leverage)
        assert line.high_ml - line.expected_ml == pytest.approx(spread, rel=1e-6)
        assert line.centile == pytest.approx(100 * t.cdf(line.z / np.sqrt(1 + leverage)))
        seen = line.z / np.sqrt(leverage)
        limits = [line.centile_low / 100, line.centile_high / 100]
        of_limits = stats.nct.cdf(seen, 57, stats.norm.ppf(limits) / np.sqrt(leverage))
        assert of_limits == pytest.approx([0.975, 0.025], abs=1e-4)


def test_age_and_sex_that_go_together_are_less_sure_where_they_part() -> None:
    boys, years = np.array([0.45, 0.45]), np.array([0.3, -0.3])
    design = {"n": 100, "male_share": 0.55, "age_sd": 0.28}
    apart = regression_leverage(boys, years, **design)
    together = regression_leverage(boys, years, **design, correlation=0.4)

    # Another route: the inverse of the design's moments.
    sd = np.array([np.sqrt(0.55 * 0.45), 0.28])
    covariance = np.outer(sd, sd) * [[1.0, 0.4], [0.4, 1.0]]
    x0 = np.stack([boys, years], axis=1)
    expected = (1 + np.einsum("ij,jk,ik->i", x0, np.linalg.inv(covariance), x0)) / 100
    assert together == pytest.approx(expected)
    assert apart[0] == apart[1]
    assert together[1] > together[0]


@given(st.floats(-4, 4), st.integers(5, 2000))
@settings(max_examples=50)
def test_the_interval_of_a_centile_holds_its_point_estimate(effect, n) -> None:
    low, high = centile_interval(effect, 1 / n, n - 1)

    assert 0 <= low <= t_centile(effect, 1 / n, n - 1) <= high <= 100


def test_before_calibration_small_samples_hold_the_sites_offset_too() -> None:
    reference = small_reference(100, Tier.LOCAL)

    for line in compare(MEANS_ML, Child(730, Sex.FEMALE), reference, UNCALIBRATED).regions:
        assert line.centile_low < line.centile < line.centile_high
        assert line.centile_high - line.centile_low > 50
