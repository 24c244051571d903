"""Stored pixels into HU: every syntax bit by bit, rescale, padding; and no half frame as whole."""

import contextlib
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import FileDataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from fontanelle.errors import Code, Refused
from fontanelle.imaging.decoding import decode
from fontanelle.imaging.geometry import Planes
from fontanelle.imaging.series import read_study, sorted_instances
from tests import real
from tests.integration.imaging.small_ct import ct_slices, grey, only_series, set_stored, written

ENCODERS = {JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg", RLELossless: "pylibjpeg"}
DCMTK_LOSSLESS = {"JPEG Lossless, SV1": "+e1", "JPEG Lossless, P14": "+el"}


@pytest.fixture
def slices() -> list[FileDataset]:
    return ct_slices(grey(3))


def decoded(folder: Path, slices: list[FileDataset]) -> NDArray[np.int16]:
    return decode(only_series(written(folder, slices))).hu


def refusal(folder: Path, slices: list[FileDataset]) -> Code:
    with pytest.raises(Refused) as refused:
        decoded(folder, slices)
    return refused.value.reason.code


def compress(slices: list[FileDataset], syntax: str) -> list[FileDataset]:
    for header in slices:
        header.compress(syntax, encoding_plugin=ENCODERS[syntax], generate_instance_uid=False)
    return slices


LAYOUTS = [(12, False), (16, False), (12, True), (16, True)]
"""BitsStored, and whether the stored values are signed."""


def store(slices: list[FileDataset], layout: tuple[int, bool]) -> None:
    bits_stored, is_signed = layout
    offset = 0 if is_signed else 1024
    for header, plane in zip(slices, grey(len(slices)), strict=True):
        set_stored(header, plane + offset, bits_stored=bits_stored, is_signed=is_signed)
        header.RescaleIntercept = -offset


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        *ENCODERS,
    ],
)
def test_every_syntax_and_layout_gives_the_hu_that_were_stored(
    tmp_path: Path, slices: list[FileDataset], syntax: str, layout: tuple[int, bool]
) -> None:
    store(slices, layout)
    if syntax in ENCODERS:
        compress(slices, syntax)
    for header in slices:
        header.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            header.PixelData = np.frombuffer(header.PixelData, "<u2").byteswap().tobytes()

    np.testing.assert_array_equal(decoded(tmp_path, slices), grey(3))


@pytest.mark.peer("dcmcjpeg")
@pytest.mark.parametrize("option", DCMTK_LOSSLESS.values(), ids=DCMTK_LOSSLESS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_jpeg_lossless_of_dcmtk_gives_the_hu_that_were_stored(
    tmp_path: Path, slices: list[FileDataset], option: str, layout: tuple[int, bool]
) -> None:
    store(slices, layout)
    files = written(tmp_path, slices)
    for file in files:
        jpeg_lossless(file, option)

    np.testing.assert_array_equal(decode(only_series(files)).hu, grey(3))


def jpeg_lossless(file: Path, option: str) -> None:
    subprocess.run(["dcmcjpeg", option, file, file], check=True)


def test_real_jpeg_ls_slices_agree_with_a_second_reader() -> None:
    series = only_series(sorted(real.philips_series("bone_1mm_part").iterdir()))

    image = decode(series)

    # SimpleITK reads slice by slice through GDCM, with decoders of its own.
    second = [
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(instance.path)))[0]
        for instance in sorted_instances(series)
    ]
    np.testing.assert_array_equal(image.hu, np.maximum(second, -1024))


def test_the_real_tilted_series_agrees_with_a_second_reader_and_its_published_volume() -> None:
    series = only_series(sorted(real.ge_head_tilt().iterdir()))

    image = decode(series)

    second = [
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(instance.path)))[0]
        for instance in sorted_instances(series)
    ]
    np.testing.assert_array_equal(image.hu, np.maximum(second, -1024))
    # Padding of -1500 fills 23.7 % of the voxels; voxels between 0 and 80 HU by half-gap widths
    # make up 1975.9 mL. Both were counted from headers and stored values without this code.
    assert (image.hu == -1024).mean() >= 0.237
    assert isinstance(image.grid, Planes)
    between = ((image.hu > 0) & (image.hu < 80)).sum(axis=(1, 2))
    assert between @ image.grid.plane_voxel_mm3 / 1000 == pytest.approx(1975.9, abs=0.1)


def test_rescale_values_are_those_of_each_slice(tmp_path: Path, slices: list[FileDataset]) -> None:
    stored = grey(3)
    for header, slope, intercept in zip(slices, (1, 0.5, 2), (-1000, 3.3, 10), strict=True):
        set_stored(header, stored[0], bits_stored=16, is_signed=True)
        header.RescaleSlope, header.RescaleIntercept = slope, intercept

    hu = decoded(tmp_path, slices)

    first = stored[0].astype(float)
    for plane, expected in zip(hu, (first - 1000, first / 2 + 3.3, first * 2 + 10), strict=True):
        # To the nearest HU, and nothing below -1024.
        assert np.abs(plane - np.maximum(expected, -1024)).max() <= 0.5


def test_without_rescale_values_unsigned_pixels_are_taken_as_hu_plus_1024(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    for header in slices:
        del header.RescaleSlope, header.RescaleIntercept

    np.testing.assert_array_equal(decoded(tmp_path, slices), grey(3))


@pytest.mark.parametrize(
    ("slope", "intercept"), [(0, -1024), (None, -1024), (1, None), ([1, 2], 0)]
)
def test_unusable_rescale_values_are_refused(
    tmp_path: Path, slices: list[FileDataset], slope: object, intercept: object
) -> None:
    slices[1].RescaleSlope, slices[1].RescaleIntercept = slope, intercept

    assert refusal(tmp_path, slices) is Code.RESCALE


@pytest.mark.parametrize(
    ("is_signed", "padding", "limit"),
    [(True, -2000, None), (True, -1500, -2000), (False, 63536, None), (False, 60000, 65535)],
)
def test_padding_becomes_air(
    tmp_path: Path, slices: list[FileDataset], is_signed: bool, padding: int, limit: int | None
) -> None:
    expected = grey(3)
    for header, plane in zip(slices, expected, strict=True):
        stored = (plane if is_signed else plane + 1024).astype(np.int32)
        stored[:2], stored[2] = padding, (padding if limit is None else limit)
        set_stored(header, stored, bits_stored=16, is_signed=is_signed)
        header.RescaleIntercept = 0 if is_signed else -1024
        header.PixelPaddingValue = padding
        if limit is not None:
            header.PixelPaddingRangeLimit = limit
    expected[:, :3] = -1024

    np.testing.assert_array_equal(decoded(tmp_path, slices), expected)


def test_a_padding_value_that_would_erase_tissue_is_not_obeyed(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    for header in slices:
        header.PixelPaddingValue = 1024 + 10

    np.testing.assert_array_equal(decoded(tmp_path, slices), grey(3))


def test_values_below_minus_1024_become_air_without_any_padding_value(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    expected = grey(3)
    expected[0, 5:9] = -3024
    set_stored(slices[0], expected[0], bits_stored=16, is_signed=True)
    slices[0].RescaleIntercept = 0

    np.testing.assert_array_equal(decoded(tmp_path, slices), np.maximum(expected, -1024))


def test_slices_come_in_the_order_of_their_positions(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    np.testing.assert_array_equal(decoded(tmp_path, slices[::-1]), grey(3))


def set_bits(header: FileDataset, **values: object) -> None:
    for keyword, value in values.items():
        setattr(header, keyword, value)


def add_overlay_bit(header: FileDataset) -> None:
    stored = np.frombuffer(header.PixelData, "<u2").copy()
    stored[40] |= 0x1000
    header.PixelData = stored.tobytes()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda header: header.pop("PixelData"), Code.NO_PIXEL_DATA),
        (lambda header: set_bits(header, PixelData=b""), Code.PIXEL_DATA_SHORT),
        (lambda header: set_bits(header, PixelData=header.PixelData[:-2]), Code.PIXEL_DATA_SHORT),
        (lambda header: set_bits(header, BitsAllocated=8), Code.BITS),
        (lambda header: set_bits(header, BitsStored=12, HighBit=15), Code.BITS),
        (lambda header: set_bits(header, PixelRepresentation=2), Code.BITS),
        (lambda header: header.pop("BitsStored"), Code.BITS),
        (lambda header: set_bits(header, BitsStored=10, HighBit=9), Code.BITS),
        (add_overlay_bit, Code.BITS),
        (lambda header: set_bits(header, RescaleSlope=100), Code.BITS),
        (lambda header: set_bits(header, SamplesPerPixel=3), Code.PHOTOMETRIC),
        (lambda header: set_bits(header, NumberOfFrames=2), Code.ENHANCED),
        (lambda header: set_bits(header, ModalityLUTSequence=[]), Code.RESCALE),
    ],
)
def test_one_slice_that_cannot_be_trusted_refuses_the_series(
    tmp_path: Path, slices: list[FileDataset], damage: Callable[[FileDataset], None], code: Code
) -> None:
    damage(slices[1])

    assert refusal(tmp_path, slices) is code


def test_a_syntax_without_decoder_is_refused_by_its_name(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    compress(slices, RLELossless)
    for header in slices:
        header.file_meta.TransferSyntaxUID = MPEG2MPML

    with pytest.raises(Refused, match="MPEG2") as refused:
        decoded(tmp_path, slices)
    assert refused.value.reason.code is Code.UNDECODABLE


def test_encapsulated_pixels_under_an_uncompressed_syntax_are_refused(
    tmp_path: Path, slices: list[FileDataset]
) -> None:
    compress(slices, RLELossless)
    files = written(tmp_path, slices)
    for file in files:
        file.write_bytes(
            file.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0")
        )

    with pytest.raises(Refused) as refused:
        decode(only_series(files))
    assert refused.value.reason.code is Code.UNDECODABLE


SHORT_OR_DAMAGED = {Code.PIXEL_DATA_SHORT, Code.UNDECODABLE, Code.BITS}
SYNTAXES = [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, *ENCODERS]


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two slices in each syntax."""
    files = {}
    for syntax in SYNTAXES:
        slices = ct_slices(grey(2))
        if syntax in ENCODERS:
            compress(slices, syntax)
        for header in slices:
            header.file_meta.TransferSyntaxUID = syntax
        files[syntax] = written(tmp_path_factory.mktemp("whole"), slices)
    return files


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused_in_every_syntax(
    whole_files: dict[str, list[Path]], syntax: str, data: st.DataObject
) -> None:
    first, second = whole_files[syntax]
    content = second.read_bytes()
    cut = second.with_name("cut.dcm")
    # The very last byte of a deflated file may be there only to make its length even.
    kept_bytes = data.draw(st.integers(0, len(content) - 2))
    cut.write_bytes(content[:kept_bytes])

    with pytest.raises(Refused):
        decode_all([first, cut])


@pytest.mark.filterwarnings("ignore")  # pydicom's, of what the damage made of the header.
@pytest.mark.parametrize("syntax", SYNTAXES)
@given(data=st.data())
def test_damaged_bytes_lead_to_a_refusal_or_a_whole_image_and_never_to_a_crash(
    whole_files: dict[str, list[Path]], syntax: str, data: st.DataObject
) -> None:
    first, second = whole_files[syntax]
    content = bytearray(second.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = second.with_name("damaged.dcm")
    damaged.write_bytes(content)

    with contextlib.suppress(Refused):
        decode_all([first, damaged])


def decode_all(files: list[Path]) -> None:
    for series in read_study(files).series:
        decode(series)


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("closed", [False, True], ids=["as cut", "closed with an end marker"])
def test_half_a_compressed_frame_in_a_whole_file_is_never_taken_for_a_frame(
    tmp_path: Path, slices: list[FileDataset], syntax: str, share: float, closed: bool
) -> None:
    compress(slices, syntax)
    cut_frame(slices[1], share, closed=closed)

    assert refusal(tmp_path, slices) in SHORT_OR_DAMAGED


@pytest.mark.peer("dcmcjpeg")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_half_a_jpeg_lossless_frame_in_a_whole_file_is_never_taken_for_a_frame(
    tmp_path: Path, slices: list[FileDataset], share: float
) -> None:
    files = written(tmp_path, slices)
    for file in files:
        jpeg_lossless(file, "+e1")
    header = dcmread(files[1])
    cut_frame(header, share, closed=False)
    header.save_as(files[1])

    with pytest.raises(Refused) as refused:
        decode(only_series(files))
    assert refused.value.reason.code is Code.PIXEL_DATA_SHORT


def cut_frame(header: FileDataset, share: float, *, closed: bool) -> None:
    (frame,) = generate_frames(header.PixelData, number_of_frames=1)
    cut = frame[: int(len(frame) * share)]
    header.PixelData = encapsulate([cut + b"\xff\xd9" if closed else cut])


def test_a_refusal_of_a_damaged_frame_prints_nothing(
    tmp_path: Path,
    slices: list[FileDataset],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    compress(slices, JPEGLSLossless)
    cut_frame(slices[1], 0.5, closed=True)
    caplog.set_level(logging.CRITICAL, logger="pydicom")

    refusal(tmp_path, slices)

    assert capfd.readouterr() == ("", "")
