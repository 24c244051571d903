"""Many regions at once: how many typical children have as many low ones."""

import numpy as np
import pytest
from scipy import stats

from fontanelle.errors import Code
from fontanelle.norms.compare import compare
from fontanelle.norms.multiplicity import (
    base_rate,
    is_small_head,
    multiplicity,
    shares_of_part,
    shares_with_as_many,
)
from tests.unit.norms.cases import BOY, BOYS_VOLUMES_ML, CALIBRATED, MEANS_ML, UNCALIBRATED, XI

INDEPENDENT = tuple(tuple(float(i == j) for j in range(10)) for i in range(10))
# Percent of typical children with k = 1 to 10 or more regions below the 5th centile: 2 million
# draws for each matrix, confirmed by multivariate normal integration.
PUBLISHED = {
    "weak": (21.8, 11.6, 6.7, 4.2, 2.6, 1.6, 0.9, 0.5, 0.2, 0.1),
    "central": (16.1, 9.9, 7.0, 5.2, 3.9, 3.0, 2.2, 1.5, 0.9, 0.4),
    "strong": (10.7, 7.8, 6.5, 5.6, 4.8, 4.2, 3.6, 3.0, 2.4, 1.6),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shares_are_those_of_simulated_children(name) -> None:
    shares = shares_with_as_many(getattr(XI.correlations, name))

    assert shares[0] == 100
    # The table is printed to 0.1.
    assert shares[1:] == pytest.approx(PUBLISHED[name], abs=0.15)


def test_plain_counting_of_drawn_children_gives_the_same_shares() -> None:
    draws = np.random.default_rng(7).multivariate_normal(
        np.zeros(10), XI.correlations.central, 200_000, method="cholesky"
    )
    low = (draws < stats.norm.ppf(0.05)).sum(axis=1)

    counted = [100 * (low >= k).mean() for k in range(1, 11)]
    # 0.08 points of scatter at most.
    assert shares_with_as_many(XI.correlations.central)[1:] == pytest.approx(counted, abs=0.3)


def test_of_independent_regions_the_shares_are_binomial() -> None:
    binomial = [100 * stats.binom.sf(k - 1, 10, 0.05) for k in range(11)]

    assert shares_with_as_many(INDEPENDENT) == pytest.approx(binomial, abs=0.1)


def test_one_region_is_low_in_five_of_a_hundred() -> None:
    assert shares_with_as_many(((1.0,),)) == pytest.approx((100.0, 5.0), abs=1e-9)


def test_where_regions_are_missing_the_others_count() -> None:
    some = (True,) * 4 + (False,) * 6
    part = tuple(row[:4] for row in XI.correlations.central[:4])

    assert shares_of_part(XI.correlations.central, some) == pytest.approx(
        shares_with_as_many(part), abs=0.3
    )
    assert shares_of_part(XI.correlations.central, (False,) * 10) == (100.0,)


def test_the_worked_boy_has_one_low_region_as_one_in_six_has() -> None:
    many = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED).multiplicity

    assert (many.below_5th_centile, many.of, many.limit) == (1, 10, 2.54)
    assert many.share_percent == pytest.approx(16.1, abs=0.15)
    assert not many.is_small_head
    assert base_rate(many) == (
        "1 of 10 regions lies below its 5th centile; 16.1 % of typical children have as many or "
        "more."
    )


def test_before_calibration_there_is_no_base_rate_and_no_remark() -> None:
    # A share that reassures is a flag, too.
    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)

    assert comparison.multiplicity is None
    told = {reason.code for reason in comparison.reasons}
    assert not told & {Code.BEYOND_95_PERCENT, Code.SMALL_HEAD}


def test_a_small_head_is_one_finding() -> None:
    small = {name: 0.8 * volume_ml for name, volume_ml in MEANS_ML.items()}

    comparison = compare(small, BOY, XI, CALIBRATED)

    assert comparison.multiplicity.is_small_head
    (told,) = [reason for reason in comparison.reasons if reason.code is Code.SMALL_HEAD]
    assert told.sentence.startswith("10 of 10 regions lie below their 5th centile; 0.4 % of ")
    assert "see the head circumference" in told.sentence


@pytest.mark.parametrize(
    ("low", "regions", "is_small"), [(6, 10, False), (7, 10, True), (3, 4, True), (1, 1, False)]
)
def test_seven_low_regions_of_ten_are_a_small_head(low, regions, is_small) -> None:
    assert is_small_head(low, regions) is is_small


def test_no_low_region_is_said_so() -> None:
    many = multiplicity(XI.correlations.central, 2.54, (True,) * 10, 0)

    assert base_rate(many) == "None of 10 regions lies below its 5th centile."
