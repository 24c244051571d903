"""A hospital's own regression, beside other routes to the same figures."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.diagnostic import het_breuschpagan

from fontanelle.norms.cohort_description import describe
from fontanelle.norms.comparison import Sex, Tier
from fontanelle.norms.expectations import expectation
from fontanelle.norms.fitting import design_of, fit, least_squares
from fontanelle.norms.fitting_diagnostics import leverages
from fontanelle.norms.fitting_document import document_of
from fontanelle.norms.fitting_intracranial import with_intracranial
from fontanelle.norms.fitting_lms import fit_lms
from fontanelle.norms.fitting_recheck import recheck
from fontanelle.norms.reference import load
from tests.unit.norms.cases import XI
from tests.unit.norms.simulated import PACKAGE, cohort

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHILDREN = cohort(120, 7)
FIT = fit(CHILDREN, XI)
YEARS = CHILDREN.age_days / 365.25
DESIGN = design_of(CHILDREN.is_boy.astype(float), YEARS)


def own_reference():
    return load(document_of(FIT, CHILDREN, XI, name="our-site", title="Ours", made_at=NOON))


@pytest.mark.parametrize("at", range(10))
def test_every_figure_of_a_region_is_that_of_statsmodels(at) -> None:
    region, again = FIT.regions[at], OLS(CHILDREN.volumes_ml[:, at], DESIGN).fit()
    influence = again.get_influence()

    for mine, column in ((region.sex, 1), (region.age, 2)):
        found = (mine.value, mine.se, mine.low, mine.high, mine.t, mine.p)
        wanted = (
            *(again.params[column], again.bse[column], *again.conf_int()[column]),
            *(again.tvalues[column], again.pvalues[column]),
        )
        assert found == pytest.approx(wanted, rel=1e-9)
    assert region.mean_ml == pytest.approx(again.params[0])
    assert region.residual_sd_ml == pytest.approx(np.sqrt(again.mse_resid))
    assert region.r_squared == pytest.approx(again.rsquared)
    judged = region.diagnostics
    koenker, koenker_p, *_ = het_breuschpagan(again.resid, DESIGN)
    assert (judged.breusch_pagan, judged.breusch_pagan_p) == pytest.approx((koenker, koenker_p))
    assert judged.largest_leverage == pytest.approx(influence.hat_matrix_diag.max())
    assert judged.largest_cook == pytest.approx(influence.cooks_distance[0].max())
    outside = influence.resid_studentized_external
    assert judged.largest_residual == pytest.approx(outside[np.argmax(np.abs(outside))])
    assert judged.shapiro_p == pytest.approx(stats.shapiro(again.resid).pvalue)
    curved = OLS(CHILDREN.volumes_ml[:, at], np.column_stack([DESIGN, YEARS**2])).fit()
    assert judged.curve_p == pytest.approx(curved.pvalues[3], rel=1e-6)
    both = np.column_stack([DESIGN, CHILDREN.is_boy * YEARS])
    crossed = OLS(CHILDREN.volumes_ml[:, at], both).fit()
    assert judged.interaction_p == pytest.approx(crossed.pvalues[3], rel=1e-6)


def test_the_second_route_of_the_product_finds_no_difference() -> None:
    again = recheck(CHILDREN, FIT, 365.25)

    assert again is not None
    assert again.figures == 180
    assert again.largest_difference < 1e-9


def test_the_second_route_sees_a_wrong_figure() -> None:
    other = fit(cohort(120, 8), XI)

    again = recheck(CHILDREN, other, 365.25)

    assert again is not None
    assert again.largest_difference > 0.01


def test_ranks_and_pairs_are_those_of_scipy() -> None:
    left, right = CHILDREN.volumes_ml[:, 2], CHILDREN.volumes_ml[:, 3]
    pair = FIT.pairs[1]

    paired = stats.ttest_rel(left, right)
    interval = paired.confidence_interval()
    found = (pair.t, pair.p, pair.low_ml, pair.high_ml)
    assert found == pytest.approx((paired.statistic, paired.pvalue, interval.low, interval.high))
    # The effect size and the correlation say the same thing in two ways (a paired t is d sqrt(n)).
    assert pair.d_z == pytest.approx(pair.t / np.sqrt(120))
    sds = (pair.left_sd_ml, pair.right_sd_ml)
    spread = sds[0] ** 2 + sds[1] ** 2 - 2 * pair.correlation * sds[0] * sds[1]
    assert pair.sd_difference_ml == pytest.approx(np.sqrt(spread))
    ranks = stats.spearmanr(YEARS, left)
    assert (FIT.regions[2].spearman.rho, FIT.regions[2].spearman.p) == pytest.approx(
        (ranks.statistic, ranks.pvalue)
    )


def test_bootstrap_intervals_agree_with_those_of_t_where_residuals_are_normal() -> None:
    for region in FIT.regions:
        for each in (region.sex, region.age):
            width = each.high - each.low
            assert abs(each.bootstrap_low - each.low) < 0.2 * width
            assert abs(each.bootstrap_high - each.high) < 0.2 * width


def test_boys_girls_and_balance_are_described() -> None:
    described = describe(CHILDREN, XI)

    assert described.boys.n + described.girls.n == described.together.n == 120
    ages = [YEARS[CHILDREN.is_boy], YEARS[~CHILDREN.is_boy]]
    assert described.boys.mean == pytest.approx(ages[0].mean())
    assert described.balance.age_by_sex_p == pytest.approx(
        stats.ttest_ind(*ages, equal_var=False).pvalue
    )
    frontal = described.regions[0]
    assert frontal.boys_mean_ml - frontal.girls_mean_ml > 0
    assert described.regions[-1].region == "total"


def test_the_reference_file_says_what_the_regression_found() -> None:
    own = own_reference()

    assert own.tiers == (Tier.LOCAL, Tier.POOLED)
    assert own.package_digest == PACKAGE
    assert (own.validity.age_days_min, own.validity.age_days_max) == (
        CHILDREN.age_days.min(),
        CHILDREN.age_days.max(),
    )
    for norm, region in zip(own.linear_regions, FIT.regions, strict=True):
        assert norm.residual_sd.value == pytest.approx(region.residual_sd_ml, abs=1e-6)
        assert norm.sex_effect.se == pytest.approx(region.sex.se, abs=1e-6)
        assert norm.mean.status == "local"


def test_every_number_of_the_reference_file_has_a_status_and_a_source() -> None:
    members = json.loads(document_of(FIT, CHILDREN, XI, name="ours", title="O", made_at=NOON))

    def numbers(part):
        if isinstance(part, dict):
            if "value" in part and "unit" in part:
                yield part
            for each in part.values():
                yield from numbers(each)
        elif isinstance(part, list):
            for each in part:
                yield from numbers(each)

    found = list(numbers(members))
    assert len(found) > 80
    assert all(number["status"] in {"local", "derived"} and number["source"] for number in found)
    # Only the prior between sites is not of these children; it keeps its own provenance.
    assert [number["value"] for number in found if number["status"] == "derived"] == [6.0]


def test_a_child_beside_the_new_reference_gets_the_intervals_of_the_regression() -> None:
    own, days = own_reference(), int(CHILDREN.age_days.min()) + 30

    found = expectation(own, Tier.LOCAL, [days], [1.0])

    child = np.array([[1.0, 1.0 - FIT.male_share, days / 365.25 - FIT.age_mean_years]])
    again = OLS(CHILDREN.volumes_ml[:, 0], DESIGN).fit()
    predicted = again.get_prediction(child).summary_frame(alpha=0.05)
    assert found.expected[0, 0] == pytest.approx(predicted["mean"].iloc[0], abs=1e-5)
    assert found.se[0, 0] == pytest.approx(predicted["mean_se"].iloc[0], rel=1e-5)
    assert found.df == 117
    assert (found.se[0, 0] / found.sd[0, 0]) ** 2 == pytest.approx(
        float(leverages(DESIGN, at=child)[0]), rel=1e-6
    )


@given(st.integers(0, 10_000), st.integers(30, 200))
@settings(max_examples=20, deadline=None)
def test_any_sound_cohort_gives_a_reference_that_loads(seed, n) -> None:
    children = cohort(n, seed)
    fitted = fit(children, XI, draws=20)

    own = load(document_of(fitted, children, XI, name="ours", title="Ours", made_at=NOON))

    matrix = np.asarray(own.correlations.central)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    # Residuals average to zero: the expected volume of the average child is the mean.
    everybody = expectation(
        own, Tier.LOCAL, children.age_days, children.is_boy.astype(float)
    ).expected[:, :10]
    np.testing.assert_allclose(everybody.mean(axis=0), children.volumes_ml.mean(axis=0), atol=1e-4)


def test_intracranial_volume_explains_what_head_size_makes() -> None:
    random = np.random.default_rng(3)
    head = 1000.0 + 80.0 * random.standard_normal(120)
    volumes = np.column_stack([0.2 * head + 2.0 * random.standard_normal(120)])

    (found,) = with_intracranial(("left_frontal",), DESIGN, volumes, head)

    again = OLS(volumes[:, 0], np.column_stack([DESIGN, head - head.mean()])).fit()
    assert (found.slope, found.low, found.high) == pytest.approx(
        (again.params[3], *again.conf_int()[3])
    )
    assert found.residual_sd_ml == pytest.approx(np.sqrt(again.mse_resid))
    assert found.residual_sd_ml < 0.2 * found.residual_sd_without_ml


def lms_children(power: float, n: int, seed: int):
    random = np.random.default_rng(seed)
    boys, years = (random.random(n) < 0.5).astype(float), random.uniform(1.5, 2.5, n)
    design = design_of(boys, years)
    median = design @ np.array([200.0, 17.0, 20.0])
    bent = 1.0 + power * 0.08 * random.standard_normal(n)
    return design, median * (bent ** (1.0 / power))


@pytest.mark.parametrize("power", [-2.0, 1.0, 3.0])
def test_l_m_and_s_of_simulated_children_are_recovered(power) -> None:
    found = fit_lms(*lms_children(power, 3000, 4))

    assert found.power_low < power < found.power_high
    assert found.power_high - found.power_low < 1.6
    assert found.median_ml == pytest.approx(200.0, rel=0.01)
    assert found.sex_ml == pytest.approx(17.0, abs=2.0)
    assert found.age_ml == pytest.approx(20.0, abs=3.0)
    assert found.variation == pytest.approx(0.08, rel=0.05)
    assert (found.normal_p < 0.01) == (power != 1.0)


def test_a_power_of_one_is_the_normal_regression() -> None:
    design, volumes = lms_children(1.0, 400, 2)
    found = fit_lms(design, volumes)

    # scipy's Box and Cox, without sex and age, has its largest likelihood at the same power.
    plain = design[:, :1]
    assert fit_lms(plain_design(plain), volumes).power == pytest.approx(
        stats.boxcox_normmax(volumes, method="mle"), abs=0.02
    )
    assert found.power_low < 1.0 < found.power_high


def plain_design(ones):
    """Return a design whose sex and age say nothing: as good as a constant alone."""
    tiny = np.random.default_rng(0).standard_normal((len(ones), 2)) * 1e-9
    return np.column_stack([ones, tiny])


def test_many_cohorts_at_once_are_solved_as_each_alone() -> None:
    random = np.random.default_rng(1)
    boys = (random.random((4, 50)) < 0.5).astype(float)
    design = design_of(boys, random.uniform(1.5, 2.5, (4, 50)))
    volumes = random.normal(100.0, 8.0, (4, 50, 3))

    together = least_squares(design, volumes)

    for at in range(4):
        alone = least_squares(design[at], volumes[at])
        np.testing.assert_allclose(together.coefficients[at], alone.coefficients)
        np.testing.assert_allclose(together.standard_errors[at], alone.standard_errors)


def test_both_sexes_are_known_by_the_names_of_the_house() -> None:
    assert {*CHILDREN.sexes} == {Sex.MALE, Sex.FEMALE}
