"""docs/references.md: the worked child and every figure of it come out of the code."""

import re
from math import hypot
from pathlib import Path

import numpy as np
import pytest

from benchmarks.norms import calibrations, exact_alarms, truth_of
from fontanelle.errors import Code
from fontanelle.norms.calibration import (
    LARGEST_OFFSET_PERCENT,
    sd_ratio_limits,
    shrunken_offset,
)
from fontanelle.norms.cohort_rows import OPTIONAL, REQUIRED
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Sex, SiteOffset, Tier
from fontanelle.norms.expectations import expectation
from fontanelle.norms.judging import limit_of_pairs
from fontanelle.norms.multiplicity import shares_with_as_many
from fontanelle.norms.prematurity import USUAL_RULE
from fontanelle.norms.statistics import Z_95, family_wise_limit, independent_limit
from tests.unit.norms.cases import (
    BOY,
    BOYS_VOLUMES_ML,
    CALIBRATED,
    UNCALIBRATED,
    XI,
    region,
)

PAGE = (Path(__file__).parents[3] / "docs" / "references.md").read_text(encoding="utf-8")
FRONTAL = XI.linear_regions[0]
SHARE, AGE = XI.population.male_share.value, XI.population.age_mean.value
YEARS = BOY.age_days / 365.25


def signed(number: float, decimals: int = 2) -> str:
    """Write a number as the page does, with a true minus."""
    return f"{number:.{decimals}f}".replace("-", "−")


def says(*sentences: str) -> None:
    for sentence in sentences:
        assert sentence in PAGE, sentence


def test_the_expected_volume_of_the_worked_child() -> None:
    boys = FRONTAL.sex_effect.value * (1 - SHARE)
    found = region(compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED), "left_frontal")

    says(
        f"Left frontal lobe: **{BOYS_VOLUMES_ML['left_frontal']} mL**",
        f"{BOY.age_days} / 365.25 = {YEARS:.4f}",
        f"{XI.population.n.value:,.0f} children of the reference is {FRONTAL.mean.value} mL",
        f"They were {100 * SHARE:.1f} % boys",
        f"{FRONTAL.sex_effect.value} × (1 − {SHARE}) = {boys:.3f} mL above",
        f"They were {AGE} years old on average",
        f"grows by {FRONTAL.age_slope.value} mL a year",
        f"{AGE - YEARS:.4f} years younger, which is "
        f"{FRONTAL.age_slope.value * (AGE - YEARS):.3f} mL",
        f"Expected are **{found.expected_ml:.2f} mL**",
        f"He is {found.expected_ml - 204.5:.2f} mL below",
        f"scatter by {FRONTAL.residual_sd.value} mL. "
        f"{signed(204.5 - found.expected_ml)} / {FRONTAL.residual_sd.value} = "
        f"**{signed(found.z)}**",
        f"{found.centile:.0f} of 100 typical boys",
    )


def test_the_four_reasons_and_the_intervals() -> None:
    found = region(compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED), "left_frontal")
    parts = (
        FRONTAL.residual_sd.value / XI.population.n.value**0.5,
        FRONTAL.sex_effect.se * (1 - SHARE),
        FRONTAL.age_slope.se * (AGE - YEARS),
        0.06 * FRONTAL.mean.value,
    )

    for part in parts:
        says(f"| {part:.2f} mL |")
    says(f"| together | {hypot(*parts):.2f} mL |")
    says(
        f"from **{signed(found.z_low)} to {signed(found.z_high)}**",
        f"between **{found.low_ml:.1f} and {found.high_ml:.1f} mL**",
    )
    # What the comparison says is what the four reasons add up to.
    spread = Z_95 * hypot(*parts) / FRONTAL.residual_sd.value
    assert found.z_high - found.z == pytest.approx(spread, abs=1e-6)


def test_the_worked_child_after_calibration() -> None:
    sd = FRONTAL.residual_sd.value
    offset = shrunken_offset(6.10, sd, 0.06 * FRONTAL.mean.value, 20)
    offsets = (
        SiteOffset("left_frontal", offset.offset_ml, offset.se_ml),
        *CALIBRATED.offsets[1:],
    )
    site = type(CALIBRATED)(
        CALIBRATED.protocol, CALIBRATED.protocol_match, CALIBRATED.site_status, offsets=offsets
    )
    found = region(compare(BOYS_VOLUMES_ML, BOY, XI, site), "left_frontal")

    says(
        f"{100 * offset.shrinkage:.1f} % of it is believed",
        f"the offset is **{offset.offset_ml:.2f} mL**, uncertain by {offset.se_ml:.2f} mL",
        f"the boy's z becomes **{signed(found.z)}**, from {signed(found.z_low)} to "
        f"{signed(found.z_high)}",
    )


def test_the_asymmetry_of_the_worked_child() -> None:
    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)
    pair = next(each for each in comparison.asymmetry if each.pair == "parietal")
    norm = next(each for each in XI.asymmetry if each.pair == "parietal")

    says(
        f"has z = {signed(region(comparison, 'left_parietal').z)}",
        f"is {signed(pair.index, 1)} %, where {signed(norm.mean.value, 1)} ± "
        f"{norm.sd.value:.1f} % is typical, a z of **{signed(pair.z)}**",
    )


def test_what_many_regions_at_once_mean() -> None:
    shares = shares_with_as_many(XI.correlations.central)

    says(
        f"**|z| = {family_wise_limit(XI.correlations.central):.2f}**",
        f"{shares[1]:.0f} % of typical children have at least one",
        f"{shares[7]:.1f} % have seven or more",
    )

    says(
        f"would need {independent_limit(len(XI.regions)):.2f}",
        f"have a limit of their own, {limit_of_pairs(XI):.2f}",
    )


def test_the_spread_of_the_sum_and_what_repetition_adds() -> None:
    together = expectation(XI, Tier.DERIVED, [BOY.age_days], [1.0]).sd[0, -1]
    alone = np.sqrt(sum(norm.residual_sd.value**2 for norm in XI.linear_regions))
    one_percent = Z_95 * 0.01 * FRONTAL.mean.value / FRONTAL.residual_sd.value

    says(
        f"They give its spread: {together:.1f} mL in `xi2025`, where independent ones would give "
        f"{alone:.1f}",
        f"1 % of the volume alone moves z by {one_percent:.2f} either way, 3 % by "
        f"{3 * one_percent:.2f}",
    )


# Heads, and the share of 20,000 simulated sites: of each spread now, and at 95 % a region.
ROWS = [
    [cell.strip(" %)") for cell in re.split(r"[|(]", line)[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| \d+ \| 0\.\d+ to", line)
]


@pytest.mark.parametrize("cells", ROWS, ids=[row[0] for row in ROWS])
def test_what_the_check_of_the_spread_finds(cells) -> None:
    n, limits, *shares = cells
    low, high = sd_ratio_limits(int(n), len(XI.regions))
    assert limits == f"{low:.3f} to {high:.3f}"
    if int(n) > 30:
        return
    # Two thousand sites scatter by 1.1 points at most.
    for at, spread in enumerate((1.0, 1.25, 1.5, 0.7)):
        found = calibrations(XI, int(n), 2000, spread=spread)
        assert found.refused_by_sd == pytest.approx(float(shares[2 * at]), abs=4)
        assert found.outside_95 == pytest.approx(float(shares[2 * at + 1]), abs=4)


def test_the_table_of_the_spread_is_there() -> None:
    assert [row[0] for row in ROWS] == ["20", "30", "50", "100"]


def test_every_code_of_the_page_is_one_of_the_product() -> None:
    named = set(re.findall(r"`((?:comparison|admission|quality)\.[a-z0-9_]+)`", PAGE))

    assert len(named) > 15
    assert named <= set(Code)


def test_whose_age_is_corrected_and_until_when() -> None:
    rule = USUAL_RULE
    says(
        f"born before {rule.below_weeks} weeks is compared at its corrected age",
        f"until {rule.until_days / 30.4375:.0f} months, or until {rule.long_until_days / 30.42:.0f}"
        f" if born before {rule.long_below_weeks} weeks",
    )


def test_how_far_the_tiers_are_off() -> None:
    central = truth_of(XI, 8.5, 10.0)
    girl = exact_alarms(XI, central, 548, Sex.FEMALE, pooled=True)
    boy = exact_alarms(XI, central, 913, Sex.MALE, pooled=True)
    often = exact_alarms(XI, truth_of(XI, 6.0, 7.0), 913, Sex.MALE)
    seldom = exact_alarms(XI, truth_of(XI, 11.0, 13.0), 913, Sex.MALE)

    says(
        f"it calls {girl.below:.1f} % of typical girls of 18 months small",
        f"and {boy.above:.1f} % of boys of 30 months large",
        f"called small too often, {often.below:.1f} % instead of 2.3 %; or too seldom, "
        f"{seldom.below:.1f} %",
    )


def test_what_the_page_says_of_tiers_columns_and_limits() -> None:
    for tier in Tier:
        says(f"| `{tier}` |")
    for column in (*REQUIRED, *OPTIONAL):
        says(f"| `{column}` |")
    ages = XI.validity
    says(
        f"beyond {LARGEST_OFFSET_PERCENT:g} % of the mean*",
        f"younger than {ages.age_days_min} or older than {ages.age_days_max} days",
        f"**Calibration**, {XI.calibration.n_min_offset} children or more",
        f"**An own regression**, {XI.calibration.n_min_regression} children or more",
    )
