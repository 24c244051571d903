"""When there is no z: each case a code and a sentence, and never a number."""

from dataclasses import replace

import pytest

from fontanelle.errors import Code, Reason
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Flag, ProtocolMatch, Sex, SiteStatus
from tests.unit.norms.cases import (
    APPROXIMATE,
    BOY,
    BOYS_VOLUMES_ML,
    CALIBRATED,
    GIRL,
    MEANS_ML,
    UNCALIBRATED,
    XI,
    numbers_of,
    region,
)

THICK = Reason(Code.SLICE_THICKNESS, "Slices of 5.00 mm; a comparison needs 2.5 mm.")


def reason(code: Code) -> Reason:
    return Reason(code, "A sentence.")


NOT_TO_BE_COMPARED = [
    (Child(547, Sex.MALE), {}, Code.AGE_OUT_OF_RANGE),
    (Child(547, Sex.FEMALE), {}, Code.AGE_OUT_OF_RANGE),
    (Child(914, Sex.MALE), {}, Code.AGE_OUT_OF_RANGE),
    (Child(914, Sex.FEMALE), {}, Code.AGE_OUT_OF_RANGE),
    (Child(-3, Sex.MALE), {}, Code.AGE_OUT_OF_RANGE),
    (Child(None, Sex.MALE), {}, Code.AGE_UNKNOWN),
    (Child(700, Sex.MALE, (reason(Code.AGE_CONFLICT),)), {}, Code.AGE_CONFLICT),
    (Child(700, Sex.MALE, (reason(Code.AGE_PLACEHOLDER),)), {}, Code.AGE_PLACEHOLDER),
    (Child(700, Sex.MALE, (reason(Code.AGE_IMPRECISE),)), {}, Code.AGE_IMPRECISE),
    (Child(None, Sex.MALE, (reason(Code.AGE_IMPRECISE),)), {}, Code.AGE_IMPRECISE),
    (Child(700, None), {}, Code.SEX_UNKNOWN),
    (Child(700, None, (reason(Code.SEX_UNKNOWN),)), {}, Code.SEX_UNKNOWN),
    (BOY, {"obstacles": (THICK,)}, Code.SLICE_THICKNESS),
    (BOY, {"obstacles": (THICK,), "slice_thickness_mm": 5.0}, Code.SLICE_THICKNESS),
    (BOY, {"obstacles": (reason(Code.CONTRAST),), "contrast": True}, Code.CONTRAST),
    (BOY, {"slice_thickness_mm": 2.51}, Code.NOT_COVERED),
    (BOY, {"contrast": True}, Code.NOT_COVERED),
    (BOY, {"modality": "MR"}, Code.NOT_COVERED),
    (BOY, {"protocol": "anatomical-lobes"}, Code.PROTOCOL_OTHER),
]


@pytest.mark.parametrize(("child", "change", "code"), NOT_TO_BE_COMPARED)
@pytest.mark.parametrize("conditions", [UNCALIBRATED, APPROXIMATE, CALIBRATED])
def test_no_region_gets_a_number_and_each_says_why(child, change, code, conditions) -> None:
    comparison = compare(BOYS_VOLUMES_ML, child, XI, replace(conditions, **change))

    assert [entry.region for entry in comparison.regions] == list(XI.region_names)
    for entry in comparison.regions:
        assert entry.flag is Flag.NOT_COMPARED
        assert [found.code for found in entry.reasons] == [code]
        assert numbers_of(entry) == [None] * 9
    assert [found.code for found in comparison.reasons] == [code]


@pytest.mark.parametrize(("child", "change", "code"), NOT_TO_BE_COMPARED)
def test_the_asymmetry_index_stays_without_its_z(child, change, code) -> None:
    comparison = compare(BOYS_VOLUMES_ML, child, XI, replace(UNCALIBRATED, **change))

    # By hand: 200 (204.5 - 199.0) / 403.5, 200 (70.0 - 83.1) / 153.1
    assert comparison.asymmetry[0].index == pytest.approx(2.7261, abs=1e-4)
    assert comparison.asymmetry[1].index == pytest.approx(-17.1130, abs=1e-4)
    for pair in comparison.asymmetry:
        assert (pair.z, pair.flag) == (None, Flag.NOT_COMPARED)
        assert [found.code for found in pair.reasons] == [code]


def test_under_another_protocol_the_regions_may_be_others_and_none_is_compared() -> None:
    lobes_ml = {"insula": 9.0, "right_frontal": 199.0, "left_frontal": 204.5}

    comparison = compare(lobes_ml, BOY, XI, replace(UNCALIBRATED, protocol="anatomical-lobes"))

    names = [entry.region for entry in comparison.regions]
    assert names == ["left_frontal", "right_frontal", "insula"]
    assert [pair.pair for pair in comparison.asymmetry] == ["frontal"]
    assert {entry.flag for entry in comparison.regions} == {Flag.NOT_COMPARED}
    assert [found.code for found in comparison.reasons] == [Code.PROTOCOL_OTHER]


def test_all_obstacles_are_named_not_only_the_first() -> None:
    elsewhere = replace(UNCALIBRATED, protocol="other", obstacles=(THICK,))

    comparison = compare(BOYS_VOLUMES_ML, Child(2000, None), XI, elsewhere)

    assert [found.code for found in comparison.reasons] == [
        Code.SLICE_THICKNESS,
        Code.PROTOCOL_OTHER,
        Code.AGE_OUT_OF_RANGE,
        Code.SEX_UNKNOWN,
    ]


def test_a_reference_of_boys_says_nothing_of_a_girl() -> None:
    of_boys = replace(XI, validity=replace(XI.validity, sexes=(Sex.MALE,)))

    comparison = compare(BOYS_VOLUMES_ML, GIRL, of_boys, UNCALIBRATED)

    assert [found.code for found in comparison.reasons] == [Code.NOT_COVERED]


@pytest.mark.parametrize(
    ("validity", "scan", "is_covered"),
    [
        ({}, {"slice_thickness_mm": 2.5, "contrast": False, "modality": "CT"}, True),
        ({"slice_thickness_max_mm": 1.0}, {"slice_thickness_mm": 0.625}, True),
        ({"slice_thickness_max_mm": 1.0}, {"slice_thickness_mm": 1.25}, False),
        ({"slice_thickness_max_mm": 1.0}, {}, True),
        ({"slice_thickness_max_mm": 6.0}, {"slice_thickness_mm": 5.0}, True),
        ({"contrast": True}, {"contrast": True}, True),
        ({"contrast": True}, {"contrast": False}, False),
        ({"contrast": True}, {}, True),
        ({"modality": "MR"}, {"modality": "MR"}, True),
        ({"modality": "MR"}, {"modality": "CT"}, False),
    ],
)
def test_which_scans_are_covered_is_the_references_word(validity, scan, is_covered) -> None:
    other = replace(XI, validity=replace(XI.validity, **validity))

    comparison = compare(BOYS_VOLUMES_ML, BOY, other, replace(UNCALIBRATED, **scan))

    expected = Code.SITE_UNCALIBRATED if is_covered else Code.NOT_COVERED
    assert [found.code for found in comparison.reasons] == [expected]


def test_a_scan_that_is_not_covered_says_by_how_much() -> None:
    scan = replace(UNCALIBRATED, slice_thickness_mm=5.0, contrast=True)

    assert [found.sentence for found in compare(BOYS_VOLUMES_ML, BOY, XI, scan).reasons] == [
        "Slices of 5.00 mm; the reference xi2025 covers at most 2.5 mm.",
        "The reference xi2025 covers scans without contrast only.",
    ]


def test_a_reference_of_one_package_refuses_every_other() -> None:
    of_one = replace(XI, package_digest="a" * 64)

    def codes(digest: str | None) -> set[Code]:
        conditions = replace(UNCALIBRATED, package_sha256=digest)
        return {found.code for found in compare(BOYS_VOLUMES_ML, BOY, of_one, conditions).reasons}

    assert codes("b" * 64) == codes(None) == {Code.PACKAGE_OTHER}
    assert codes("a" * 64) == {Code.SITE_UNCALIBRATED}


def with_z(name: str, z: float) -> dict[str, float]:
    """Return the boy's volumes, with one region and its twin (if any) at this z."""
    comparison = compare(BOYS_VOLUMES_ML, BOY, XI, UNCALIBRATED)
    volumes_ml = dict(BOYS_VOLUMES_ML)
    for norm in XI.regions:
        if norm.name.removeprefix("left_").removeprefix("right_") == name:
            expected_ml = region(comparison, norm.name).expected_ml
            volumes_ml[norm.name] = expected_ml + z * norm.residual_sd.value
    return volumes_ml


@pytest.mark.parametrize(("z", "is_believed"), [(-5.01, False), (-4.99, True), (4.99, True)])
def test_five_sd_from_the_expected_volume_nobody_believes_a_number(z, is_believed) -> None:
    comparison = compare(with_z("cerebellum", z), BOY, XI, UNCALIBRATED)

    cerebellum = region(comparison, "cerebellum")
    assert (cerebellum.z is not None) == is_believed
    assert (Code.IMPLAUSIBLE in {found.code for found in comparison.reasons}) != is_believed
    assert region(comparison, "brainstem").z is not None
    if not is_believed:
        assert cerebellum.flag is Flag.NOT_COMPARED
        assert numbers_of(cerebellum) == [None] * 9


def test_two_implausible_sides_leave_no_z_of_their_asymmetry() -> None:
    comparison = compare(with_z("temporal", 5.5), BOY, XI, UNCALIBRATED)

    temporal = next(pair for pair in comparison.asymmetry if pair.pair == "temporal")
    assert (temporal.z, temporal.flag) == (None, Flag.NOT_COMPARED)
    assert [found.code for found in temporal.reasons] == [Code.IMPLAUSIBLE] * 2


@pytest.mark.parametrize(("ratio", "is_believed"), [(1.31, False), (1.29, True)])
@pytest.mark.parametrize("sides", [("left", "right"), ("right", "left")])
def test_sides_that_differ_by_more_than_a_factor_of_1_3_are_not_believed(
    ratio, is_believed, sides
) -> None:
    volumes_ml = dict(MEANS_ML)
    volumes_ml[f"{sides[0]}_frontal"] = ratio * volumes_ml[f"{sides[1]}_frontal"]

    comparison = compare(volumes_ml, BOY, XI, UNCALIBRATED)

    frontal = comparison.asymmetry[0]
    both = [region(comparison, "left_frontal"), region(comparison, "right_frontal")]
    assert abs(frontal.index) == pytest.approx(200 * (ratio - 1) / (ratio + 1))
    for entry in (frontal, *both):
        assert (entry.z is not None) == is_believed
        codes = [found.code for found in entry.reasons]
        assert codes == [Code.SITE_UNCALIBRATED if is_believed else Code.IMPLAUSIBLE]


def test_a_region_that_was_not_found_has_no_z_and_its_twin_neither() -> None:
    comparison = compare(BOYS_VOLUMES_ML | {"left_occipital": 0.0}, BOY, XI, UNCALIBRATED)

    absent, twin = region(comparison, "left_occipital"), region(comparison, "right_occipital")
    assert [found.code for found in absent.reasons] == [
        Code.QUALITY_REGION_EMPTY,
        Code.IMPLAUSIBLE,
    ]
    assert [found.code for found in twin.reasons] == [Code.IMPLAUSIBLE]
    occipital = comparison.asymmetry[2]
    assert (occipital.index, occipital.z) == (-200.0, None)


def test_two_absent_sides_have_no_asymmetry_index() -> None:
    absent = {"left_occipital": 0.0, "right_occipital": 0.0, "brainstem": 0.0}

    comparison = compare(BOYS_VOLUMES_ML | absent, BOY, XI, UNCALIBRATED)

    occipital = comparison.asymmetry[2]
    assert (occipital.index, occipital.z, occipital.flag) == (None, None, Flag.NOT_COMPARED)
    assert {found.code for found in occipital.reasons} == {Code.QUALITY_REGION_EMPTY}
    assert region(comparison, "brainstem").z is None
    assert region(comparison, "cerebellum").z is not None


@pytest.mark.parametrize(
    ("age_days", "is_noted"), [(548, True), (566, True), (567, False), (894, False), (895, True)]
)
def test_an_age_within_18_days_of_an_end_is_noted_and_compared(age_days, is_noted) -> None:
    comparison = compare(MEANS_ML, Child(age_days, Sex.MALE), XI, UNCALIBRATED)

    assert (Code.EDGE_OF_RANGE in {found.code for found in comparison.reasons}) == is_noted
    assert region(comparison, "left_frontal").z is not None


@pytest.mark.parametrize("volume_ml", [-0.1, float("nan"), float("inf")])
def test_what_is_no_volume_is_the_callers_mistake(volume_ml) -> None:
    with pytest.raises(ValueError, match="cerebellum"):
        compare(BOYS_VOLUMES_ML | {"cerebellum": volume_ml}, BOY, XI, UNCALIBRATED)


def test_a_missing_or_an_unknown_region_is_the_callers_mistake() -> None:
    without = {name: ml for name, ml in BOYS_VOLUMES_ML.items() if name != "brainstem"}

    with pytest.raises(ValueError, match="brainstem"):
        compare(without, BOY, XI, UNCALIBRATED)
    with pytest.raises(ValueError, match="insula"):
        compare(BOYS_VOLUMES_ML | {"insula": 10.0}, BOY, XI, UNCALIBRATED)


@pytest.mark.parametrize(
    ("status", "offsets"),
    [
        (SiteStatus.NONE, CALIBRATED.offsets),
        (SiteStatus.PROVISIONAL, ()),
        (SiteStatus.QUALIFIED, CALIBRATED.offsets[1:]),
        (SiteStatus.QUALIFIED, (*CALIBRATED.offsets, CALIBRATED.offsets[0])),
    ],
)
def test_offsets_that_do_not_fit_the_sites_status_are_the_callers_mistake(status, offsets) -> None:
    conditions = replace(CALIBRATED, site_status=status, offsets=offsets)

    with pytest.raises(ValueError, match="offsets"):
        compare(BOYS_VOLUMES_ML, BOY, XI, conditions)


def test_sentences_say_numbers_and_no_more() -> None:
    child = Child(2000, None)
    conditions = replace(UNCALIBRATED, protocol_match=ProtocolMatch.APPROXIMATE)
    odd = with_z("cerebellum", 9.0) | {"left_frontal": 0.0}
    told = [
        *compare(odd, BOY, XI, conditions).reasons,
        *compare(odd, child, XI, conditions).reasons,
    ]

    sentences = {found.code: found.sentence for found in told}
    assert sentences[Code.AGE_OUT_OF_RANGE] == (
        "The age of 2000 days is outside the reference's 548 to 913 days; nothing is extrapolated."
    )
    assert "6 % of each mean" in sentences[Code.SITE_UNCALIBRATED]
    assert len(sentences) == 6
    assert all(sentence.endswith(".") and "None" not in sentence for sentence in sentences.values())
