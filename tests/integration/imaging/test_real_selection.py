"""Admission, selection and patient on the real series, whose names and descriptions are blanked."""

import random
from pathlib import Path

import pytest

from fontanelle.errors import Code
from fontanelle.imaging.admission import Verdict, admit_headers, admit_voxels
from fontanelle.imaging.decoding import decode
from fontanelle.imaging.patient import patient_of
from fontanelle.imaging.selection import select
from fontanelle.imaging.series import Series, read_study
from tests.real import PHANTOM, ge_head_tilt, philips_phantom, philips_series


def _series_in(folder: Path) -> tuple[Series, ...]:
    return read_study(sorted(path for path in folder.rglob("*") if path.is_file())).series


def _phantom() -> dict[str, Series]:
    """Return the series of the phantom's study by their names; the names stay in the test."""
    return {name: _series_in(philips_series(name))[0] for name in PHANTOM}


def test_the_tilted_head_is_limited_by_uneven_and_thick_slices() -> None:
    (head,) = _series_in(ge_head_tilt())

    admission = admit_headers(head)

    assert admission.decision is Verdict.LIMITED
    assert [r.code for r in admission.reasons] == [Code.UNEVEN, Code.SLICE_THICKNESS]
    assert "1.08 to 7.00 mm" in admission.reasons[0].sentence
    assert "4.00 to 7.00 mm" in admission.reasons[1].sentence


def test_the_tilted_head_is_accepted_with_remarks_on_its_tilt_and_its_header() -> None:
    (head,) = _series_in(ge_head_tilt())

    remarks = {reason.code: reason.sentence for reason in admit_headers(head).remarks}

    # GantryDetectorTilt says +18.5.
    assert "18.5 degrees" in remarks[Code.TILT]
    assert "PatientBirthDate, PatientSex" in remarks[Code.TYPE2_MISSING]
    assert set(remarks) == {
        Code.TILT,
        Code.TYPE2_MISSING,
        Code.IMAGE_TYPE_FORM,
        Code.PADDING,
    }


def test_two_forms_of_image_type_do_not_split_the_tilted_head() -> None:
    (head,) = _series_in(ge_head_tilt())

    assert len(head.instances) == 28
    assert select((head,)).chosen is head


def test_of_the_tilted_head_neither_age_nor_sex_is_known() -> None:
    (head,) = _series_in(ge_head_tilt())

    patient = patient_of(head, (548, 913))

    assert (patient.age_days, patient.sex) == (None, None)
    assert [r.code for r in patient.reasons] == [Code.AGE_UNKNOWN, Code.SEX_UNKNOWN]


def test_of_the_phantom_the_sex_is_known_and_the_age_is_not() -> None:
    patient = patient_of(_phantom()["brain_1mm"], (548, 913))

    assert (patient.sex, [r.code for r in patient.reasons]) == ("M", [Code.AGE_UNKNOWN])


def test_of_the_phantoms_study_exactly_the_thin_soft_series_is_chosen() -> None:
    study = _phantom()

    selection = select(_series_in(philips_phantom()))

    reasons = {d.series_instance_uid: [r.code for r in d.reasons] for d in selection.decisions}
    assert {name: reasons[one.series_instance_uid] for name, one in study.items()} == {
        "localizer": [Code.LOCALIZER],
        "brain_5mm": [Code.SELECTION_BETTER],
        "brain_1mm": [],
        "bone_1mm_part": [Code.COVERAGE, Code.KERNEL],
        "exam_summary": [Code.NOT_CT],
    }
    assert selection.chosen is not None
    assert selection.chosen.series_instance_uid == study["brain_1mm"].series_instance_uid


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_does_not_depend_on_the_order_of_arrival(seed: int) -> None:
    arrived = [
        Series(one.series_instance_uid, one.study_instance_uid, _shuffled(one.instances, seed))
        for one in _shuffled(tuple(_phantom().values()), seed)
    ]

    decisions = select(arrived).decisions

    assert decisions == select(_series_in(philips_phantom())).decisions


def test_a_whole_bone_series_is_not_taken_for_its_kernel() -> None:
    soft = _phantom()["brain_1mm"]
    (bone,) = _series_in(philips_series("brain_1mm"))
    for instance in bone.instances:
        instance.header.ConvolutionKernel = "YA"
    bone = Series("1." + soft.series_instance_uid[2:], soft.study_instance_uid, bone.instances)

    selection = select((bone, soft))

    assert selection.chosen is soft
    (reason,) = next(d.reasons for d in selection.decisions if not d.chosen)
    assert reason.code is Code.SELECTION_BETTER
    assert "softer kernel" in reason.sentence


def test_without_its_thin_series_the_thick_one_of_the_phantom_is_chosen() -> None:
    rest = [one for name, one in _phantom().items() if name != "brain_1mm"]

    selection = select(rest)

    assert selection.chosen is not None
    assert selection.admission is not None
    assert [r.code for r in selection.admission.reasons] == [Code.SLICE_THICKNESS]


@pytest.mark.parametrize("series_of", [ge_head_tilt, lambda: philips_series("brain_5mm")])
def test_the_voxels_of_the_real_series_are_hounsfield_units(series_of) -> None:
    (series,) = _series_in(series_of())

    assert admit_voxels(decode(series)).findings == ()


def test_no_sentence_holds_a_uid_or_a_date_of_the_real_series() -> None:
    for one in (*_phantom().values(), *_series_in(ge_head_tilt())):
        forbidden = ("2015", one.series_instance_uid, one.study_instance_uid)
        for finding in admit_headers(one).findings:
            assert not [word for word in forbidden if word in finding.reason.sentence]


def _shuffled(items: tuple, seed: int) -> tuple:
    return tuple(random.Random(seed).sample(items, len(items)))  # noqa: S311 (an order, no secret)
