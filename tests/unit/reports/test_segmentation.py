"""The DICOM segmentation: on the source's planes, left is left, the same bytes twice."""

import uuid
from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import Dataset

from fontanelle.imaging.geometry import LabelArray
from fontanelle.reports.result import Fitness
from fontanelle.reports.segmentation import render_segmentation
from fontanelle.uids import NAMESPACE
from tests.unit.reports.builders import REGION_SET, STANCES, Case, case
from tests.unit.reports.reading import by_position, centroid_lps_mm, put_raw, reread, written

every_stance = pytest.mark.parametrize("stance", [stance.name for stance in STANCES])


def rendered(of: Case) -> Dataset:
    return render_segmentation(of.result, of.labels, of.sources)


def compartments(of: Case) -> np.ndarray:
    # A region's CSF (code + 20) is drawn as the region: the phantom's own rule.
    return np.where(of.labels.codes > 20, of.labels.codes - 20, of.labels.codes)


@every_stance
def test_highdicom_reads_every_slice_back_voxel_for_voxel(stance: str) -> None:
    of = case(stance)

    seg = highdicom.seg.segread(BytesIO(written(rendered(of))))

    codes = seg.get_pixels_by_source_instance(
        [source.SOPInstanceUID for source in of.sources],
        combine_segments=True,
        skip_overlap_checks=True,
        assert_missing_frames_are_empty=True,
    )
    assert np.array_equal(codes, compartments(of))


@every_stance
def test_a_reader_of_frame_positions_finds_the_same_voxels(stance: str) -> None:
    of = case(stance)

    assert np.array_equal(by_position(reread(rendered(of)), of.sources), compartments(of))


def test_frames_that_end_within_a_byte_are_packed_without_a_gap() -> None:
    of = case(size=45)  # 2025 pixels a frame: 253 bytes and one bit

    assert np.array_equal(by_position(reread(rendered(of)), of.sources), compartments(of))


@every_stance
def test_left_is_left_by_headers_and_pixels_alone(stance: str) -> None:
    seg = reread(rendered(case(stance)))

    for lobe in ("frontal", "parietal", "occipital", "temporal"):
        assert centroid_lps_mm(seg, f"Left {lobe} lobe")[0] > 10
        assert centroid_lps_mm(seg, f"Right {lobe} lobe")[0] < -10
    frontal, occipital = (centroid_lps_mm(seg, f"Left {lobe} lobe") for lobe in OPPOSITE)
    assert frontal[1] < 0 < occipital[1]


OPPOSITE = ("frontal", "occipital")


@every_stance
def test_it_is_what_highdicom_alone_would_have_written(stance: str) -> None:
    of = case(stance)
    ours = reread(rendered(of))

    alone = highdicom.seg.Segmentation(
        of.sources,
        compartments(of).astype(np.uint8),
        "BINARY",
        [
            highdicom.seg.SegmentDescription.from_dataset(item, copy=True)
            for item in ours.SegmentSequence
        ],
        ours.SeriesInstanceUID,
        9101,
        ours.SOPInstanceUID,
        1,
        "Fontanelle",
        "Fontanelle",
        "0",
        "1",
    )

    for keyword in ("PerFrameFunctionalGroupsSequence", "SegmentSequence", "PixelData"):
        assert ours[keyword].value == reread(alone)[keyword].value, keyword
    for keyword in ("ReferencedSeriesSequence", "NumberOfFrames", "SegmentsOverlap", "Rows"):
        assert ours[keyword].value == alone[keyword].value, keyword


def test_segments_carry_side_code_label_and_colour() -> None:
    segments = rendered(case()).SegmentSequence

    left_frontal, brainstem, ventricles = segments[0], segments[9], segments[10]
    kind = left_frontal.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, left_frontal.SegmentLabel) == ("83251001", "Left frontal lobe")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    # CIELab of RGB 230, 97, 1 as DICOM writes it, computed outside this project.
    assert left_frontal.RecommendedDisplayCIELabValue == pytest.approx([37642, 45297, 49945], abs=2)
    assert (
        "SegmentedPropertyTypeModifierCodeSequence"
        not in (brainstem.SegmentedPropertyTypeCodeSequence[0])
    )
    assert ventricles.SegmentedPropertyTypeCodeSequence[0].CodeValue == "35764002"


def test_the_package_is_named_with_its_digest() -> None:
    of = case()

    algorithm = rendered(of).SegmentSequence[3].SegmentationAlgorithmIdentificationSequence[0]

    assert algorithm.AlgorithmName == of.result.package.name
    assert of.result.package.sha256 in str(algorithm.AlgorithmParameters)


def test_rendered_twice_it_is_the_same_file() -> None:
    assert written(rendered(case("tilted"))) == written(rendered(case("tilted")))


def test_rendered_at_is_the_only_time_beside_the_studys_own() -> None:
    seg = reread(rendered(case()))

    times = {
        str(element.value)
        for element in seg.iterall()
        if element.VR in ("DA", "TM", "DT") and element.value
    }

    study = {"20250102", "101500", "20230110"}
    assert times - study == {"20261121", "040506.789000", "20261121040506.789000+0000"}


def test_uids_derive_from_the_digest_and_nothing_else() -> None:
    of = case()
    seg = rendered(of)

    # The rule of the identity: kind, digest, renderer revision, review number, rendered_at.
    key = f"instance.segmentation|{'ab' * 32}|1|0|2026-11-21T04:05:06.789000+00:00"
    assert seg.SOPInstanceUID == f"2.25.{uuid.uuid5(NAMESPACE, key).int}"
    other = replace(of, result=replace(of.result, digest="cd" * 32))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert seg[keyword].value != rendered(other)[keyword].value
    assert seg.FrameOfReferenceUID == of.sources[0].FrameOfReferenceUID


def test_a_region_that_was_not_found_is_described_and_has_no_frame() -> None:
    of = case()
    codes = of.labels.codes.copy()
    codes[np.isin(codes, (10, 30))] = 0

    seg = reread(render_segmentation(of.result, LabelArray(codes, of.labels.grid), of.sources))

    shown = {
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for item in seg.PerFrameFunctionalGroupsSequence
    }
    assert len(seg.SegmentSequence) == len(REGION_SET.segments)
    assert shown == {1, 2, 3, 4, 5, 6, 7, 8, 9, 11}


def test_without_a_labelled_voxel_there_is_no_segmentation() -> None:
    of = case()
    empty = LabelArray(np.zeros_like(of.labels.codes), of.labels.grid)

    with pytest.raises(ValueError, match="without a labelled voxel"):
        render_segmentation(of.result, empty, of.sources)


def test_a_withheld_result_sends_no_labels() -> None:
    of = case()

    with pytest.raises(ValueError, match="sends no labels"):
        render_segmentation(replace(of.result, volumes=None), of.labels, of.sources)


def test_a_withheld_result_sends_no_labels_even_where_it_still_holds_volumes() -> None:
    of = case(fitness=Fitness.WITHHELD)

    with pytest.raises(ValueError, match="sends no labels"):
        rendered(of)


def test_labels_of_another_stack_are_refused() -> None:
    of = case()

    with pytest.raises(ValueError, match="23 planes of labels for 22 slices"):
        render_segmentation(of.result, of.labels, of.sources[:-1])


@pytest.mark.parametrize("plane", [11, 0])
def test_two_slices_under_one_uid_make_no_segmentation(plane: int) -> None:
    of = case()
    of.sources[10].SOPInstanceUID = of.sources[plane].SOPInstanceUID

    # Planes 10 and 11 show the head, plane 0 lies below it.
    with pytest.raises(ValueError, match="23 slices have 22 UIDs"):
        rendered(of)


def test_slices_of_different_thickness_each_say_their_own() -> None:
    of = case("uneven")
    for source in of.sources[12:]:
        source.SliceThickness = 7

    seg = reread(rendered(of))

    thickness = {_uid(source): float(source.SliceThickness) for source in of.sources}
    assert "PixelMeasuresSequence" not in seg.SharedFunctionalGroupsSequence[0]
    for item in seg.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        said = item.PixelMeasuresSequence[0].SliceThickness
        assert said == thickness[str(reference.ReferencedSOPInstanceUID)]
    assert np.array_equal(by_position(seg, of.sources), compartments(of))


def _uid(source: Dataset) -> str:
    return str(source.SOPInstanceUID)


def test_a_tilted_stack_says_its_perpendicular_step_and_an_uneven_one_none() -> None:
    def measures(stance: str) -> Dataset:
        shared = rendered(case(stance)).SharedFunctionalGroupsSequence[0]
        return shared.PixelMeasuresSequence[0]

    # 6 mm of table travel under 18.5 degrees: 6 x cos(18.5 degrees) = 5.6899 mm
    assert measures("tilted").SpacingBetweenSlices == pytest.approx(5.6899, abs=1e-4)
    assert "SpacingBetweenSlices" not in measures("uneven")


@pytest.mark.parametrize("thickness", [b"5,0 ", b"x ", b"5\\4 ", b"-5"])
def test_a_thickness_that_is_no_number_counts_as_not_said(thickness: bytes) -> None:
    of = case()
    for source in of.sources:
        put_raw(source, "SliceThickness", thickness)

    seg = reread(rendered(of))

    # The builder's slices are 6 mm apart.
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == pytest.approx(6.0)


ODD = (b"5,0 ", b"x ", b"1\\2 ", b"\xff\xfe\\ ")


@pytest.mark.parametrize("value", ODD)
def test_a_frame_of_reference_and_a_body_part_that_are_none_are_not_repeated(value: bytes) -> None:
    of = case()
    for source in of.sources:
        put_raw(source, "FrameOfReferenceUID", value)
        put_raw(source, "BodyPartExamined", value)

    seg = reread(rendered(of))

    assert seg.FrameOfReferenceUID.startswith("2.25.")
    assert "BodyPartExamined" not in seg


def test_the_body_part_is_the_sources() -> None:
    of = case()
    of.sources[0].BodyPartExamined = "HEAD"

    assert reread(rendered(of)).BodyPartExamined == "HEAD"


def test_slices_without_thickness_or_frame_of_reference_are_still_segmented() -> None:
    of = case()
    for source in of.sources:
        del source.SliceThickness
        del source.FrameOfReferenceUID

    seg = reread(rendered(of))

    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == pytest.approx(6.0)
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    assert np.array_equal(by_position(seg, of.sources), compartments(of))
