"""Age in days, sex and identity: what the header says, and how sure it is.

Expected ages in days: differences of dates by hand (GNU date); spans of Age Strings as the notes on
the reference state them (completed units of mean length).
"""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fontanelle.errors import Code
from fontanelle.imaging.patient import (
    NOBODY,
    PLACEHOLDERS,
    Patient,
    patient_of,
    with_given,
)
from tests.unit.imaging.builders import ABSENT, CANARIES, series

VALID = (548, 913)


def child(**changes) -> Patient:
    return patient_of(series(slices=2, **changes), VALID)


def codes(patient: Patient) -> list[Code]:
    return [reason.code for reason in patient.reasons]


def test_age_counts_days_from_birth_to_acquisition() -> None:
    # date: 2022-03-15 to 2024-03-21 is 737 days.
    boy = child()

    assert (boy.age_days, boy.age_source, boy.age_span_days) == (737, "birth_date", (737, 737))
    assert (boy.sex, boy.birth_date, boy.reasons) == ("M", "2022-03-15", ())
    assert (boy.patient_id, boy.issuer) == ("CANARY-4711", None)


@pytest.mark.parametrize(
    ("dates", "age_days"),
    [
        ({"AcquisitionDate": "20240301"}, 717),
        ({"AcquisitionDate": ABSENT, "SeriesDate": "20240302"}, 718),
        ({"AcquisitionDate": "", "SeriesDate": ABSENT, "StudyDate": "20240303"}, 719),
        ({"AcquisitionDate": "2024", "SeriesDate": "20240230", "StudyDate": "20240304"}, 720),
        ({"AcquisitionDate": "2024.03.05"}, 721),
    ],
)
def test_the_acquisition_date_counts_else_the_series_else_the_study_date(dates, age_days) -> None:
    assert child(**dates).age_days == age_days


def test_a_scan_across_midnight_has_the_age_of_its_first_day() -> None:
    made = series(slices=4, at={0: {"AcquisitionDate": "20240322"}})

    assert patient_of(made, VALID).age_days == 737


@pytest.mark.parametrize(
    ("stated", "span"),
    [
        ("104W", (728, 734)),
        ("018M", (548, 578)),
        ("024M", (731, 760)),
        ("029M", (883, 913)),
        ("030M", (914, 943)),
        ("002Y", (731, 1095)),
        ("730D", (730, 730)),
    ],
)
def test_an_age_string_counts_completed_units(stated: str, span: tuple[int, int]) -> None:
    patient = child(PatientBirthDate="", PatientAge=stated)

    assert patient.age_span_days == span
    assert patient.age_days == sum(span) // 2
    assert patient.age_source == "patient_age"


@pytest.mark.parametrize(
    ("stated", "reasons"),
    [
        ("024M", []),
        ("018M", []),
        ("029M", []),
        ("104W", []),
        ("078W", [Code.AGE_IMPRECISE]),  # 546 to 552 days
        ("001Y", [Code.AGE_IMPRECISE]),
        ("002Y", [Code.AGE_IMPRECISE]),
        ("017M", []),  # all of it is too young: that is no question of precision
        ("030M", []),
        ("034Y", []),
    ],
)
def test_an_age_string_is_precise_enough_where_it_decides_the_question(stated, reasons) -> None:
    assert codes(child(PatientBirthDate="", PatientAge=stated)) == reasons


@pytest.mark.parametrize("stated", ["", "24", "024 M", "2Y", "abcD", "-24M", "024m0"])
def test_a_malformed_age_string_is_no_age(stated: str) -> None:
    patient = child(PatientBirthDate=ABSENT, PatientAge=stated)

    assert (patient.age_days, patient.age_source) == (None, None)
    assert codes(patient) == [Code.AGE_UNKNOWN]


def test_a_birth_date_counts_and_not_the_age_string() -> None:
    patient = child(PatientAge="002Y")

    assert (patient.age_days, patient.age_source, codes(patient)) == (737, "birth_date", [])


@pytest.mark.parametrize(
    ("stated", "conflict"),
    [
        ("737D", False),
        ("736D", False),
        ("735D", True),
        ("104W", False),
        ("103W", True),  # 721 to 727 days: 10 away, a unit is 7
        ("023M", False),  # up to 730 days: 7 away
        ("022M", True),  # up to 700 days: 37 away
        ("002Y", False),
        ("000Y", True),  # up to 365 days: 372 away
        ("034Y", True),
    ],
)
def test_dates_and_age_string_conflict_where_they_are_more_than_a_unit_apart(
    stated, conflict
) -> None:
    patient = child(PatientAge=stated)

    assert codes(patient) == ([Code.AGE_CONFLICT] if conflict else [])
    assert patient.age_days == 737


def test_neither_birth_date_nor_age_is_unknown() -> None:
    patient = child(PatientBirthDate=ABSENT)

    assert (patient.age_days, patient.birth_date, codes(patient)) == (
        None,
        None,
        [Code.AGE_UNKNOWN],
    )


def test_a_birth_date_without_a_date_of_the_scan_is_unknown() -> None:
    nowhen = {"AcquisitionDate": "", "SeriesDate": "", "StudyDate": ""}

    assert codes(child(**nowhen)) == [Code.AGE_UNKNOWN]
    assert child(**nowhen, PatientAge="024M").age_days == 745


def test_a_birth_after_the_scan_is_unknown() -> None:
    patient = child(PatientBirthDate="20250101")

    assert (patient.age_days, codes(patient)) == (None, [Code.AGE_UNKNOWN])


def test_a_birth_after_the_scan_contradicts_a_stated_age() -> None:
    patient = child(PatientBirthDate="20250101", PatientAge="024M")

    assert (patient.age_days, codes(patient)) == (745, [Code.AGE_CONFLICT])


@pytest.mark.parametrize(
    "birth",
    [
        *(day.strftime("%Y%m%d").zfill(8) for day in sorted(PLACEHOLDERS)),
        "00010101",  # least date of .NET and Python
        "17530101",  # least date of SQL Server
        "18000101",
        "18581117",  # day 0 of VMS
        "18991230",  # day 0 of Excel
        "19000101",
    ],
)
def test_a_placeholder_is_no_birth_date(birth: str) -> None:
    patient = child(PatientBirthDate=birth)

    assert (patient.age_days, patient.birth_date) == (None, None)
    assert codes(patient) == [Code.AGE_PLACEHOLDER]


def test_an_age_that_was_computed_from_a_placeholder_is_no_age() -> None:
    # From 1900 to 2024.
    assert codes(child(PatientBirthDate="19000101", PatientAge="124Y")) == [Code.AGE_PLACEHOLDER]


def test_an_age_stated_beside_a_placeholder_counts() -> None:
    patient = child(PatientBirthDate="19000101", PatientAge="024M")

    assert (patient.age_days, patient.age_source, codes(patient)) == (745, "patient_age", [])


@settings(deadline=None)
@given(st.dates(date(1981, 1, 1), date(2040, 1, 1)), st.integers(0, 3000))
def test_no_toddler_is_born_on_a_placeholder(birth: date, age_days: int) -> None:
    # The first of January of a recent year among them: one child in 365 has it.
    patient = child(
        PatientBirthDate=birth.strftime("%Y%m%d"),
        AcquisitionDate=(birth + timedelta(days=age_days)).strftime("%Y%m%d"),
    )

    assert (patient.age_days, patient.reasons) == (age_days, ())


@settings(deadline=None)
@given(st.integers(0, 1400), st.sampled_from("WM"))
def test_the_age_string_of_an_age_allows_this_age(age_days: int, unit: str) -> None:
    length = {"W": 7, "M": 365.25 / 12}[unit]
    patient = child(PatientBirthDate="", PatientAge=f"{int(age_days / length):03d}{unit}")

    assert patient.age_span_days is not None
    assert patient.age_span_days[0] <= age_days <= patient.age_span_days[1]


@pytest.mark.parametrize("sex", ["O", "", ABSENT, "male"])
def test_a_sex_that_is_neither_m_nor_f_is_unknown(sex) -> None:
    assert codes(child(PatientSex=sex)) == [Code.SEX_UNKNOWN]


def test_identity_is_decoded_by_the_character_set_of_the_header() -> None:
    patient = child(
        SpecificCharacterSet=b"ISO_IR 192",
        PatientID="病-1".encode() + b" ",
        IssuerOfPatientID="Krankenhaus Süd ".encode(),
    )

    assert (patient.patient_id, patient.issuer) == ("病-1", "Krankenhaus Süd")


def test_a_given_age_counts_and_what_spoke_against_the_header_is_gone() -> None:
    patient = with_given(child(PatientBirthDate="19000101", PatientSex="O"), age_days=730)

    assert (patient.age_days, patient.age_source) == (730, "given")
    assert patient.age_span_days == (730, 730)
    assert codes(patient) == [Code.SEX_UNKNOWN]


@pytest.mark.parametrize(
    ("age_days", "conflict"), [(737, 0), (706, 0), (768, 0), (705, 1), (769, 1)]
)
def test_a_given_age_conflicts_with_a_header_more_than_31_days_away(age_days, conflict) -> None:
    patient = with_given(child(), age_days=age_days)

    assert codes(patient) == [Code.AGE_CONFLICT] * conflict
    assert patient.age_days == age_days


def test_a_given_age_inside_what_an_age_string_allows_makes_it_precise() -> None:
    patient = with_given(child(PatientBirthDate="", PatientAge="002Y"), age_days=800)

    assert (patient.age_days, codes(patient)) == (800, [])


def test_a_given_age_settles_a_conflict_within_the_header() -> None:
    assert codes(with_given(child(PatientAge="034Y"), age_days=737)) == []


def test_a_given_sex_fills_an_unknown_one() -> None:
    patient = with_given(child(PatientSex=""), sex="F")

    assert (patient.sex, codes(patient)) == ("F", [])


def test_a_given_sex_that_is_not_the_headers_is_a_conflict() -> None:
    patient = with_given(child(PatientSex="M"), sex="F")

    assert (patient.sex, codes(patient)) == ("F", [Code.SEX_CONFLICT])


def test_nothing_given_changes_nothing() -> None:
    assert with_given(child()) == child()


def test_a_file_without_a_header_is_of_nobody_until_age_and_sex_are_given() -> None:
    assert codes(NOBODY) == [Code.AGE_UNKNOWN, Code.SEX_UNKNOWN]

    somebody = with_given(NOBODY, age_days=730, sex="M")
    assert (somebody.age_days, somebody.sex, somebody.reasons) == (730, "M", ())


@pytest.mark.parametrize("given_", [{"age_days": -1}, {"sex": "O"}])
def test_nonsense_given_is_a_mistake_of_the_caller(given_) -> None:
    with pytest.raises(ValueError, match="must"):
        with_given(NOBODY, **given_)


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientAge": "034Y"},
        {"PatientBirthDate": "19000101"},
        {"PatientBirthDate": "20250101"},
        {"PatientBirthDate": "", "PatientAge": "002Y"},
        {"PatientBirthDate": "", "PatientSex": "O"},
    ],
)
def test_no_sentence_holds_a_date_or_an_identifier(changes) -> None:
    sentences = [reason.sentence for reason in child(**changes).reasons]

    assert sentences
    for sentence in sentences:
        assert not [canary for canary in (*CANARIES, "1900", "2025") if canary in sentence]


def test_a_gestational_age_is_carried_and_speaks_against_nothing() -> None:
    patient = with_given(child(), gestational_age_weeks=30)

    assert patient.gestational_age_weeks == 30
    assert patient.reasons == child().reasons
