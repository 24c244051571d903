"""Patient and study travel from the source to our objects unchanged, byte by byte."""

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from fontanelle.reports.segmentation import render_segmentation
from fontanelle.reports.source import OPTIONAL, REQUIRED, carry_over
from fontanelle.reports.structured_report import render_structured_report
from tests.unit.reports.builders import Case, case
from tests.unit.reports.reading import in_file, reread

KINDS = ("segmentation", "report")


def rendered(of: Case, kind: str) -> Dataset:
    seg = render_segmentation(of.result, of.labels, of.sources)
    return seg if kind == "segmentation" else render_structured_report(of.result, seg, of.sources)


@pytest.mark.parametrize("kind", KINDS)
def test_patient_and_study_equal_the_source_attribute_by_attribute(kind: str) -> None:
    of = case()

    target = reread(rendered(of, kind))

    for keyword in (*REQUIRED, *OPTIONAL):
        assert (keyword in target) == (keyword in of.sources[0]), keyword
        if keyword in target:
            assert target[keyword].value == of.sources[0][keyword].value, keyword
    assert target.IssuerOfPatientID == "KLINIKUM"


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_source_lacks_is_empty_and_not_absent(kind: str) -> None:
    of = case()
    for source in of.sources:
        for keyword in REQUIRED:
            delattr(source, keyword)

    target = reread(rendered(of, kind))

    for keyword in REQUIRED:
        assert keyword in target and not target[keyword].value, keyword


# The usual Japanese form has an empty first value; the names are PS3.5, H.3 and its like.
NAMES = {
    "absent": (None, "Yamada^Tarou"),
    "latin 1": ("ISO_IR 100", "Buc^Jérôme"),
    "cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "utf-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "japanese, named": (
        ["ISO 2022 IR 6", "ISO 2022 IR 87"],
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "half-width": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_keep_their_bytes_and_character_set(name: str) -> None:
    character_set, patient = NAMES[name]
    source = in_file(case().sources[0], character_set, patient)
    target = _empty_object(source)

    carry_over(source, target)

    assert str(target.PatientName) == patient
    assert target.get("SpecificCharacterSet") == character_set
    assert _raw_name(target) == _raw_name(source)


def test_gbk_becomes_utf_8_since_checkers_do_not_know_it() -> None:
    source = in_file(case().sources[0], "GBK", "Wang^XiaoDong=王^小东")
    target = _empty_object(source)

    carry_over(source, target)

    assert target.SpecificCharacterSet == "ISO_IR 192"
    assert str(reread(target).PatientName) == "Wang^XiaoDong=王^小东"


def test_a_removed_identity_is_repeated_only_with_its_method() -> None:
    source = case().sources[0]
    source.PatientIdentityRemoved, source.DeidentificationMethod = "YES", ""
    unexplained, explained = _empty_object(source), _empty_object(source)

    carry_over(source, unexplained)
    source.DeidentificationMethod = "By hand"
    carry_over(source, explained)

    assert "PatientIdentityRemoved" not in unexplained
    assert "DeidentificationMethod" not in unexplained
    assert explained.PatientIdentityRemoved == "YES"


def test_own_text_that_does_not_fit_switches_the_object_to_utf_8() -> None:
    source = case().sources[0]
    target = _empty_object(source)
    target.SeriesDescription = "脑区"

    carry_over(source, target)

    assert target.SpecificCharacterSet == "ISO_IR 192"
    assert reread(target).SeriesDescription == "脑区"
    assert str(target.PatientName) == "Müller^Änne"


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_against_the_standard_are_copied_and_not_judged(kind: str) -> None:
    of = case()
    with disable_value_validation():
        for source in of.sources:
            del source.PatientSex, source.PatientBirthDate, source.PatientName
            source.PatientSex = "MALE"
            source.PatientBirthDate = "2023"
            source.PatientName = "A" * 70

        target = rendered(of, kind)

    assert (target.PatientSex, target.PatientBirthDate) == ("MALE", "2023")
    assert str(target.PatientName) == "A" * 70


@pytest.mark.parametrize("kind", KINDS)
def test_the_sources_are_left_as_they_were(kind: str) -> None:
    of, untouched = case("tilted"), case("tilted")

    rendered(of, kind)

    assert of.sources == untouched.sources


def _raw_name(target: Dataset) -> bytes:
    return bytes(reread(target).get_item("PatientName").value)


def _empty_object(source: Dataset) -> Dataset:
    target = Dataset()
    target.file_meta = source.file_meta
    target.SOPClassUID, target.SOPInstanceUID = source.SOPClassUID, "1.2.3"
    return target
