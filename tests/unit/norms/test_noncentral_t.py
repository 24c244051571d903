"""The non-centralities that leave what was seen in the middle 95 % of a non-central t."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from fontanelle.norms.noncentral_t import noncentrality_limits


@given(st.floats(-8, 8), st.integers(5, 500), st.integers(1, 3))
@example(8.0, 5, 3)
@example(-8.0, 5, 3)
@example(0.0, 500, 1)
@settings(max_examples=300, deadline=None)
def test_what_was_seen_is_the_quantile_of_the_limits_by_scipy(effect, n, coefficients) -> None:
    seen, df = effect * np.sqrt(n), n - coefficients

    limits = np.array(noncentrality_limits(seen, df))

    assert stats.nct.cdf(seen, df, limits) == pytest.approx([0.975, 0.025], abs=1e-7)


@given(st.integers(5, 500), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_centiles_are_those_of_scipys_own_search(n, coefficients) -> None:
    effects, df = np.linspace(-8, 8, 33), n - coefficients

    low, high = noncentrality_limits(effects * np.sqrt(n), df)

    for limit, share in ((low, 0.975), (high, 0.025)):
        direct = special.nctdtrinc(df, share, effects * np.sqrt(n))
        centiles = (100.0 * stats.norm.cdf(each / np.sqrt(n)) for each in (limit, direct))
        # scipy's search stops at five digits of the non-centrality.
        assert next(centiles) == pytest.approx(next(centiles), abs=1e-2)


@pytest.mark.parametrize("df", [1.0, 2.0, 117.0, 1484.0, 200_000.0])
def test_more_is_further_off_and_the_limits_hold_it_between_them(df) -> None:
    # Up to 40 SDs of a sample of df + 1: beyond the angles that were solved.
    seen = np.linspace(-40, 40, 2001) * np.sqrt(df + 1)

    low, high = noncentrality_limits(seen, df)

    assert (np.diff(low) > 0).all()
    assert (low < seen)[seen <= 0].all() and (high > seen)[seen >= 0].all()
    assert (low < high).all()


def test_what_was_not_seen_has_no_limits() -> None:
    low, high = noncentrality_limits(np.array([[np.nan, 1.0]]), 19)

    assert np.isnan([low[0, 0], high[0, 0]]).all()
    assert np.isfinite([low[0, 1], high[0, 1]]).all()
