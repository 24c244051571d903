"""Centiles, asymmetry, and limits for many regions at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fontanelle.norms.statistics import (
    Z_95,
    asymmetry_index,
    centile,
    family_wise_limit,
    independent_limit,
)
from tests.unit.norms.cases import XI


@pytest.mark.parametrize("z", [-6.0, -1.8808, -0.5, 0.0, 1.2816, 4.0])
def test_centiles_are_those_of_the_normal_distribution(z) -> None:
    assert centile(z) == pytest.approx(100 * stats.norm.cdf(z), rel=1e-12)


def test_the_third_centile_lies_where_growth_charts_put_it() -> None:
    assert centile(-1.880794) == pytest.approx(3.0, abs=1e-4)


def test_95_percent_are_1_959964_standard_errors() -> None:
    assert pytest.approx(1.959964, abs=1e-6) == Z_95


@pytest.mark.parametrize(
    ("left_ml", "right_ml", "index"),
    [(60.0, 40.0, 40.0), (40.0, 60.0, -40.0), (5.0, 5.0, 0.0), (0.0, 5.0, -200.0)],
)
def test_the_asymmetry_index_is_positive_where_left_is_larger(left_ml, right_ml, index) -> None:
    assert asymmetry_index(left_ml, right_ml) == index


def test_two_empty_sides_have_no_asymmetry_index() -> None:
    assert asymmetry_index(0.0, 0.0) is None


# Two million draws and multivariate normal integration: 2.54 and, for 1 %, 3.11; correlations
# at their weakest 2.66 (3.20), at their strongest 2.34 (2.94).
@pytest.mark.parametrize(
    ("name", "five_percent", "one_percent"),
    [("central", 2.54, 3.11), ("weak", 2.66, 3.20), ("strong", 2.34, 2.94)],
)
def test_the_family_wise_limit_is_that_of_the_references_correlations(
    name, five_percent, one_percent
) -> None:
    correlations = getattr(XI.correlations, name)

    assert family_wise_limit(correlations) == pytest.approx(five_percent, abs=0.015)
    assert family_wise_limit(correlations, level=0.01) == pytest.approx(one_percent, abs=0.03)


def test_the_limit_printed_is_the_limit_used() -> None:
    assert family_wise_limit(XI.correlations.central) == 2.54


def test_of_independent_regions_the_limit_is_sidaks() -> None:
    independent = tuple(tuple(float(i == j) for j in range(10)) for i in range(10))

    # 1 - 0.95^(1/10), two-sided: 2.800
    assert independent_limit(10) == pytest.approx(2.800, abs=5e-4)
    assert family_wise_limit(independent) == pytest.approx(2.800, abs=0.015)


def test_one_region_has_the_ordinary_limit() -> None:
    assert independent_limit(1) == pytest.approx(1.959964, abs=1e-6)
    assert family_wise_limit(((1.0,),)) == 1.96


def test_regions_that_always_agree_count_as_one() -> None:
    twins = ((1.0, 0.999999), (0.999999, 1.0))

    assert family_wise_limit(twins) == pytest.approx(1.96, abs=0.015)


@given(st.floats(-0.95, 0.95))
@settings(max_examples=5)
def test_two_regions_have_the_limit_of_the_bivariate_normal(r) -> None:
    limit = family_wise_limit(((1.0, r), (r, 1.0)))

    # Another route: scipy's integration of the normal distribution over the square.
    both = stats.multivariate_normal(cov=[[1.0, r], [r, 1.0]])
    share = 1 - both.cdf([limit, limit], lower_limit=[-limit, -limit])
    assert share == pytest.approx(0.05, abs=0.002)
