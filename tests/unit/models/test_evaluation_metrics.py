"""Agreement of volumes against published examples, other formulas and cases done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.evaluation import metrics

# Shrout and Fleiss 1979, table 2: six subjects, four judges.
SHROUT_FLEISS = np.array(
    [
        [9, 2, 5, 8],
        [6, 1, 3, 2],
        [8, 4, 6, 8],
        [7, 1, 2, 6],
        [10, 5, 6, 9],
        [6, 2, 4, 7],
    ],
    dtype=np.float64,
)


def two_columns(seed: int, spread: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(100.0, spread, 40)
    return truth, truth + random.normal(1.0, 3.0, 40)


def test_the_icc_of_the_paper_that_defined_it_is_as_printed() -> None:
    assert metrics.icc(SHROUT_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_the_icc_is_one_where_both_agree_and_an_offset_lowers_it() -> None:
    truth, _ = two_columns(0)
    assert metrics.icc(np.column_stack((truth, truth))) == pytest.approx(1.0)
    assert metrics.icc(np.column_stack((truth, truth + 8.0))) < 0.75


@pytest.mark.parametrize(("bias", "error", "slope"), [(0, 3, 1), (2, 3, 1), (0, 2, 0.8)])
def test_the_icc_at_a_spread_is_that_of_a_population_with_the_spread(
    bias: float, error: float, slope: float
) -> None:
    random = np.random.default_rng(1)
    truth = random.normal(0.0, 8.2, 200_000)
    errors = random.normal(bias, error, len(truth))
    found = slope * truth + errors
    simulated = metrics.icc(np.column_stack((truth, found)))
    assert metrics.icc_at_spread(errors, 8.2, slope) == pytest.approx(simulated, abs=0.005)


def test_heads_drawn_far_apart_do_not_flatter_the_icc_at_the_references_spread() -> None:
    errors = np.random.default_rng(2).normal(0.0, 5.0, 5000)
    random = np.random.default_rng(3)
    iccs = []
    for spread in (8.0, 40.0):
        truth = random.normal(0.0, spread, len(errors))
        iccs.append(metrics.icc(np.column_stack((truth, truth + errors))))
    assert iccs[1] > 0.98 > iccs[0]
    assert metrics.icc_at_spread(errors, 8.0) == pytest.approx(iccs[0], abs=0.02)


def test_reliability_leaves_the_whole_error_with_what_was_found() -> None:
    # Errors of +6 and -6 against a spread of 8: 64 / (64 + 36).
    assert metrics.reliability_at_spread(np.array([6.0, -6.0]), 8.0) == pytest.approx(0.64)


@given(st.integers(0, 1000))
def test_pearson_is_scipys(seed: int) -> None:
    truth, found = two_columns(seed)
    assert metrics.pearson(truth, found) == pytest.approx(stats.pearsonr(truth, found).statistic)


def test_r_squared_is_about_identity_so_a_bias_lowers_it() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert metrics.r_squared(truth, truth) == 1.0
    # Residuals of 1 each (3) over a total of 2.
    assert metrics.r_squared(truth, truth + 1.0) == pytest.approx(1.0 - 3.0 / 2.0)


def test_bland_altman_by_hand() -> None:
    altman = metrics.bland_altman(np.array([10.0, 20.0, 30.0]), np.array([11.0, 20.0, 34.0]))
    # Differences 1, 0, 4: mean 5/3, SD sqrt(13/3).
    sd = math.sqrt(13 / 3)
    assert altman.bias == pytest.approx(5 / 3)
    assert (altman.low, altman.high) == pytest.approx((5 / 3 - 1.96 * sd, 5 / 3 + 1.96 * sd))


def test_volume_error_keeps_its_sign() -> None:
    errors = metrics.error_percent(np.array([100.0, 50.0]), np.array([90.0, 55.0]))
    assert errors.tolist() == [-10.0, 10.0]


def test_the_slope_is_scipys_where_there_is_one_group() -> None:
    truth, found = two_columns(4)
    expected = stats.linregress(truth, found).slope
    assert metrics.slope_within(truth, found, ["a"] * len(truth)) == pytest.approx(expected)


def test_levels_of_groups_do_not_count_as_slope() -> None:
    """Heads that are all measured too small, each by its own amount, are no shrinkage."""
    planted = np.array([-4.0, 0.0, 3.0, -4.0, 0.0, 3.0])
    measured = 0.8 * planted + np.array([-5.0, -5.0, -5.0, 9.0, 9.0, 9.0])
    groups = ["a", "a", "a", "b", "b", "b"]
    assert metrics.slope_within(planted, measured, groups) == pytest.approx(0.8)
    assert planted.tolist() == [-4.0, 0.0, 3.0, -4.0, 0.0, 3.0]


def test_a_shrinking_slope_is_seen_in_the_icc_at_the_spread() -> None:
    nothing = np.zeros(3)
    assert metrics.icc_at_spread(nothing, 8.0) == 1.0
    assert metrics.icc_at_spread(nothing, 8.0, slope=0.5) == pytest.approx(0.8)


def test_variation_is_the_sd_in_per_cent_of_the_mean() -> None:
    assert metrics.variation_percent(np.array([99.0, 101.0])) == pytest.approx(math.sqrt(2.0))


def test_many_scans_of_few_people_are_few_people() -> None:
    values = np.repeat([0.0, 1.0, 2.0], 100)
    people = [f"person {i // 100}" for i in range(300)]
    clustered = metrics.over_people(lambda at: float(values[at].mean()), people)
    alone = metrics.over_people(lambda at: float(values[at].mean()), [str(i) for i in range(300)])
    assert clustered.value == alone.value == 1.0
    assert (clustered.people, alone.people) == (3, 300)
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)
    # Three people drawn with replacement: the mean is 0 or 2 in one draw of 27 each.
    assert (clustered.low, clustered.high) == pytest.approx((0.0, 2.0), abs=0.34)


def test_one_person_gives_no_interval() -> None:
    alone = metrics.over_people(lambda at: float(len(at)), ["a", "a"])
    assert (alone.value, alone.people) == (2.0, 1)
    assert math.isnan(alone.low) and math.isnan(alone.high)
