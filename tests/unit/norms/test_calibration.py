"""A site's offset: the worked example, what is refused, and the file."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fontanelle.errors import Code, Refused
from fontanelle.norms.calibration import (
    RegionCheck,
    calibrate,
    checks,
    parse,
    sd_ratio_limits,
    serialise,
    shrunken_offset,
    spread_mistakes,
    status_of,
)
from fontanelle.norms.cohort import read, rules_of
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Conditions, ProtocolMatch, SiteStatus
from fontanelle.norms.fitting import fit
from fontanelle.norms.fitting_document import document_of
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.reference import load
from tests.unit.norms.cases import BOY, BOYS_VOLUMES_ML, XI, region
from tests.unit.norms.simulated import PACKAGE, cohort, rows, text

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


# Closed form, checked by a posterior on a grid. Twenty heads, prior 6 % of each mean.
# Mean residual, tau, s / sqrt(n), B, offset, its SE, and the boy's z before and after.
WORKED = {
    "left_frontal": (6.10, 12.2706, 3.7226, 0.9157, 5.5859, 3.5623, -0.4641, -0.7996, -0.7819),
    "left_parietal": (-3.20, 4.7652, 1.4548, 0.9147, -2.9272, 1.3914, -1.9085, -1.4586, -1.4263),
    "cerebellum": (2.50, 7.6782, 2.2177, 0.9230, 2.3075, 2.1306, -1.1492, -1.3819, -1.3511),
    "brainstem": (0.35, 0.9282, 0.2860, 0.9133, 0.3197, 0.2733, -0.9020, -1.1520, -1.1265),
}


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_offsets_are_met(name) -> None:
    mean, tau, sampling, share, offset, se, before, after, widened = WORKED[name]
    norm = next(norm for norm in XI.linear_regions if norm.name == name)

    found = shrunken_offset(mean, norm.residual_sd.value, 0.06 * norm.mean.value, 20)

    assert (found.prior_sd_ml, found.sampling_se_ml, found.shrinkage) == pytest.approx(
        (tau, sampling, share), abs=1e-4
    )
    assert (found.offset_ml, found.se_ml) == pytest.approx((offset, se), abs=1e-4)
    sd = norm.residual_sd.value
    assert before - found.offset_ml / sd == pytest.approx(after, abs=1e-4)
    assert after * sd / np.hypot(sd, found.se_ml) == pytest.approx(widened, abs=1e-4)


def test_the_offset_is_the_posterior_mean_on_a_grid() -> None:
    at = np.linspace(-80, 80, 400_001)
    weights = np.exp(-0.5 * (at / 12.0) ** 2 - 0.5 * ((6.1 - at) / (16.6 / np.sqrt(20))) ** 2)
    mean = (at * weights).sum() / weights.sum()
    sd = np.sqrt(((at - mean) ** 2 * weights).sum() / weights.sum())

    found = shrunken_offset(6.1, 16.6, 12.0, 20)

    assert (found.offset_ml, found.se_ml) == pytest.approx((mean, sd), abs=1e-6)


@given(st.floats(-50, 50), st.floats(0.5, 40), st.floats(0.5, 40), st.integers(2, 5000))
def test_an_offset_is_drawn_towards_zero_and_never_beyond_what_was_seen(mean, sd, prior, n) -> None:
    found = shrunken_offset(mean, sd, prior, n)

    assert abs(found.offset_ml) <= abs(mean)
    assert found.offset_ml * mean >= 0
    assert found.se_ml <= min(prior, found.sampling_se_ml)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(20, 0.685, 1.315), (30, 0.744, 1.256), (50, 0.802, 1.197), (100, 0.861, 1.139)],
)
def test_the_limits_of_one_regions_sd_are_those_of_chi_squared(n, low, high) -> None:
    assert sd_ratio_limits(n, 1) == pytest.approx((low, high), abs=6e-4)
    ends = np.sqrt(stats.chi2.ppf([0.025, 0.975], n - 1) / (n - 1))
    assert sd_ratio_limits(n, 1) == pytest.approx(tuple(ends), rel=1e-9)


@given(st.integers(20, 500), st.integers(2, 100))
def test_of_many_regions_each_has_sidaks_share_of_the_level(n, regions) -> None:
    each = 1.0 - 0.95 ** (1.0 / regions)

    low, high = sd_ratio_limits(n, regions)

    outside = stats.chi2.cdf(low**2 * (n - 1), n - 1) + stats.chi2.sf(high**2 * (n - 1), n - 1)
    assert outside == pytest.approx(each, rel=1e-6)
    assert 1.0 - (1.0 - outside) ** regions == pytest.approx(0.05, rel=1e-6)


def site(ratio: float, regions: int) -> tuple[RegionCheck, ...]:
    """Return the checks of a site whose first region scatters so many times as it should."""
    estimate = shrunken_offset(0.0, 16.6, 12.0, 20)
    return tuple(
        RegionCheck(f"region_{at}", estimate, ratio if at == 0 else 1.0, 0.0)
        for at in range(regions)
    )


@pytest.mark.parametrize(
    ("ratio", "regions", "is_refused"),
    [(1.32, 1, True), (1.32, 10, False), (1.48, 10, True), (0.68, 1, True), (0.68, 10, False)],
)
def test_the_limits_follow_from_how_many_regions_are_tested(ratio, regions, is_refused) -> None:
    # Twenty heads: 0.685 to 1.315 for one region, 0.571 to 1.466 for ten.
    mistakes = spread_mistakes(site(ratio, regions), 20)

    assert [each.where for each in mistakes] == (["region_0"] if is_refused else [])


def test_a_site_that_measures_three_percent_more_is_found_to_do_so() -> None:
    calibration = calibrate(cohort(60, 5, shift=0.03), XI, made_at=NOON, by="N.")

    for offset, norm in zip(calibration.offsets, XI.linear_regions, strict=True):
        assert offset.region == norm.name
        assert abs(offset.offset_ml - 0.03 * norm.mean.value) < 4 * offset.se_ml


def test_the_checks_are_those_of_the_residuals_of_each_child() -> None:
    heads = cohort(25, 5)
    found = checks(heads, XI)[2]

    norm = XI.linear_regions[2]
    boys = heads.is_boy - 0.555481
    years = heads.age_days / 365.25 - 1.98
    expected = norm.mean.value + norm.sex_effect.value * boys + norm.age_slope.value * years
    residuals = heads.volumes_ml[:, 2] - expected
    assert found.estimate.mean_residual_ml == pytest.approx(residuals.mean(), abs=1e-9)
    assert found.sd_ratio == pytest.approx(stats.tstd(residuals) / norm.residual_sd.value)


def test_another_label_protocol_is_refused_by_its_offset() -> None:
    with pytest.raises(Malformed, match=r"beyond 8 %: another label protocol") as refusal:
        calibrate(cohort(40, 5, shift=-0.14), XI, made_at=NOON, by="N.")

    assert refusal.value.reason.code is Code.CALIBRATION_REFUSED
    offsets = [each for each in refusal.value.mistakes if "an offset of" in each.what]
    assert [each.where for each in offsets] == list(XI.region_names)


@pytest.mark.parametrize("factor", [0.3, 2.2])
def test_heads_that_scatter_unlike_children_are_refused(factor) -> None:
    heads = cohort(40, 5)
    centre = heads.volumes_ml.mean(axis=0)
    table = rows(40, 5)
    for row, volumes in zip(table, centre + factor * (heads.volumes_ml - centre), strict=True):
        row.update(zip(XI.region_names, map(str, volumes), strict=True))
    # Neither sides nor sizes are what is tested here.
    rules = rules_of(XI, least=1)
    object.__setattr__(rules, "pairs", ())

    with pytest.raises(Malformed, match="times the reference's; of 40 heads"):
        calibrate(read(text(table), rules), XI, made_at=NOON, by="N.")


def test_a_reference_of_the_sites_own_children_needs_no_offset() -> None:
    heads = cohort(120, 5)
    own = load(document_of(fit(heads, XI), heads, XI, name="own", title="Own", made_at=NOON))

    with pytest.raises(Refused, match="need no offset"):
        calibrate(heads, own, made_at=NOON, by="N.")


@pytest.mark.parametrize(
    ("n", "status"),
    [(19, "none"), (20, "provisional"), (99, "provisional"), (100, "qualified")],
)
def test_the_sites_status_follows_from_the_number_of_heads(n, status) -> None:
    assert status_of(n, XI) is SiteStatus(status)


def test_a_calibration_is_written_and_read_without_loss() -> None:
    calibration = calibrate(cohort(20, 5), XI, made_at=NOON, by="Dr Nought, née Ünknown")

    written = serialise(calibration)

    assert parse(written) == calibration
    assert serialise(parse(written)) == written
    assert calibration.package_sha256 == PACKAGE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 200}, "digest"),
        ({"by": ""}, "by: "),
        ({"made_at": "2026-03-01T12:00:00"}, "made_at: "),
        ({"surplus": 1}, "surplus: "),
        ({"schema": "fontanelle.calibration/2"}, "schema: "),
        ({"reference_version": "xi2025"}, "reference_version: "),
    ],
)
def test_an_altered_calibration_is_refused(change, said) -> None:
    members = json.loads(serialise(calibrate(cohort(20, 5), XI, made_at=NOON, by="N.")))

    with pytest.raises(Refused, match=said) as refusal:
        parse(json.dumps({**members, **change}))

    assert refusal.value.reason.code is Code.CALIBRATION_INVALID


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_calibration(given_text) -> None:
    with pytest.raises(Refused):
        parse(given_text)


def test_a_child_compared_after_calibration_is_moved_by_the_offset() -> None:
    calibration = calibrate(cohort(60, 5, shift=0.03), XI, made_at=NOON, by="N.")
    status = status_of(calibration.n, XI)
    site = Conditions("xi2025-matched", ProtocolMatch.MATCHED, status, offsets=calibration.offsets)

    found = region(compare(BOYS_VOLUMES_ML, BOY, XI, site), "left_frontal")

    offset = calibration.offsets[0].offset_ml
    assert found.expected_ml == pytest.approx(212.2262 + offset, abs=1e-4)
    assert found.z == pytest.approx((204.5 - 212.2262 - offset) / 16.648, abs=1e-4)
