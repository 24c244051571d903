"""Children born preterm: corrected age decides, both are shown, both must be inside."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Reason
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Flag, Sex
from fontanelle.norms.prematurity import CorrectionRule, corrected_age_days
from fontanelle.settings import ComparisonSettings
from tests.unit.norms.cases import CALIBRATED, MEANS_ML, UNCALIBRATED, XI


def codes(child: Child, **changes) -> list[Code]:
    comparison = compare(MEANS_ML, child, XI, replace(UNCALIBRATED, **changes))
    return [reason.code for reason in comparison.reasons]


@pytest.mark.parametrize(
    ("age_days", "weeks", "corrected"),
    [
        (723, 32, 667),  # 723 - (280 - 224)
        (560, 32, 504),
        (723, 24, 611),
        (723, 36, 695),
        (723, 37, None),
        (723, 40, None),
        (723, None, None),
        (730, 36, 702),
        (731, 36, None),
        (1095, 31, 1032),
        (1096, 31, None),
    ],
)
def test_the_corrected_age_is_counted_from_the_expected_birth(age_days, weeks, corrected) -> None:
    assert corrected_age_days(age_days, weeks) == corrected


def test_the_corrected_age_decides_and_both_z_are_shown() -> None:
    preterm = compare(MEANS_ML, Child(723, Sex.MALE, gestational_age_weeks=32), XI, CALIBRATED)
    at_667 = compare(MEANS_ML, Child(667, Sex.MALE), XI, CALIBRATED)
    at_723 = compare(MEANS_ML, Child(723, Sex.MALE), XI, CALIBRATED)

    assert preterm.corrected_age_days == 667
    for line, corrected, chronological in zip(
        preterm.regions, at_667.regions, at_723.regions, strict=True
    ):
        assert (line.z, line.flag) == (corrected.z, corrected.flag)
        assert line.chronological_z == chronological.z
        assert line.chronological_expected_ml == chronological.expected_ml
        assert line.chronological_centile == chronological.centile
        assert chronological.chronological_z is None
    # 32 weeks: 0.19 SD.
    of_frontal = preterm.regions[0]
    assert of_frontal.z - of_frontal.chronological_z == pytest.approx(0.19, abs=0.005)


def test_the_corrected_age_flags() -> None:
    limit = 2.54
    line = compare(MEANS_ML, Child(723, Sex.MALE), XI, CALIBRATED).regions[8]
    at_edge = line.expected_ml - (limit + 0.1) * line.sd_ml
    volumes = MEANS_ML | {"cerebellum": at_edge}

    term = compare(volumes, Child(723, Sex.MALE), XI, CALIBRATED).regions[8]
    preterm = compare(
        volumes, Child(723, Sex.MALE, gestational_age_weeks=28), XI, CALIBRATED
    ).regions[8]

    assert (term.flag, preterm.flag) == (Flag.LOW, Flag.NOT_FLAGGED)
    assert preterm.chronological_z == pytest.approx(term.z)


def test_both_ages_have_to_lie_inside_the_reference() -> None:
    assert codes(Child(560, Sex.FEMALE, gestational_age_weeks=32)) == [Code.AGE_OUT_OF_RANGE]
    assert codes(Child(930, Sex.FEMALE, gestational_age_weeks=30)) == [Code.AGE_OUT_OF_RANGE]
    comparison = compare(
        MEANS_ML, Child(560, Sex.FEMALE, gestational_age_weeks=32), XI, UNCALIBRATED
    )
    assert "The corrected age of 504 days (born at 32 weeks)" in comparison.reasons[0].sentence
    assert {line.z for line in comparison.regions} == {None}


def test_the_reader_is_told_of_correction_and_of_its_end() -> None:
    assert Code.AGE_CORRECTED in codes(Child(700, Sex.MALE, gestational_age_weeks=34))
    assert Code.CORRECTION_ENDED in codes(Child(800, Sex.MALE, gestational_age_weeks=34))
    assert not {Code.AGE_CORRECTED, Code.CORRECTION_ENDED} & set(
        codes(Child(800, Sex.MALE, gestational_age_weeks=38))
    )


def test_the_edge_is_that_of_the_corrected_age() -> None:
    assert Code.EDGE_OF_RANGE in codes(Child(640, Sex.MALE, gestational_age_weeks=28))
    assert Code.EDGE_OF_RANGE not in codes(Child(640, Sex.MALE))


def test_what_an_older_version_said_against_the_age_is_settled_by_the_weeks() -> None:
    reason = Reason(Code.AGE_NOT_CORRECTED, "Born at 32 weeks.")

    unknown = Child(700, Sex.MALE, (reason,))
    known = Child(700, Sex.MALE, (reason,), gestational_age_weeks=32)

    assert codes(unknown) == [Code.AGE_NOT_CORRECTED]
    assert Code.AGE_NOT_CORRECTED not in codes(known)


def test_a_site_sets_its_own_limits() -> None:
    child = Child(723, Sex.MALE, gestational_age_weeks=35)
    never = CorrectionRule(below_weeks=32, long_below_weeks=28)

    assert Code.AGE_CORRECTED not in codes(child, correction=never)
    assert Code.AGE_CORRECTED in codes(child)


def test_the_settings_make_the_usual_rule_unless_said_otherwise() -> None:
    assert CorrectionRule.of(ComparisonSettings()) == CorrectionRule()
    said = ComparisonSettings(correct_until_days=365, correct_long_until_days=730)
    assert CorrectionRule.of(said) == CorrectionRule(until_days=365, long_until_days=730)


def test_who_is_born_earlier_is_not_corrected_for_a_shorter_time() -> None:
    for mistake in ({"correct_long_until_days": 700}, {"correct_long_below_weeks": 38}):
        with pytest.raises(ValueError, match="shorter"):
            ComparisonSettings(**mistake)
    with pytest.raises(ValueError, match="shorter"):
        CorrectionRule(until_days=800, long_until_days=700)


@given(st.integers(548, 913), st.integers(22, 36))
def test_a_corrected_child_is_younger_and_so_its_z_is_higher(age_days, weeks) -> None:
    corrected = corrected_age_days(age_days, weeks)
    if corrected is None or corrected < 548:
        return
    child = Child(age_days, Sex.FEMALE, gestational_age_weeks=weeks)
    for line in compare(MEANS_ML, child, XI, UNCALIBRATED).regions:
        assert line.z > line.chronological_z
