"""Headers into series: grouping, order, what is no slice, and a lost slice that must not vanish."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import FileDataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from fontanelle.errors import Code, Refused
from fontanelle.imaging.admission import admit_headers
from fontanelle.imaging.attributes import decimals, unsigned
from fontanelle.imaging.geometry import Geometry, Planes
from fontanelle.imaging.instance import read_instance
from fontanelle.imaging.series import Series, grid_of, read_study, sorted_instances
from tests import real
from tests.integration.imaging.small_ct import (
    SERIES_UID,
    STUDY_UID,
    ct_slices,
    grey,
    only_series,
    set_stored,
    written,
)


@pytest.fixture
def slices() -> list[FileDataset]:
    return ct_slices(grey(4))


def refusal(series: Series) -> Code:
    with pytest.raises(Refused) as refused:
        grid_of(series)
    return refused.value.reason.code


def test_series_are_told_apart_by_their_uid_and_not_by_their_folder(tmp_path: Path) -> None:
    first = written(tmp_path / "a", ct_slices(grey(3)))
    second = written(tmp_path / "b", ct_slices(grey(2), series_uid="1.2.3"))
    (tmp_path / "b" / "extra.dcm").write_bytes(first.pop().read_bytes())

    study = read_study([*second, *first, tmp_path / "b" / "extra.dcm"])

    counts = {series.series_instance_uid: len(series.instances) for series in study.series}
    assert counts == {SERIES_UID: 3, "1.2.3": 2}
    assert study.study_instance_uids == {STUDY_UID}


def test_two_studies_are_refused_and_none_of_them_is_chosen(tmp_path: Path) -> None:
    slices = ct_slices(grey(4))
    slices[3].StudyInstanceUID = "1.9"

    with pytest.raises(Refused, match="2 studies") as refused:
        read_study(written(tmp_path, slices))
    assert refused.value.reason.code is Code.INPUT_SEVERAL_STUDIES


@pytest.mark.parametrize(
    ("keyword", "values"),
    [("PatientID", ("4711", "4712")), ("PatientBirthDate", ("20220315", "20220316"))],
)
def test_series_of_two_patients_in_one_study_are_refused(
    tmp_path: Path, keyword: str, values: tuple[str, str]
) -> None:
    both = (ct_slices(grey(2)), ct_slices(grey(2), series_uid="1.2.3"))
    for slices, value in zip(both, values, strict=True):
        for each in slices:
            setattr(each, keyword, value)

    with pytest.raises(Refused, match="2 different patients") as refused:
        read_study(
            [*written(tmp_path / "a", both[0]), *written(tmp_path / "b", both[1])],
        )
    assert refused.value.reason.code is Code.INPUT_SEVERAL_STUDIES
    assert values[0] not in refused.value.reason.sentence


def test_a_series_that_does_not_name_its_patient_or_study_is_no_second_one(tmp_path: Path) -> None:
    named, unnamed = ct_slices(grey(2)), ct_slices(grey(2), series_uid="1.2.3")
    for slice_ in named:
        slice_.PatientID = "4711"
    del unnamed[0].StudyInstanceUID

    study = read_study([*written(tmp_path / "a", named), *written(tmp_path / "b", unnamed)])

    assert len(study.series) == 3
    assert study.study_instance_uids == {STUDY_UID}


def test_two_patients_within_one_series_are_left_to_admission(tmp_path: Path) -> None:
    slices = ct_slices(grey(2))
    slices[0].PatientID, slices[1].PatientID = "4711", "4712"

    series = only_series(written(tmp_path, slices))

    assert Code.TWO_PATIENTS in {reason.code for reason in admit_headers(series).reasons}


def test_the_phantoms_study_has_five_series() -> None:
    files = [path for path in sorted(real.philips_phantom().rglob("*")) if path.is_file()]

    study = read_study(files)

    # Counts of tests/data/README.md.
    assert sorted(len(series.instances) for series in study.series) == [1, 6, 6, 28, 140]
    assert len(study.study_instance_uids) == 1


def test_slices_are_ordered_by_position_however_they_are_named(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    series = only_series(written(tmp_path, [slices[k] for k in (2, 0, 3, 1)]))

    heights = [float(i.header.ImagePositionPatient[2]) for i in sorted_instances(series)]

    assert heights == [0.0, 1.25, 2.5, 3.75]


def test_the_grid_has_rows_and_columns_the_right_way_round(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    grid = grid_of(only_series(written(tmp_path, slices)))

    # PixelSpacing 0.75\0.5: rows are 0.75 mm apart (towards P), columns 0.5 mm (towards L).
    assert isinstance(grid, Geometry)
    assert grid.shape == (4, 72, 80)
    assert grid.to_patient(np.array([1.0, 2.0, 3.0])) == pytest.approx((-8.5, -6.5, 1.25))


def test_the_real_tilted_series_is_one_series_of_uneven_planes() -> None:
    series = only_series(sorted(real.ge_head_tilt().iterdir()))

    grid = grid_of(series)

    # ImageType has two forms in it; the widths are worked out by hand in test_geometry.
    assert isinstance(grid, Planes)
    assert grid.shape == (28, 512, 512)
    assert grid.widths_mm.sum() == pytest.approx(149.6, abs=0.05)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.txt", b"not an image"),
        ("DICOMDIR", bytes(128) + b"no directory either"),
        (".hidden", b"x" * 500),
    ],
)
def test_files_that_are_not_dicom_are_passed_over(
    tmp_path: Path, slices: list[FileDataset], name: str, content: bytes
) -> None:
    files = written(tmp_path, slices)
    (tmp_path / name).write_bytes(content)

    assert len(only_series([*files, tmp_path / name]).instances) == 4


def test_a_dicomdir_is_passed_over(tmp_path: Path, slices: list[FileDataset]) -> None:
    directory = slices.pop()
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    del directory.PixelData
    directory.save_as(tmp_path / "DICOMDIR")

    assert read_instance(tmp_path / "DICOMDIR") is None


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")

    with pytest.raises(Refused) as refused:
        read_study([tmp_path / "a.txt"])
    assert refused.value.reason.code is Code.INPUT_NO_DICOM


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("IM0009", b""),
        ("x.dcm", b"<html>404</html>"),
        ("IM0009", bytes(4096)),
        ("IM0009", bytes(128) + b"DICM"),
    ],
    ids=["empty", "something else under the name", "only zeros", "nothing but the prefix"],
)
def test_one_lost_slice_among_good_ones_is_said_and_not_passed_over(
    tmp_path: Path, slices: list[FileDataset], name: str, content: bytes
) -> None:
    files = written(tmp_path, slices)
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Refused, match="1 of 5 files") as refused:
        read_study([*files, tmp_path / name])
    assert refused.value.reason.code is Code.EMPTY


def test_a_file_that_the_system_does_not_give_is_refused_as_unreadable(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    files = written(tmp_path, slices)
    (tmp_path / "IM9").symlink_to(tmp_path / "gone")

    with pytest.raises(Refused) as refused:
        read_study([*files, tmp_path / "IM9"])
    assert refused.value.reason.code is Code.INPUT_UNREADABLE
    assert "IM9" not in refused.value.reason.sentence


def test_a_folder_with_nothing_but_an_empty_file_is_refused_as_empty(tmp_path: Path) -> None:
    (tmp_path / "IM1").touch()

    with pytest.raises(Refused) as refused:
        read_study([tmp_path / "IM1"])
    assert refused.value.reason.code is Code.EMPTY


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_pixel_data_are_located_and_read_as_they_lie_in_the_file(
    tmp_path: Path, slices: list[FileDataset], syntax: str | None
) -> None:
    stored = slices[0].PixelData
    if syntax is not None:
        slices[0].file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        slices[0].PixelData = np.frombuffer(stored, "<u2").astype(">u2").tobytes()

    instance = read_instance(written(tmp_path, slices[:1])[0])

    assert instance is not None
    assert instance.stored_bytes() == slices[0].PixelData
    assert "PixelData" not in instance.header


def test_pixel_data_of_a_deflated_file_are_found(tmp_path: Path, slices: list[FileDataset]) -> None:
    slices[0].file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    instance = read_instance(written(tmp_path, slices[:1])[0])

    assert instance is not None
    assert instance.stored_bytes() == slices[0].PixelData


def test_an_instance_that_never_had_pixels_is_read_and_says_so(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    del slices[0].PixelData

    instance = read_instance(written(tmp_path, slices[:1])[0])

    assert instance is not None
    assert instance.pixels is None


CUT_AT = st.floats(0.0, 1.0, exclude_max=True)


@given(share=CUT_AT)
def test_a_file_cut_in_its_header_is_never_read_as_an_instance(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    (file,) = written(tmp_path_factory.mktemp("cut"), ct_slices(grey(1)))
    content = file.read_bytes()
    instance = read_instance(file)
    assert instance is not None
    assert instance.pixels is not None
    file.write_bytes(content[: int(share * instance.pixels.offset_bytes)])

    try:
        cut = read_instance(file)
    except Refused as refused:
        assert refused.reason.code is Code.EMPTY  # noqa: PT017
    else:
        # Cut between two elements the rest is a whole data set, without its pixels.
        assert cut is not None
        assert cut.pixels is None


def remove(keyword: str) -> Callable[[list[FileDataset]], None]:
    return lambda slices: slices[1].pop(keyword)


def put(keyword: str, value: object) -> Callable[[list[FileDataset]], None]:
    return lambda slices: setattr(slices[1], keyword, value)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (remove("ImagePositionPatient"), Code.GEOMETRY_MISSING),
        (remove("ImageOrientationPatient"), Code.GEOMETRY_MISSING),
        (remove("PixelSpacing"), Code.GEOMETRY_MISSING),
        (put("ImagePositionPatient", None), Code.GEOMETRY_MISSING),
        (put("ImagePositionPatient", [0, 0]), Code.GEOMETRY_MISSING),
        (put("PixelSpacing", [0.5]), Code.GEOMETRY_MISSING),
        (put("PixelSpacing", [0, 0.5]), Code.GEOMETRY_MISSING),
        (put("PixelSpacing", [0.75, 0.502]), Code.SPACING_INPLANE),
        (put("ImageOrientationPatient", [1, 0, 0, 0, 0.9, -0.436]), Code.ORIENTATION_MIXED),
        (put("ImagePositionPatient", [-10, -8, 0]), Code.POSITION_DUPLICATE),
        (put("ImagePositionPatient", [-10, -5, 1.25]), Code.POSITION_IRREGULAR),
        (put("Rows", 12), Code.MATRIX_MIXED),
        (remove("Columns"), Code.MATRIX_MIXED),
    ],
)
def test_geometry_that_cannot_be_trusted_is_refused(
    tmp_path: Path, slices: list[FileDataset], damage: Callable, code: Code
) -> None:
    damage(slices)

    assert refusal(only_series(written(tmp_path, slices))) is code


@pytest.mark.parametrize("cosines", [[0] * 6, [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 2, 0]])
def test_an_orientation_that_is_no_pair_of_perpendicular_unit_vectors_is_refused(
    tmp_path: Path, slices: list[FileDataset], cosines: list[int]
) -> None:
    for header in slices:
        header.ImageOrientationPatient = cosines

    assert refusal(only_series(written(tmp_path, slices))) is Code.GEOMETRY_MISSING


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (b"1.5\\-2e1\\ 3 ", (1.5, -20.0, 3.0)),
        (b"1.50000000000000000001", (1.5,)),
        (b"0,5\\0,5", ()),
        (b"NaN\\1", ()),
        (b"inf", ()),
        (b"", ()),
        (b"\\", ()),
    ],
)
def test_decimals_are_read_from_the_text_and_never_guessed(
    tmp_path: Path, slices: list[FileDataset], text: bytes, numbers: tuple[float, ...]
) -> None:
    # Written in the place of a value of the same length, behind pydicom's back.
    slices[0].RescaleSlope = "7" * 16
    slices[0].WindowCenter = None
    (file,) = written(tmp_path, slices[:1])
    padded = text + b" " * (len(text) % 2)
    length = len(padded).to_bytes(2, "little")
    content = file.read_bytes()
    old = b"\x28\x00\x53\x10DS\x10\x00" + b"7" * 16
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, b"\x28\x00\x53\x10DS" + length + padded))

    assert decimals(dcmread(file), "RescaleSlope") == numbers


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_negative_padding_is_read_as_its_bit_pattern_in_either_byte_order(
    tmp_path: Path, slices: list[FileDataset], syntax: str
) -> None:
    slices[0].file_meta.TransferSyntaxUID = syntax
    slices[0].PixelRepresentation = 1
    slices[0].PixelPaddingValue = -2000

    instance = read_instance(written(tmp_path, slices[:1])[0])

    assert instance is not None
    assert unsigned(instance.header, "PixelPaddingValue") == 65536 - 2000
    assert unsigned(instance.header, "WindowCenter") is None


def test_a_copy_of_a_slice_counts_once(tmp_path: Path, slices: list[FileDataset]) -> None:
    files = written(tmp_path, slices)
    (tmp_path / "copy.dcm").write_bytes(files[2].read_bytes())

    series = only_series([*files, tmp_path / "copy.dcm"])

    assert len(series.instances) == 5
    assert len(sorted_instances(series)) == 4
    assert grid_of(series).shape[0] == 4


def test_two_slices_of_the_same_pixels_and_other_rescale_are_no_copies(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    slices.append(ct_slices(grey(4))[2])
    slices[4].RescaleIntercept = 0

    assert refusal(only_series(written(tmp_path, slices))) is Code.POSITION_DUPLICATE


def test_two_pictures_of_one_position_are_refused(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    slices.append(ct_slices(grey(4))[2])
    set_stored(slices[4], grey(5)[4], bits_stored=16, is_signed=True)

    assert refusal(only_series(written(tmp_path, slices))) is Code.POSITION_DUPLICATE
