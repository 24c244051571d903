"""docs/references.md: the worked child and every figure of it come out of the code."""

from math import hypot
from pathlib import Path

import pytest

from benchmarks.norms import exact_alarms, truth_of
from fontanelle.norms.calibration import LARGEST_OFFSET_PERCENT, shrunken_offset
from fontanelle.norms.cohort_rows import OPTIONAL, REQUIRED
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Sex, SiteOffset, Tier
from fontanelle.norms.multiplicity import shares_with_as_many
from fontanelle.norms.statistics import Z_95, family_wise_limit
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
        f"beyond {LARGEST_OFFSET_PERCENT:g} % of the mean",
        f"{ages.age_days_min} to {ages.age_days_max} days",
        f"**Calibration**, {XI.calibration.n_min_offset} children or more",
        f"**An own regression**, {XI.calibration.n_min_regression} children or more",
    )
