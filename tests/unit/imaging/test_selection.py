"""Selection: the best series of a study, and for each other one the reason."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydicom.uid import SecondaryCaptureImageStorage

from fontanelle.errors import Code
from fontanelle.imaging.kernels import Sharpness, sharpness, sharpness_of_kernel
from fontanelle.imaging.selection import select
from fontanelle.imaging.series import Series
from tests.unit.imaging.builders import CANARIES, CORONAL, SAGITTAL, series

THIN = series(uid="2.25.103", slices=56, step_mm=2.5, SliceThickness=2.5)
STUDY = {
    "localizer": series(
        uid="2.25.101", slices=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], Rows=888
    ),
    "bone": series(
        uid="2.25.102", slices=56, step_mm=2.5, SliceThickness=2.5, ConvolutionKernel="BONE"
    ),
    "thin": THIN,
    "thick": series(uid="2.25.104", slices=28, step_mm=5, SliceThickness=5),
    "sagittal": series(
        uid="2.25.105",
        slices=60,
        step_mm=3,
        SliceThickness=3,
        orientation=SAGITTAL,
        ImageType=["DERIVED", "SECONDARY", "REFORMATTED"],
    ),
    "dose page": series(uid="2.25.106", slices=1, SOPClassUID=SecondaryCaptureImageStorage),
    "contrast": series(
        uid="2.25.107",
        slices=56,
        step_mm=2.5,
        SliceThickness=2.5,
        ContrastBolusAgent="OMNIPAQUE",
    ),
    "derived": series(
        uid="2.25.108",
        slices=56,
        step_mm=2.5,
        SliceThickness=2.5,
        ImageType=["DERIVED", "PRIMARY", "AXIAL"],
    ),
}
IN_ORDER = select(STUDY.values())
EXPECTED = {
    "localizer": Code.LOCALIZER,
    "bone": Code.SELECTION_BETTER,
    "thick": Code.SELECTION_BETTER,
    "sagittal": Code.DERIVED,
    "dose page": Code.NOT_CT,
    "contrast": Code.SELECTION_BETTER,
    "derived": Code.SELECTION_BETTER,
}


# A failing order is as good as a smaller one, and shrinking it takes minutes.
@settings(deadline=None, max_examples=20, phases=(Phase.reuse, Phase.generate))
@given(st.permutations(list(STUDY)))
def test_a_study_of_eight_series_gives_the_same_choice_in_any_order(arrived) -> None:
    selection = select(STUDY[name] for name in arrived)

    assert selection.chosen is THIN
    assert selection.decisions == IN_ORDER.decisions


def test_each_series_that_is_not_taken_has_its_own_reason() -> None:
    decisions = {d.series_instance_uid: d for d in IN_ORDER.decisions}

    assert len(decisions) == len(STUDY)
    assert decisions["2.25.103"].chosen
    assert decisions["2.25.103"].reasons == ()
    for name, code in EXPECTED.items():
        decision = decisions[STUDY[name].series_instance_uid]
        assert not decision.chosen
        assert decision.reasons[0].code is code, name


def test_sentences_say_in_which_respect_the_chosen_series_is_better() -> None:
    said = {d.series_instance_uid: d.reasons for d in IN_ORDER.decisions}

    assert said["2.25.102"][0].sentence.endswith("with a softer kernel.")
    assert "2.50 mm, here 5.00 mm" in said["2.25.104"][0].sentence
    assert "no contrast medium" in said["2.25.107"][0].sentence
    assert "is an original" in said["2.25.108"][0].sentence


def test_no_sentence_holds_a_name_an_identifier_or_a_date() -> None:
    for decision in IN_ORDER.decisions:
        for reason in decision.reasons:
            assert not [canary for canary in CANARIES if canary in reason.sentence.upper()]
            assert "2.25." not in reason.sentence


def _one_mm(uid: str, **changes) -> Series:
    return series(uid=uid, **{"slices": 140, **changes})


@pytest.mark.parametrize(
    ("worse", "says"),
    [
        ({"orientation": CORONAL}, "axial"),
        ({"ContrastBolusAgent": "YES"}, "contrast"),
        ({"offsets_mm": [x for x in range(140) if x != 60]}, "all its slices"),
        ({"slices": 100}, "covers more of the head: 140 mm, here 100 mm"),
        ({"ConvolutionKernel": "LUNG"}, "softer kernel"),
        ({"ConvolutionKernel": "XYZZY"}, "softer kernel"),
        ({"offsets_mm": [*range(80), *(80 + 1.2 * i for i in range(60))]}, "even"),
        ({"slices": 60, "step_mm": 2.5, "SliceThickness": 2.5}, "1.00 mm, here 2.50 mm"),
        ({"slices": 400, "step_mm": 0.35, "SliceThickness": 0.35}, "1.00 mm, here 0.35 mm"),
        ({"SliceThickness": 0.4}, "as thick as they are apart"),
        ({"LossyImageCompression": "01"}, "loss"),
        ({"PixelSpacing": [0.5, 0.52]}, "square"),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, "original"),
        ({"slices": 134}, "longer: 140.0 mm, here 134.0 mm"),
    ],
)
def test_a_series_that_is_worse_in_one_respect_is_not_taken(worse, says) -> None:
    # The worse one comes first by UID, so that the tie-break cannot help.
    best, other = _one_mm("2.25.9"), _one_mm("2.25.1", **worse)

    selection = select((other, best))

    assert selection.chosen is best
    assert says in selection.decisions[0].reasons[0].sentence


@pytest.mark.parametrize(
    ("weighty", "light"),
    [
        # A sharp kernel is measured only where there is nothing else: thick soft slices win.
        ({"slices": 28, "step_mm": 5, "SliceThickness": 5}, {"ConvolutionKernel": "BONE"}),
        # Half a head in a soft kernel is worth less than a whole one in a sharp one.
        ({"ConvolutionKernel": "BONE"}, {"slices": 90}),
        # What is longer by a few slices is not better for it, if it is sharper.
        ({"slices": 132}, {"slices": 150, "ConvolutionKernel": "BONE"}),
    ],
)
def test_weightier_respects_come_first(weighty, light) -> None:
    best, other = _one_mm("2.25.9", **weighty), _one_mm("2.25.1", **light)

    assert select((other, best)).chosen is best


def test_a_long_field_over_the_neck_is_no_merit_against_a_better_thickness() -> None:
    head = _one_mm("2.25.9", slices=140)
    head_and_neck = _one_mm("2.25.1", slices=100, step_mm=3, SliceThickness=3)

    assert select((head_and_neck, head)).chosen is head


def test_equal_series_are_decided_by_their_uid() -> None:
    first, second = _one_mm("2.25.1"), _one_mm("2.25.2")

    selection = select((second, first))

    assert selection.chosen is first
    assert "UID" in selection.decisions[1].reasons[0].sentence


def test_a_sharp_kernel_is_taken_where_there_is_nothing_else() -> None:
    selection = select((STUDY["bone"], STUDY["localizer"]))

    assert selection.chosen is STUDY["bone"]
    assert [reason.code for reason in selection.admission.reasons] == [Code.KERNEL]


def test_no_candidate_is_an_answer() -> None:
    selection = select((STUDY["localizer"], STUDY["dose page"]))

    assert selection.chosen is None
    assert selection.admission is None
    assert selection.reason.code is Code.SELECTION_NONE
    assert [d.reasons[0].code for d in selection.decisions] == [Code.LOCALIZER, Code.NOT_CT]


def test_an_empty_study_has_no_candidate() -> None:
    assert select(()).chosen is None


def test_names_and_descriptions_do_not_decide() -> None:
    thin, thick = _one_mm("2.25.9"), _one_mm("2.25.1", slices=28, step_mm=5, SliceThickness=5)
    misleading = {"SeriesDescription": "LOCALIZER BONE 5MM", "ProtocolName": "ABDOMEN"}
    named = _one_mm("2.25.9", **misleading, BodyPartExamined="KNEE")
    praised = _one_mm(
        "2.25.1", slices=28, step_mm=5, SliceThickness=5, SeriesDescription="BRAIN 1MM SOFT"
    )

    assert select((thick, thin)).chosen is thin
    assert select((praised, named)).chosen is named


def test_a_description_hints_at_a_sharp_kernel_only_where_no_kernel_is_written() -> None:
    silent = _one_mm("2.25.2", ConvolutionKernel="")
    hinting = _one_mm("2.25.1", ConvolutionKernel="", SeriesDescription="HEAD_BONE 0.6")

    selection = select((hinting, silent))

    assert selection.chosen is silent
    assert select((hinting,)).chosen is hinting


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("STANDARD", Sharpness.SOFT),
        ("STD+", Sharpness.SOFT),  # GE HiSpeed Dual, the real tilted series
        ("SOFT", Sharpness.SOFT),
        ("DETAIL", Sharpness.MODERATE),
        ("BONE", Sharpness.SHARP),
        ("BONEPLUS", Sharpness.SHARP),
        ("EDGE", Sharpness.SHARP),
        ("LUNG", Sharpness.SHARP),
        ("H30s", Sharpness.SOFT),
        ("J40s", Sharpness.SOFT),
        ("Hr38f", Sharpness.SOFT),
        ("Qr40d", Sharpness.SOFT),
        ("H60s", Sharpness.SHARP),
        ("J70h", Sharpness.SHARP),
        ("Hr64h", Sharpness.SHARP),
        ("UA", Sharpness.SOFT),
        ("UB", Sharpness.SOFT),  # Philips Ingenuity, brain
        ("YA", Sharpness.SHARP),  # Philips Ingenuity, bone
        ("D", Sharpness.SHARP),
        ("FC21", Sharpness.SOFT),
        ("FC26", Sharpness.SOFT),
        ("FC30", Sharpness.SHARP),
        ("FC81", Sharpness.SHARP),
        ("H_SOFT_B", Sharpness.SOFT),
        ("B_SHARP_C", Sharpness.SHARP),
        ("", Sharpness.UNKNOWN),
        ("FRD", Sharpness.UNKNOWN),
    ],
)
def test_kernels_are_graded_by_the_names_of_their_vendors(name, grade) -> None:
    assert sharpness_of_kernel(name) is grade
    assert sharpness_of_kernel(name.lower()) is grade


def test_a_series_is_as_sharp_as_its_sharpest_slice() -> None:
    mixed = series(slices=3, at={1: {"ConvolutionKernel": "BONE"}})

    assert sharpness(mixed) is Sharpness.SHARP


def test_the_strength_of_an_iterative_reconstruction_is_no_kernel() -> None:
    assert sharpness(series(slices=2, ConvolutionKernel=["Hr38f", "3"])) is Sharpness.SOFT
