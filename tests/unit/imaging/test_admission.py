"""Admission: each rule of the table, tripped alone; and what holds for all of them."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

from fontanelle.errors import Code, Refused
from fontanelle.imaging.admission import (
    AGE_RULES,
    HEADER_RULES,
    STACK_RULES,
    VOXEL_RULES,
    Admission,
    Verdict,
    admit_age,
    admit_headers,
    admit_image_geometry,
    admit_voxels,
    as_markdown,
)
from fontanelle.imaging.geometry import Geometry, Image, Planes
from fontanelle.imaging.patient import NOBODY, patient_of, with_given
from fontanelle.imaging.series import Series
from tests.unit.imaging.builders import ABSENT, CANARIES, CORONAL, series

ACCEPTED, LIMITED, REJECTED = Verdict.ACCEPTED, Verdict.LIMITED, Verdict.REJECTED
INTENDED = (548, 913)


@dataclass(frozen=True)
class Case:
    """A rule, what it must say, and changes of a faultless series that make it say so."""

    rule: str
    verdict: Verdict
    changes: dict = field(default_factory=dict)
    says: str = ""


AGENT = Dataset()
AGENT.CodeMeaning = "CANARY"

CASES = (
    Case("uid_invalid", REJECTED, {"at": {7: {"SOPInstanceUID": "../../etc/passwd"}}}, "1 of 160"),
    Case("uid_invalid", REJECTED, {"SeriesInstanceUID": "1." + "2" * 63}, "160 of 160"),
    Case("uid_invalid", REJECTED, {"StudyInstanceUID": "1.02.3"}),
    Case("uid_invalid", REJECTED, {"SOPInstanceUID": ABSENT}),
    Case("two_patients", REJECTED, {"at": {9: {"PatientID": "CANARY-4712"}}}, "2 different"),
    Case("two_patients", REJECTED, {"at": {9: {"PatientBirthDate": "20220316"}}}),
    Case("two_patients", REJECTED, {"at": {9: {"PatientSex": "F"}}}, "2 different sexes"),
    Case("uid_duplicate", REJECTED, {"at": {9: {"SOPInstanceUID": "2.25.1.1"}}}, "2 slices"),
    Case("not_ct", REJECTED, {"Modality": "MR"}, "160 of 160"),
    # The phantom's exam summary: Modality says CT, and the class does not.
    Case("not_ct", REJECTED, {"SOPClassUID": SecondaryCaptureImageStorage}),
    Case("enhanced", REJECTED, {"SOPClassUID": EnhancedCTImageStorage, "slices": 1}),
    Case("enhanced", REJECTED, {"NumberOfFrames": 200, "slices": 1}, "200 frames"),
    Case("localizer", REJECTED, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "slices": 1}),
    Case("localizer", REJECTED, {"Rows": 888, "slices": 2}, "888 x 512"),
    Case("derived", REJECTED, {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}),
    Case("derived", REJECTED, {"ImageType": ["DERIVED", "PRIMARY", "MPR"]}),
    Case("derived", REJECTED, {"at": {5: {"ImageType": ["ORIGINAL", "PRIMARY", "MIP"]}}}, "1 of"),
    Case("derived", ACCEPTED, {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}),
    Case(
        "image_type_form",
        ACCEPTED,
        {"at": {i: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "ADD"]} for i in range(80)}},
        "2 forms",
    ),
    Case("type2_missing", ACCEPTED, {"StudyID": ABSENT, "StudyTime": ABSENT}, "StudyTime, StudyID"),
    Case("no_pixel_data", REJECTED, {"without_pixels": [3]}, "1 of 160"),
    Case("photometric", REJECTED, {"PhotometricInterpretation": "MONOCHROME1"}),
    Case("photometric", REJECTED, {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}),
    Case("bits", REJECTED, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}),
    Case("bits", REJECTED, {"HighBit": 11}),
    Case("bits", REJECTED, {"BitsStored": 6, "HighBit": 5}),
    Case("bits", REJECTED, {"at": {2: {"PixelRepresentation": 0}}}, "signed"),
    Case("rescale", REJECTED, {"RescaleSlope": 0}, "160 of 160"),
    Case("rescale", REJECTED, {"RescaleSlope": "NaN"}),
    Case("rescale", REJECTED, {"RescaleIntercept": ABSENT}),
    Case("rescale_assumed", LIMITED, {"RescaleIntercept": ABSENT, "RescaleSlope": ABSENT}),
    Case("padding", ACCEPTED, {"PixelPaddingValue": -2000}),
    Case("lossy", LIMITED, {"LossyImageCompression": "01"}),
    Case("lossy", LIMITED, {"TransferSyntaxUID": JPEGBaseline8Bit}),
    Case("kernel", LIMITED, {"ConvolutionKernel": "BONEPLUS"}, "BONEPLUS"),
    Case("kernel", LIMITED, {"ConvolutionKernel": ["Hr59d", "3"]}, "Hr59d"),
    Case("kernel", ACCEPTED, {"ConvolutionKernel": "XYZZY"}),
    Case("kernel", ACCEPTED, {"ConvolutionKernel": ABSENT}),
    Case("contrast", LIMITED, {"ContrastBolusAgent": "OMNIPAQUE"}),
    Case("contrast", LIMITED, {"ContrastBolusVolume": 40}, "160 of 160"),
    Case("contrast", LIMITED, {"at": {7: {"ContrastBolusRoute": "IV"}}}, "1 of 160"),
    Case("contrast", LIMITED, {"ContrastBolusStartTime": "101502"}),
    Case("contrast", LIMITED, {"ContrastBolusTotalDose": b"12.5"}),
    Case("contrast", LIMITED, {"ContrastBolusIngredientConcentration": 300}),
    Case("contrast", LIMITED, {"ContrastBolusAgentSequence": [AGENT]}),
    Case("contrast", LIMITED, {"ContrastBolusAgentSequence": b"\xfe\xff\x00\xe0\0\0\0\0"}),
    Case("geometry_missing", REJECTED, {"at": {4: {"ImagePositionPatient": ""}}}, "1 of 160"),
    Case("geometry_missing", REJECTED, {"at": {4: {"ImagePositionPatient": [0.0, 1.0]}}}),
    Case("geometry_missing", REJECTED, {"PixelSpacing": ["0.5", "NaN"]}, "PixelSpacing"),
    Case("geometry_missing", REJECTED, {"ImageOrientationPatient": ABSENT}),
    Case("geometry_missing", REJECTED, {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}),
    Case("geometry_missing", REJECTED, {"Rows": ABSENT}),
    Case("matrix_mixed", REJECTED, {"at": {4: {"Rows": 256}}}),
    Case(
        "orientation_mixed",
        REJECTED,
        {"at": {4: {"ImageOrientationPatient": [1, 0, 0, 0, 0.9998, 0.02]}}},
    ),
    Case("spacing_mixed", REJECTED, {"at": {4: {"PixelSpacing": [0.51, 0.51]}}}, "0.51"),
    Case("position_duplicate", REJECTED, {"offsets_mm": [*range(150), 149.005]}),
    Case(
        "position_duplicate",
        ACCEPTED,
        {"offsets_mm": [*range(150), 149], "stored": [b"same"] * 151},
        "1 of 151",
    ),
    Case("single", REJECTED, {"slices": 1}),
    Case(
        "position_irregular",
        REJECTED,
        {"at": {80: {"ImagePositionPatient": [-100.0, -128.0, 120.0]}}},
        "28.0 mm",
    ),
    Case("coverage", REJECTED, {"slices": 79}, "79 mm"),
    Case("coverage", REJECTED, {"Rows": 198}, "99 mm wide"),
    Case("oversize", REJECTED, {"PixelSpacing": [0.7, 0.7], "Columns": 1024}, "717 mm"),
    Case(
        "oversize",
        REJECTED,
        {"slices": 1602, "step_mm": 1.25, "SliceThickness": 1.25},
        "over 2001 mm",
    ),
    Case(
        "spacing_inplane",
        REJECTED,
        {"PixelSpacing": [4.3, 4.3], "Rows": 64, "Columns": 64},
        "4.300 x 4.300",
    ),
    Case(
        "spacing_inplane",
        REJECTED,
        {"PixelSpacing": [0.05, 0.05], "Rows": 2048, "Columns": 2048},
        "0.050 x 0.050",
    ),
    Case("spacing_inplane", LIMITED, {"PixelSpacing": [0.5, 0.52]}, "0.500 x 0.520"),
    Case("spacing_inplane", LIMITED, {"PixelSpacing": [1.3, 1.3], "Rows": 256, "Columns": 256}),
    Case("slices_missing", LIMITED, {"offsets_mm": [x for x in range(160) if x != 70]}, "1 of 160"),
    Case(
        "slices_missing",
        REJECTED,
        {"offsets_mm": [x for x in range(160) if x not in (70, 90)]},
        "2 of 160",
    ),
    Case("slices_missing", REJECTED, {"offsets_mm": [x for x in range(160) if x not in (70, 71)]}),
    Case("slices_missing", LIMITED, {"offsets_mm": [0, *range(2, 160)]}),
    Case("uneven", LIMITED, {"offsets_mm": [*range(80), *(80 + 1.2 * i for i in range(60))]}),
    Case("slice_thickness", LIMITED, {"slices": 30, "step_mm": 5, "SliceThickness": 5}, "5.00 mm"),
    Case("slice_thickness", ACCEPTED, {"step_mm": 2.5, "SliceThickness": 2.5}),
    Case("slice_overlap", LIMITED, {"SliceThickness": 0.4}, "40%"),
    Case("slice_overlap", LIMITED, {"step_mm": 0.5, "slices": 300, "SliceThickness": 1.2}, "2.4"),
    Case("tilt", ACCEPTED, {"tilt_deg": 18.5}, "18.5 degrees"),
    Case("tilt", LIMITED, {"tilt_deg": 32}, "32.0 degrees"),
    Case("oblique_plane", LIMITED, {"orientation": CORONAL}, "90 degrees"),
)


def _name(case: Case) -> str:
    return f"{case.rule}-{case.verdict}-{'-'.join(case.changes)}"


def _rule(name: str):
    return next(rule for rule in (*HEADER_RULES, *STACK_RULES) if rule.name == name)


def _thin_stack_of_few_slices() -> Series:
    return series(slices=15, step_mm=6, SliceThickness=6)


def test_a_faultless_series_is_accepted_without_a_remark() -> None:
    admission = admit_headers(series())

    assert admission.decision is ACCEPTED
    assert admission.findings == ()


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_each_rule_has_an_input_that_trips_it_alone(case: Case) -> None:
    admission = admit_headers(series(**case.changes))

    (finding,) = admission.findings
    assert (finding.rule, finding.verdict) == (case.rule, case.verdict)
    assert finding.reason.code is _rule(case.rule).code
    assert finding.verdict in _rule(case.rule).verdicts
    assert case.says in finding.reason.sentence
    # No name, identifier or date of the patient.
    assert not [canary for canary in CANARIES if canary in finding.reason.sentence.upper()]
    assert finding.reason.sentence.endswith(".")


def test_every_verdict_of_every_rule_of_the_table_has_a_case() -> None:
    tried = {(case.rule, case.verdict) for case in CASES} | {("coverage", LIMITED)}

    said = {(rule.name, v) for rule in (*HEADER_RULES, *STACK_RULES) for v in rule.verdicts}
    assert tried == said


def test_fewer_than_sixteen_slices_limit_although_they_cover_the_head() -> None:
    # A stack of 80 mm in 15 slices has steps of more than 5 mm: too thick as well, always.
    admission = admit_headers(_thin_stack_of_few_slices())

    assert [reason.code for reason in admission.reasons] == [Code.COVERAGE, Code.SLICE_THICKNESS]
    assert admission.decision is LIMITED


def test_names_of_rules_are_unique_and_needs_name_earlier_rules() -> None:
    earlier: set[str] = set()
    for rule in (*HEADER_RULES, *STACK_RULES, *VOXEL_RULES, *AGE_RULES):
        assert rule.name not in earlier
        assert earlier.issuperset(rule.needs)
        earlier.add(rule.name)


def test_every_rule_has_its_line_in_the_documentation() -> None:
    lines = as_markdown().splitlines()

    rules = (*HEADER_RULES, *STACK_RULES, *VOXEL_RULES, *AGE_RULES)
    assert len(lines) == 2 + len(rules)
    for rule, line in zip(rules, lines[2:], strict=True):
        assert line.startswith(f"| {rule.name} | `{rule.code}` |")
        assert line.count("|") == 7


def test_a_rule_that_another_one_stops_says_nothing() -> None:
    # Not CT, no position, no bits, RGB: only the first is worth saying.
    admission = admit_headers(
        series(
            SOPClassUID=SecondaryCaptureImageStorage,
            ImagePositionPatient=ABSENT,
            PhotometricInterpretation="RGB",
            BitsAllocated=8,
            slices=6,
        )
    )

    assert [finding.rule for finding in admission.findings] == ["not_ct"]


def test_rules_that_do_not_depend_on_each_other_all_speak() -> None:
    admission = admit_headers(
        series(ConvolutionKernel="BONE", ContrastBolusAgent="YES", slices=30, PatientSex=ABSENT)
    )

    assert {reason.code for reason in admission.reasons} == {
        Code.KERNEL,
        Code.CONTRAST,
        Code.COVERAGE,
    }
    assert [reason.code for reason in admission.remarks] == [Code.TYPE2_MISSING]


def test_reasons_come_worst_first_and_all_of_them_forbid_a_comparison() -> None:
    admission = admit_headers(series(ConvolutionKernel="BONE", slices=30, PixelPaddingValue=-2000))

    assert [reason.code for reason in admission.reasons] == [Code.COVERAGE, Code.KERNEL]
    assert admission.obstacles == admission.reasons


def test_a_rejection_can_be_raised_with_its_code_and_sentence() -> None:
    admission = admit_headers(series(slices=30))

    with pytest.raises(Refused) as refused:
        admission.refuse_if_rejected()
    assert refused.value.reason == admission.reasons[0]


def test_a_limitation_is_not_raised() -> None:
    admission = admit_headers(series(ConvolutionKernel="BONE"))
    admission.refuse_if_rejected()
    assert admission.decision is LIMITED


def test_two_stages_are_one_admission_with_the_worse_decision() -> None:
    both = admit_headers(series(ConvolutionKernel="BONE")) | admit_voxels(_image(np.zeros(1000)))

    assert both.decision is REJECTED
    assert [reason.code for reason in both.reasons] == [Code.HU_RANGE, Code.KERNEL]


def test_thin_slices_twice_as_thick_as_their_distance_are_a_common_protocol() -> None:
    assert admit_headers(series(slices=256, step_mm=0.625, SliceThickness=1.25)).findings == ()


def test_thickness_of_a_change_from_thin_to_thick_slices_is_no_missing_slice() -> None:
    # 4 mm to the skull base, 7 mm above: the common sequential head scan.
    offsets_mm = [*(4.0 * i for i in range(14)), *(52.0 + 5.5 + 7.0 * i for i in range(14))]
    codes = {r.code for r in admit_headers(series(offsets_mm=offsets_mm, SliceThickness=4)).reasons}

    assert Code.SLICES_MISSING not in codes
    assert Code.UNEVEN in codes


def test_a_missing_slice_is_not_told_again_as_a_gap_beside_it() -> None:
    # 0.7 mm slices 1 mm apart fill 70 % of their distance, beside the hole less than half.
    made = series(offsets_mm=[x for x in range(160) if x != 70], SliceThickness=0.7)

    assert _codes(admit_headers(made)) == [Code.SLICES_MISSING]


@pytest.mark.parametrize(
    "changes",
    [
        {"ContrastBolusAgent": "None", "ContrastBolusRoute": "NO"},
        {"ContrastBolusVolume": "0.0", "ContrastBolusTotalDose": b"0 "},
        {"ContrastBolusStartTime": "000000.000", "ContrastBolusIngredientConcentration": ""},
        {"ContrastBolusAgentSequence": []},
        {"ContrastBolusAgentSequence": b""},
    ],
)
def test_attributes_that_name_none_are_no_contrast_medium(changes: dict) -> None:
    assert admit_headers(series(**changes)).findings == ()


def test_a_sex_that_some_instances_leave_out_is_no_second_patient() -> None:
    made = series(at={3: {"PatientSex": ""}, 4: {"PatientSex": ABSENT}})

    assert Code.TWO_PATIENTS not in _codes(admit_headers(made))


def test_a_copy_of_an_instance_at_its_position_is_no_second_slice_of_its_uid() -> None:
    copied = {"at": {150: {"SOPInstanceUID": "2.25.1.150"}}, "offsets_mm": [*range(150), 149]}

    same = admit_headers(series(stored=[b"same"] * 151, **copied))
    assert [finding.rule for finding in same.findings] == ["position_duplicate"]
    assert same.decision is ACCEPTED
    # With other pixels under the same UID neither can be trusted.
    assert _codes(admit_headers(series(**copied))) == [Code.POSITION_DUPLICATE]


def test_a_stack_sheared_over_metres_is_oversize_however_thin_it_is() -> None:
    affine = _grid(160, 1.0).affine_lps_mm.copy()
    affine[1, 0] = 13.0

    assert Code.OVERSIZE in _codes(admit_image_geometry(Geometry((160, 512, 512), affine)))


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(8)), st.sampled_from([0.0, 18.5]))
def test_the_order_in_which_slices_arrive_changes_nothing(order, tilt_deg) -> None:
    made = series(slices=8, step_mm=5, SliceThickness=5, tilt_deg=tilt_deg, at={3: {"KVP": 80}})
    shuffled = Series(
        made.series_instance_uid, made.study_instance_uid, tuple(made.instances[i] for i in order)
    )

    assert admit_headers(shuffled).findings == admit_headers(made).findings


GARBAGE = (
    *(ABSENT, b"", b"NaN ", b"1e999 ", b"0,5 ", b"-1", b"0 ", b"\0\0", b"\xff\xfe", b"\x1b$B"),
    *(b"a\\b\\c ", b"-7\\NaN", b"0\\0\\0 ", b"1\\0\\0\\0\\0\\0", b"x" * 90),
)
READ = [
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "ImageType",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "SliceThickness",
    "ConvolutionKernel",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PixelSpacing",
    "BitsStored",
    "Rows",
    "RescaleIntercept",
    "RescaleSlope",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "NumberOfFrames",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusVolume",
    "PatientSex",
    "LossyImageCompression",
    "PixelPaddingValue",
]


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(READ), st.sampled_from(GARBAGE), min_size=1, max_size=4),
    st.booleans(),
)
def test_malformed_attributes_are_findings_and_never_a_crash(changes, everywhere) -> None:
    made = series(slices=8, **changes) if everywhere else series(slices=8, at={5: changes})

    assert isinstance(admit_headers(made), Admission)


def _grid(slices: int, step_mm: float, spacing_mm: float = 0.5) -> Geometry:
    affine = np.diag([spacing_mm, spacing_mm, step_mm, 1.0])[:, [2, 1, 0, 3]]
    return Geometry((slices, 512, 512), affine)


def test_an_image_without_headers_is_judged_by_its_grid() -> None:
    assert admit_image_geometry(_grid(160, 1.0)).findings == ()
    assert _codes(admit_image_geometry(_grid(60, 1.0))) == [Code.COVERAGE]
    assert _codes(admit_image_geometry(_grid(60, 3.0))) == [Code.SLICE_THICKNESS]
    assert _codes(admit_image_geometry(_grid(160, 1.0, 1.3))) == [Code.SPACING_INPLANE]


def test_an_image_of_one_plane_without_headers_is_too_short() -> None:
    assert _codes(admit_image_geometry(_grid(1, 1.0))) == [Code.COVERAGE]


def test_a_coronal_grid_without_headers_is_oblique() -> None:
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = 1.0, -0.5, 0.5, 1.0

    assert _codes(admit_image_geometry(Geometry((160, 512, 512), affine))) == [Code.OBLIQUE_PLANE]


def test_planes_with_uneven_steps_are_limited_by_their_steps() -> None:
    z_mm = np.concatenate((np.arange(80.0), 80.0 + 1.2 * np.arange(60)))
    origins = np.stack((0 * z_mm, 0 * z_mm, z_mm), axis=1)
    planes = Planes((140, 512, 512), np.array([0, 0.5, 0]), np.array([0.5, 0, 0]), origins)

    assert _codes(admit_image_geometry(planes)) == [Code.UNEVEN]


def _codes(admission: Admission) -> list[Code]:
    return [reason.code for reason in admission.reasons]


def _image(hu) -> Image:
    array = np.asarray(hu, dtype=np.int16).reshape(10, -1, 1)
    return Image(np.repeat(array, 5, axis=2), _grid(10, 1.0))


HEAD = np.repeat([-1000, 30, 800], [500, 400, 100])
"""Half air, a tenth bone: shares of a child's head in a field of 250 mm."""


def test_voxels_with_air_and_bone_are_hounsfield_units() -> None:
    shuffled = np.random.default_rng(0).permutation(HEAD)

    assert admit_voxels(_image(shuffled)).findings == ()


@pytest.mark.parametrize(
    "hu",
    [
        pytest.param(HEAD + 1024, id="the intercept is missing"),
        pytest.param((HEAD.astype(np.int16) & 0x3FF), id="10 of 16 bits: values are masked"),
        pytest.param(np.where(HEAD > 300, -1000, HEAD), id="the skull was stripped"),
        pytest.param(np.zeros(1000), id="all zero"),
        pytest.param(HEAD // 10, id="the slope is wrong"),
    ],
)
def test_voxels_without_air_or_bone_are_rejected(hu) -> None:
    admission = admit_voxels(_image(np.random.default_rng(0).permutation(hu)))

    assert (admission.decision, _codes(admission)) == (REJECTED, [Code.HU_RANGE])


@pytest.mark.parametrize("age_days", [548, 731, 913])
def test_a_child_of_the_intended_age_is_admitted(age_days: int) -> None:
    assert admit_age(with_given(NOBODY, age_days=age_days), INTENDED).findings == ()


@pytest.mark.parametrize("age_days", [0, 547, 914, 12000])
def test_another_age_is_outside_the_intended_use(age_days: int) -> None:
    admission = admit_age(with_given(NOBODY, age_days=age_days), INTENDED)

    assert admission.decision is LIMITED
    assert _codes(admission) == [Code.OUTSIDE_INTENDED_USE]
    assert str(age_days) in admission.reasons[0].sentence


def test_an_unknown_age_is_outside_the_intended_use() -> None:
    assert _codes(admit_age(NOBODY, INTENDED)) == [Code.OUTSIDE_INTENDED_USE]


@pytest.mark.parametrize(("stated", "admitted"), [("024M", True), ("018M", True), ("002Y", False)])
def test_an_age_in_units_is_admitted_where_all_of_it_lies_inside(stated, admitted) -> None:
    child = patient_of(series(slices=2, PatientBirthDate="", PatientAge=stated), INTENDED)

    assert (admit_age(child, INTENDED).findings == ()) is admitted


def test_an_age_that_is_contradicted_is_outside_the_intended_use() -> None:
    child = patient_of(series(slices=2, PatientAge="034Y"), INTENDED)

    assert _codes(admit_age(child, INTENDED)) == [Code.OUTSIDE_INTENDED_USE]
