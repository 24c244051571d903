"""Admission rules of kind and identity: one series of CT slices of one person."""

import re
from collections import defaultdict

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from fontanelle.errors import Code
from fontanelle.imaging.attributes import decimals, first_text, number, texts, unsigned
from fontanelle.imaging.rules.rule import (
    ACCEPTED,
    REJECTED,
    Outcome,
    Rule,
    accepted,
    headers,
    of_instances,
    rejected,
    rule,
)
from fontanelle.imaging.series import Series

UID_PATTERN = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")
"""PS3.5 9.1; pydicom itself accepts `../../etc/passwd`."""
UID_LENGTH = 64
"""PS3.5 9.1."""
DERIVED_FORMS = frozenset(
    ("REFORMATTED", "MPR", "PROJECTION IMAGE", "MIP", "MIN", "MAX", "3D", "CURVED", "DOSE")
)
"""Third values of ImageType of images that were computed from slices."""
SCOUT_ASPECT = 1.5
"""One or two images whose matrix is longer than wide by this much are a scout's."""
SCOUT_IMAGES = 2
"""A scout has one, or one from the front and one from the side."""
TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesNumber",
    "InstanceNumber",
    "Manufacturer",
)
"""Attributes of type 2 that SEG and SR copy: absent, they go out empty."""

_ENHANCED = frozenset((EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage))
_ANY_CT = _ENHANCED | {CTImageStorage}
_CT = ("not_ct",)


@rule(
    Code.UID_INVALID,
    reads="SOPInstanceUID, SeriesInstanceUID, StudyInstanceUID",
    decides=f"Digits and dots as PS3.5 9.1 has it, at most {UID_LENGTH} characters.",
    verdicts=(REJECTED,),
)
def _uid_invalid(series: Series) -> Outcome | None:
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    bad = sum(
        any(not _is_uid(first_text(header, keyword)) for keyword in keywords)
        for header in headers(series)
    )
    return rejected(f"{of_instances(bad, series)} carry an invalid UID.") if bad else None


def _is_uid(uid: str) -> bool:
    return len(uid) <= UID_LENGTH and UID_PATTERN.fullmatch(uid) is not None


@rule(
    Code.TWO_PATIENTS,
    reads="PatientID, PatientName, PatientBirthDate, PatientSex",
    decides="The same in all instances; the sex in all that state it.",
    verdicts=(REJECTED,),
)
def _two_patients(series: Series) -> Outcome | None:
    keywords = ("PatientID", "PatientName", "PatientBirthDate")
    people = {
        tuple(first_text(header, keyword) for keyword in keywords) for header in headers(series)
    }
    if len(people) > 1:
        return rejected(f"The series holds {len(people)} different patients.")
    sexes = {first_text(header, "PatientSex").upper() for header in headers(series)} - {""}
    if len(sexes) > 1:
        return rejected(f"The series holds patients of {len(sexes)} different sexes.")
    return None


@rule(
    Code.NOT_CT,
    reads="SOPClassUID, Modality",
    decides="A CT image class and modality CT; what is below is asked of CT only.",
    verdicts=(REJECTED,),
)
def _not_ct(series: Series) -> Outcome | None:
    other = sum(
        first_text(header, "SOPClassUID") not in _ANY_CT or first_text(header, "Modality") != "CT"
        for header in headers(series)
    )
    return rejected(f"{of_instances(other, series)} are not CT images.") if other else None


@rule(
    Code.UID_DUPLICATE,
    reads="SOPInstanceUID, ImagePositionPatient",
    decides="One UID for one position; copies at one position are judged by their pixels.",
    verdicts=(REJECTED,),
    needs=("uid_invalid", *_CT),
)
def _uid_duplicate(series: Series) -> Outcome | None:
    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for header in headers(series):
        position = decimals(header, "ImagePositionPatient")
        places[first_text(header, "SOPInstanceUID")].add(position)
    shared = sum(len(positions) for positions in places.values() if len(positions) > 1)
    return (
        rejected(f"{shared} slices share their SOPInstanceUID with another one.")
        if shared
        else None
    )


@rule(
    Code.ENHANCED,
    reads="SOPClassUID, NumberOfFrames",
    decides="Enhanced and Legacy Converted Enhanced CT are recognised, not measured.",
    verdicts=(REJECTED,),
    needs=_CT,
)
def _enhanced(series: Series) -> Outcome | None:
    frames = [(header, number(header, "NumberOfFrames") or 1) for header in headers(series)]
    several = [
        count
        for header, count in frames
        if count > 1 or first_text(header, "SOPClassUID") in _ENHANCED
    ]
    if not several:
        return None
    return rejected(
        f"{of_instances(len(several), series)} hold {sum(several):.0f} frames: multi-frame CT is "
        "not measured. Send the series as single-frame CT images."
    )


@rule(
    Code.LOCALIZER,
    reads="ImageType, Rows, Columns, number of instances",
    decides=f"LOCALIZER in the image type, or at most {SCOUT_IMAGES} images whose matrix is more "
    f"than {SCOUT_ASPECT} times as long as wide.",
    verdicts=(REJECTED,),
    needs=_CT,
)
def _localizer(series: Series) -> Outcome | None:
    marked = sum("LOCALIZER" in texts(header, "ImageType")[2:] for header in headers(series))
    if marked:
        return rejected(f"{of_instances(marked, series)} are marked as localizer.")
    shapes = {(unsigned(h, "Rows") or 0, unsigned(h, "Columns") or 0) for h in headers(series)}
    long_side, short_side = max(map(max, shapes)), min(map(min, shapes))
    if len(series.instances) <= SCOUT_IMAGES and long_side > SCOUT_ASPECT * short_side > 0:
        return rejected(f"{len(series.instances)} image of {long_side} x {short_side}: a scout.")
    return None


@rule(
    Code.DERIVED,
    reads="ImageType, values 1 to 3",
    decides="DERIVED with SECONDARY, or a third value of "
    + ", ".join(sorted(DERIVED_FORMS))
    + ". DERIVED with PRIMARY is common for iterative reconstruction: a remark.",
    verdicts=(ACCEPTED, REJECTED),
    needs=("not_ct", "localizer"),
)
def _derived(series: Series) -> Outcome | None:
    types = [texts(header, "ImageType") for header in headers(series)]
    computed = sum(
        type_[:2] == ("DERIVED", "SECONDARY") or not DERIVED_FORMS.isdisjoint(type_[2:3])
        for type_ in types
    )
    if computed:
        return rejected(f"{of_instances(computed, series)} were computed from other images.")
    processed = sum(type_[:1] == ("DERIVED",) for type_ in types)
    if processed:
        return accepted(
            f"{of_instances(processed, series)} are marked as derived, as iterative ones are."
        )
    return None


@rule(
    Code.IMAGE_TYPE_FORM,
    reads="ImageType",
    decides="Forms may vary within a series and never split it.",
    verdicts=(ACCEPTED,),
    needs=("not_ct", "localizer", "derived"),
)
def _image_type_form(series: Series) -> Outcome | None:
    forms = {texts(header, "ImageType") for header in headers(series)}
    if len(forms) == 1:
        return None
    return accepted(f"The image type has {len(forms)} forms; the series is taken as one.")


@rule(
    Code.TYPE2_MISSING,
    reads=", ".join(TYPE_2),
    decides="Absent ones are taken as empty.",
    verdicts=(ACCEPTED,),
    needs=_CT,
)
def _type2_missing(series: Series) -> Outcome | None:
    absent = [
        keyword for keyword in TYPE_2 if any(keyword not in header for header in headers(series))
    ]
    return accepted(f"Absent, and taken as empty: {', '.join(absent)}.") if absent else None


IDENTITY_RULES: tuple[Rule[Series], ...] = (
    _uid_invalid,
    _two_patients,
    _not_ct,
    _uid_duplicate,
    _enhanced,
    _localizer,
    _derived,
    _image_type_form,
    _type2_missing,
)
"""Judged in this order."""
