"""What the benchmark of the references prints, in small: recovery, false alarms, calibration."""

import numpy as np
import pytest

from benchmarks import norms
from fontanelle.norms.comparison import Sex
from fontanelle.norms.multiplicity import shares_with_as_many
from fontanelle.norms.reference import shipped

XI = shipped("xi2025")


def test_cohorts_of_100_find_the_truth_without_bias_and_say_how_sure_they_are() -> None:
    for found in norms.recoveries(XI, 100, 4000):
        # One cohort's slope scatters by 29 % of the truth; the mean of 4,000 by 0.5 %.
        assert abs(found.bias_percent) < 2.0, found
        assert 93.0 < found.coverage_low <= found.coverage_high < 97.0, found


def test_the_bootstrap_is_nearly_as_sure_as_it_says() -> None:
    sex, age, _ = norms.bootstrap_coverage(XI, 150, 40, draws=200)

    # Forty cohorts of correlated regions: the share scatters by about 3 points.
    assert 86.0 < sex <= 100.0 and 86.0 < age <= 100.0


def test_the_adjusted_tier_has_the_nominal_share_at_every_age_and_sex() -> None:
    shares, everybody = norms.true_alarms(XI, 100_000)

    # 10,000 children a window; regions go together, so that a share scatters by 0.12.
    np.testing.assert_allclose(shares, norms.NOMINAL, atol=0.5)
    assert everybody == pytest.approx(norms.NOMINAL, abs=0.15)


# Computed for README of the norms by four million draws; two ways of the table each.
@pytest.mark.parametrize(
    ("percents", "days", "sex", "below", "above"),
    [
        ((8.5, 10.0), 548, Sex.FEMALE, 2.3, 2.3),
        ((6.0, 7.0), 548, Sex.FEMALE, 1.6, 6.4),
        ((11.0, 13.0), 548, Sex.FEMALE, 2.7, 0.3),
        ((6.0, 7.0), 913, Sex.MALE, 6.2, 1.7),
        ((11.0, 13.0), 913, Sex.MALE, 0.4, 2.6),
    ],
)
def test_the_adjusted_tier_is_off_by_as_much_as_is_known(percents, days, sex, below, above) -> None:
    truth = norms.truth_of(XI, *percents)

    exact = norms.exact_alarms(XI, truth, days, sex)
    drawn = norms.alarms_if(XI, truth, days, sex, children=20_000)

    assert (exact.below, exact.above) == pytest.approx((below, above), abs=0.05)
    assert (drawn.below, drawn.above) == pytest.approx((exact.below, exact.above), abs=0.5)


@pytest.mark.parametrize(
    ("days", "sex", "below", "above"),
    [
        (548, Sex.FEMALE, 11.63, 0.02),
        (548, Sex.MALE, 1.31, 0.68),
        (731, Sex.FEMALE, 3.59, 0.19),
        (731, Sex.MALE, 0.23, 3.12),
        (913, Sex.FEMALE, 0.81, 1.10),
        (913, Sex.MALE, 0.03, 10.39),
    ],
)
def test_the_pooled_tier_is_off_by_as_much_as_is_known(days, sex, below, above) -> None:
    truth = norms.truth_of(XI, *norms.CENTRAL)

    exact = norms.exact_alarms(XI, truth, days, sex, pooled=True)
    drawn = norms.alarms_if(XI, truth, days, sex, children=20_000, pooled=True)

    assert (exact.below, exact.above) == pytest.approx((below, above), abs=0.006)
    assert (drawn.below, drawn.above) == pytest.approx((exact.below, exact.above), abs=0.8)


def test_family_wise_rates_are_those_that_reports_print() -> None:
    matrix = XI.correlations.central

    flagged, shares = norms.together(matrix, 100_000)

    assert flagged == pytest.approx(5.0, abs=0.35)
    np.testing.assert_allclose(shares, shares_with_as_many(matrix), atol=0.45)


def test_offsets_hold_the_truth_as_often_as_they_say() -> None:
    found = norms.calibrations(XI, 20, 2000)

    assert found.coverage == pytest.approx(95.0, abs=1.5)
    assert found.one_outside_95 == pytest.approx(5.0, abs=1.0)
    assert 20.0 < found.outside_95 < 30.0
    # docs/references.md says: one in thirty.
    assert 2.0 < found.refused_by_sd < 5.0


@pytest.mark.parametrize(
    "lines",
    [
        norms.recovery_table(XI, 1000),
        norms.true_table(XI, 2000),
        norms.wrong_table(XI, 2000),
        norms.pooled_table(XI, 2000),
        norms.calibration_table(XI, 20),
        norms.spread_table(XI, 20),
    ],
    ids=["recovery", "true", "wrong", "pooled", "calibration", "spread"],
)
def test_every_table_is_sound_markdown(lines) -> None:
    title, *rest = lines

    rows = [line for line in rest if line.startswith("|")]
    assert title.startswith("## ")
    assert all(line.endswith("|") for line in rows) and len(rows) > 3
