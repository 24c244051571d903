"""Who was scanned, as far as a measurement needs it: identity, age in days, sex.

No sentence of a reason holds a date, a name or an identifier.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from math import ceil

from pydicom.dataset import Dataset

from fontanelle.errors import Code, Reason
from fontanelle.imaging.attributes import day, first_text, name
from fontanelle.imaging.series import Series

PLACEHOLDERS = frozenset(
    (
        date(1900, 1, 1),  # the commonest of all
        date(1901, 1, 1),
        date(1904, 1, 1),  # day 0 of the old Macintosh
        date(1970, 1, 1),  # day 0 of Unix
        date(1980, 1, 1),  # day 0 of DOS
        date(9999, 12, 31),
    )
)
"""Birth dates that stand for 'unknown'. All lie decades before the first head CT of a toddler that
could have been stored as DICOM, so none can be the true birth date of a child to be compared. The
first of January of later years is left alone: it is the birthday of one child in 365."""
FIRST_YEAR = 1900
"""Nobody born before was ever scanned: 0001-01-01, 1753-01-01, 1858-11-17, 1899-12-30 and the like
are the first days of other calendars."""
UNIT_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
"""Mean length of the units of an Age String (PS3.5 6.2, AS)."""
CONFLICT_DAYS = {"D": 1, "W": 7, "M": 31, "Y": 366}
"""How far PatientAge may lie from the dates: by the longest such unit."""
GIVEN_CONFLICT_DAYS = 31
"""How far an age that was given may lie from the header's: people round to months."""

_AGE_STRING = re.compile(r"(\d{3})([DWMY])")
_SEXES = ("M", "F")
_SEX_CODES = frozenset((Code.SEX_UNKNOWN, Code.SEX_CONFLICT))


@dataclass(frozen=True, slots=True)
class Patient:
    """Identity, age and sex of the person in a series.

    Attributes
    ----------
    patient_id, issuer
        As in the header; empty where absent.
    sex
        `M`, `F`, another DICOM value, or None where empty.
    birth_date
        ISO 8601, or None where absent, malformed or a placeholder.
    age_days
        Days from birth to acquisition, or None. From PatientAge alone it is the middle of
        `age_span_days`.
    age_source
        `birth_date`, `patient_age`, `given` (on the command line), or None.
    reasons
        Why age or sex cannot be relied on.
    age_span_days
        Least and greatest age that the source allows; the same twice where it is exact.
    gestational_age_weeks
        Completed weeks at birth, where the order said so.
    head_circumference_cm
        By tape, where the order said so.
    """

    patient_id: str
    issuer: str | None
    sex: str | None
    birth_date: str | None
    age_days: int | None
    age_source: str | None
    reasons: tuple[Reason, ...] = ()
    age_span_days: tuple[int, int] | None = None
    gestational_age_weeks: int | None = None
    head_circumference_cm: float | None = None

    @property
    def age_reasons(self) -> tuple[Reason, ...]:
        """Why the age cannot be relied on."""
        return tuple(reason for reason in self.reasons if reason.code not in _SEX_CODES)


_AGE_UNKNOWN = Reason(Code.AGE_UNKNOWN, "Neither a birth date nor an age is known.")
_SEX_UNKNOWN = Reason(Code.SEX_UNKNOWN, "The sex is neither M nor F.")

NOBODY = Patient("", None, None, None, None, None, (_AGE_UNKNOWN, _SEX_UNKNOWN))
"""A NIfTI file says nothing of the person."""


@dataclass(frozen=True, slots=True)
class _Age:
    """What a header says of the age."""

    span_days: tuple[int, int] | None
    source: str | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stated:
    """PatientAge: the ages in days that it allows, and the letter of its unit."""

    span_days: tuple[int, int]
    unit: str

    def contradicts(self, age_days: int) -> bool:
        """Tell whether an age is further from the span than one unit."""
        return _outside(age_days, self.span_days) > CONFLICT_DAYS[self.unit]


def patient_of(series: Series, valid_age_days: tuple[int, int]) -> Patient:
    """Return who was scanned.

    Parameters
    ----------
    series
        Of one patient (`admission.two_patients`).
    valid_age_days
        Ages that can be compared, both ends included. They decide only whether an age that is
        known in months, weeks or years is exact enough (AGE_IMPRECISE): whether all ages it
        allows lie inside, or all outside.
    """
    birth = _first_day(series, "PatientBirthDate")
    age = _age(birth, _acquired(series), _stated(_first(series, "PatientAge", first_text)))
    imprecise = _imprecise(age.span_days, valid_age_days) if not age.reasons else ()
    sex = _first(series, "PatientSex", first_text).upper() or None
    return Patient(
        patient_id=_first(series, "PatientID", name),
        issuer=_first(series, "IssuerOfPatientID", name) or None,
        sex=sex,
        birth_date=birth.isoformat() if birth and not _is_placeholder(birth) else None,
        age_days=_middle(age.span_days),
        age_source=age.source,
        reasons=age.reasons + imprecise + (() if sex in _SEXES else (_SEX_UNKNOWN,)),
        age_span_days=age.span_days,
    )


def with_given(
    patient: Patient,
    *,
    age_days: int | None = None,
    sex: str | None = None,
    gestational_age_weeks: int | None = None,
    head_circumference_cm: float | None = None,
) -> Patient:
    """Return the patient with what a person or an order stated; None leaves the header's.

    A given age replaces the header's and all that speaks against it. Where it lies more than 31
    days from what the header says, one of the two is wrong, and it cannot be compared
    (AGE_CONFLICT); so for the sex (SEX_CONFLICT). What a preterm birth means is the comparison's
    to say.

    Raises
    ------
    ValueError
        If the age is negative or the sex neither M nor F: a mistake of the caller.
    """
    if age_days is not None:
        patient = _with_age(patient, age_days)
    if gestational_age_weeks is not None:
        patient = replace(patient, gestational_age_weeks=gestational_age_weeks)
    if head_circumference_cm is not None:
        patient = replace(patient, head_circumference_cm=head_circumference_cm)
    return patient if sex is None else _with_sex(patient, sex)


def _with_age(patient: Patient, age_days: int) -> Patient:
    if age_days < 0:
        raise ValueError(f"age_days must not be negative, got {age_days}")
    of_sex = tuple(reason for reason in patient.reasons if reason.code in _SEX_CODES)
    conflict: tuple[Reason, ...] = ()
    span = patient.age_span_days
    if span is not None and _outside(age_days, span) > GIVEN_CONFLICT_DAYS:
        sentence = f"The age given and the header's are {_outside(age_days, span)} days apart."
        conflict = (Reason(Code.AGE_CONFLICT, sentence),)
    return replace(
        patient,
        age_days=age_days,
        age_source="given",
        age_span_days=(age_days, age_days),
        reasons=conflict + of_sex,
    )


def _with_sex(patient: Patient, sex: str) -> Patient:
    if sex not in _SEXES:
        raise ValueError(f"sex must be M or F, got {sex!r}")
    conflict: tuple[Reason, ...] = ()
    if patient.sex in _SEXES and patient.sex != sex:
        conflict = (Reason(Code.SEX_CONFLICT, "The sex given is not the header's."),)
    return replace(patient, sex=sex, reasons=patient.age_reasons + conflict)


def _age(birth: date | None, acquired: date | None, stated: _Stated | None) -> _Age:
    if birth is None or acquired is None or _is_placeholder(birth):
        return _age_without_birth_date(birth, acquired, stated)
    age_days = (acquired - birth).days
    if age_days < 0:
        return _age_before_birth(stated)
    conflict: tuple[Reason, ...] = ()
    if stated is not None and stated.contradicts(age_days):
        apart_days = _outside(age_days, stated.span_days)
        sentence = f"Dates and stated age are {apart_days} days apart."
        conflict = (Reason(Code.AGE_CONFLICT, sentence),)
    return _Age((age_days, age_days), "birth_date", conflict)


def _age_without_birth_date(
    birth: date | None, acquired: date | None, stated: _Stated | None
) -> _Age:
    if birth is not None and _is_placeholder(birth):
        # A scanner computes PatientAge from the birth date, also from a placeholder.
        copied = acquired and stated and not stated.contradicts((acquired - birth).days)
        if stated is None or copied:
            sentence = "The birth date is a placeholder, and no age is stated beside it."
            return _Age(None, None, (Reason(Code.AGE_PLACEHOLDER, sentence),))
    if stated is None:
        return _Age(None, None, (_AGE_UNKNOWN,))
    return _Age(stated.span_days, "patient_age")


def _age_before_birth(stated: _Stated | None) -> _Age:
    sentence = "The birth date lies after the scan."
    if stated is None:
        return _Age(None, None, (Reason(Code.AGE_UNKNOWN, sentence),))
    return _Age(stated.span_days, "patient_age", (Reason(Code.AGE_CONFLICT, sentence),))


def _imprecise(span: tuple[int, int] | None, valid: tuple[int, int]) -> tuple[Reason, ...]:
    if span is None or span[1] < valid[0] or valid[1] < span[0]:
        return ()
    if valid[0] <= span[0] and span[1] <= valid[1]:
        return ()
    sentence = (
        f"The age is stated as {span[0]} to {span[1]} days; {valid[0]} to {valid[1]} can be "
        "compared. Give the age in days."
    )
    return (Reason(Code.AGE_IMPRECISE, sentence),)


def _stated(age_string: str) -> _Stated | None:
    """Read an Age String. It counts completed units: `024M` is 731 to 760 days."""
    match = _AGE_STRING.fullmatch(age_string.upper())
    if match is None:
        return None
    count, unit = int(match[1]), match[2]
    first, next_ = ceil(count * UNIT_DAYS[unit]), ceil((count + 1) * UNIT_DAYS[unit])
    return _Stated((first, next_ - 1), unit)


def _acquired(series: Series) -> date | None:
    """Return the day of the acquisition, the earlier one where it passed midnight."""
    for keyword in ("AcquisitionDate", "SeriesDate", "StudyDate"):
        if acquired := _first_day(series, keyword):
            return acquired
    return None


def _first_day(series: Series, keyword: str) -> date | None:
    days = (day(instance.header, keyword) for instance in series.instances)
    return min((each for each in days if each), default=None)


def _first(series: Series, keyword: str, read: Callable[[Dataset, str], str]) -> str:
    # The least, not the first: instances come in any order.
    values = (read(instance.header, keyword) for instance in series.instances)
    return min((value for value in values if value), default="")


def _is_placeholder(birth: date) -> bool:
    return birth.year < FIRST_YEAR or birth in PLACEHOLDERS


def _outside(age_days: int, span: tuple[int, int]) -> int:
    return max(span[0] - age_days, age_days - span[1], 0)


def _middle(span: tuple[int, int] | None) -> int | None:
    return None if span is None else (span[0] + span[1]) // 2
