"""Who is called low or high, and who is called nothing."""

from dataclasses import replace

import pytest

from fontanelle.errors import Code
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Flag, ProtocolMatch, SiteStatus, Tier
from tests.unit.norms.cases import (
    APPROXIMATE,
    BOY,
    BOYS_VOLUMES_ML,
    CALIBRATED,
    UNCALIBRATED,
    XI,
    region,
)

PROVISIONAL_APPROXIMATE = replace(CALIBRATED, protocol_match=ProtocolMatch.APPROXIMATE)


def cerebellum_at(z: float) -> dict[str, float]:
    # Expected 132.79820 mL and residual SD 9.918 mL: the worked example, and the file.
    return BOYS_VOLUMES_ML | {"cerebellum": 132.79820 + z * 9.918}


@pytest.mark.parametrize(
    ("conditions", "codes"),
    [
        (UNCALIBRATED, [Code.SITE_UNCALIBRATED]),
        (APPROXIMATE, [Code.SITE_UNCALIBRATED, Code.PROTOCOL_APPROXIMATE]),
        (PROVISIONAL_APPROXIMATE, [Code.PROTOCOL_APPROXIMATE]),
        (replace(CALIBRATED, qualified=False), [Code.PACKAGE_UNQUALIFIED]),
    ],
)
@pytest.mark.parametrize("z", [-4.0, 0.0, 4.0])
def test_without_site_or_protocol_nobody_is_called_normal_or_abnormal(conditions, codes, z) -> None:
    comparison = compare(cerebellum_at(z), BOY, XI, conditions)

    for entry in (*comparison.regions, *comparison.asymmetry):
        assert entry.flag is Flag.UNCALIBRATED
        assert entry.z is not None
        assert [found.code for found in entry.reasons] == codes
    assert [found.code for found in comparison.reasons] == codes


# 2.54: the limit that one typical child in twenty exceeds in any of the ten regions.
@pytest.mark.parametrize(
    ("z", "flag"),
    [
        (-2.6, Flag.LOW),
        (-2.5, Flag.NOT_FLAGGED),
        (0.0, Flag.NOT_FLAGGED),
        (2.5, Flag.NOT_FLAGGED),
        (2.6, Flag.HIGH),
    ],
)
@pytest.mark.parametrize("match", [ProtocolMatch.SAME, ProtocolMatch.MATCHED])
@pytest.mark.parametrize("status", [SiteStatus.PROVISIONAL, SiteStatus.QUALIFIED])
def test_once_calibrated_a_region_is_flagged_beyond_the_family_wise_limit(
    z, flag, match, status
) -> None:
    conditions = replace(CALIBRATED, protocol_match=match, site_status=status)

    comparison = compare(cerebellum_at(z), BOY, XI, conditions)

    found = region(comparison, "cerebellum")
    assert found.flag is flag
    # Beyond 1.96 and within the limit it is a remark, and no flag.
    noted = [Code.BEYOND_95_PERCENT] if abs(z) == 2.5 else []
    assert [reason.code for reason in found.reasons] == noted
    assert [reason.code for reason in comparison.reasons] == noted


def test_once_calibrated_the_worked_boy_has_one_finding_his_parietal_asymmetry() -> None:
    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED)

    assert {entry.flag for entry in comparison.regions} == {Flag.NOT_FLAGGED}
    assert {pair.pair: pair.flag for pair in comparison.asymmetry} == {
        "frontal": Flag.NOT_FLAGGED,
        "parietal": Flag.LOW,
        "occipital": Flag.NOT_FLAGGED,
        "temporal": Flag.NOT_FLAGGED,
    }


@pytest.mark.parametrize(
    ("tiers", "conditions", "tier"),
    [
        ((Tier.DERIVED, Tier.POOLED), UNCALIBRATED, Tier.DERIVED),
        ((Tier.PUBLISHED, Tier.POOLED), UNCALIBRATED, Tier.PUBLISHED),
        ((Tier.DERIVED, Tier.POOLED), CALIBRATED, Tier.CALIBRATED),
        ((Tier.LOCAL,), replace(CALIBRATED, offsets=()), Tier.LOCAL),
        ((Tier.LOCAL,), UNCALIBRATED, Tier.LOCAL),
    ],
)
def test_the_deciding_tier_is_named(tiers, conditions, tier) -> None:
    comparison = compare(BOYS_VOLUMES_ML, BOY, replace(XI, tiers=tiers), conditions)

    assert comparison.tier is tier
    assert comparison.site_status is conditions.site_status


def test_a_sites_own_reference_needs_no_offset_at_that_site_and_the_prior_elsewhere() -> None:
    own = replace(XI, tiers=(Tier.LOCAL,))

    at_home = compare(BOYS_VOLUMES_ML, BOY, own, replace(CALIBRATED, offsets=()))
    elsewhere = compare(BOYS_VOLUMES_ML, BOY, own, UNCALIBRATED)

    known = compare(BOYS_VOLUMES_ML, BOY, XI, CALIBRATED)
    unknown = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)
    assert [each.z for each in at_home.regions] == [each.z for each in known.regions]
    assert {each.flag for each in at_home.regions} == {Flag.NOT_FLAGGED}
    assert {each.flag for each in elsewhere.regions} == {Flag.UNCALIBRATED}
    # The prior dwarfs everything else: the intervals are those of any reference to 2 %.
    for own_line, line in zip(elsewhere.regions, unknown.regions, strict=True):
        assert own_line.z_low == pytest.approx(line.z_low, abs=0.05)


def test_a_comparison_points_at_the_reference_it_used() -> None:
    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)

    assert (comparison.reference_id, comparison.reference_version) == ("xi2025", XI.version)


@pytest.mark.parametrize("tier", [Tier.DERIVED, Tier.POOLED])
def test_a_tier_that_does_not_know_the_site_flags_nobody(tier) -> None:
    asked = replace(CALIBRATED, tier=tier)

    comparison = compare(cerebellum_at(-4.0), BOY, XI, asked)

    assert comparison.tier is tier
    assert {entry.flag for entry in comparison.regions} == {Flag.UNCALIBRATED}
    assert comparison.multiplicity is None
    assert f"The tier {tier} was asked for" in comparison.reasons[0].sentence


def test_the_pooled_tier_decides_only_where_it_is_asked_for() -> None:
    derived = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)
    pooled = compare(BOYS_VOLUMES_ML, BOY, XI, replace(UNCALIBRATED, tier=Tier.POOLED))

    for one, other in zip(derived.regions, pooled.regions, strict=True):
        assert one.z != pytest.approx(one.pooled_z, abs=1e-3)
        assert other.z == pytest.approx(one.pooled_z)


@pytest.mark.parametrize(
    ("tier", "conditions"),
    [(Tier.LOCAL, UNCALIBRATED), (Tier.CALIBRATED, UNCALIBRATED), (Tier.PUBLISHED, CALIBRATED)],
)
def test_a_tier_that_is_not_there_is_the_callers_mistake(tier, conditions) -> None:
    with pytest.raises(ValueError, match=f"no tier {tier}"):
        compare(BOYS_VOLUMES_ML, BOY, XI, replace(conditions, tier=tier))
