"""Which files can be sent, and what is said of the others."""

from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from fontanelle.errors import Code, Refused
from service.delivery.sendable import read_sendable
from tests.integration.delivery.files import dataset_bytes, jpeg, part10
from tests.real import ge_head_tilt, philips_phantom


def code_of(path: Path) -> Code:
    with pytest.raises(Refused) as raised:
        read_sendable(path)
    return raised.value.reason.code


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_the_data_set_begins_behind_the_file_meta_information(
    tmp_path: Path, syntax: str | None
) -> None:
    path = part10(tmp_path / "a.dcm", **({"syntax": syntax} if syntax else {}))
    found = read_sendable(path)
    assert found is not None
    assert path.read_bytes()[found.offset_bytes :] == dataset_bytes(path)
    assert path.read_bytes()[found.offset_bytes :][:4] == b"\x08\0\x16\0"


def test_every_real_instance_can_be_sent() -> None:
    files = [
        path
        for folder in (ge_head_tilt(), philips_phantom())
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert len(files) > 50
    assert all(read_sendable(path) is not None for path in files)


def test_what_is_not_dicom_is_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no image at all")
    assert read_sendable(path) is None


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.touch()
    assert code_of(path) is Code.EMPTY


def test_a_header_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = part10(tmp_path / "a.dcm", pixel_bytes=0)
    path.write_bytes(path.read_bytes()[:-7])
    assert code_of(path) is Code.EMPTY


def test_pixel_data_that_are_cut_are_refused(tmp_path: Path) -> None:
    path = part10(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-2])
    assert code_of(path) is Code.PIXEL_DATA_SHORT


@pytest.mark.parametrize("cut_bytes", [1, 8, 9, 300, 530])
def test_encapsulated_pixel_data_that_are_cut_are_refused(tmp_path: Path, cut_bytes: int) -> None:
    path = jpeg(tmp_path / "a.dcm")
    assert read_sendable(path) is not None
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    assert code_of(path) is Code.PIXEL_DATA_SHORT


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.abc"])
def test_a_malformed_uid_is_refused(tmp_path: Path, uid: str) -> None:
    path = part10(tmp_path / "a.dcm", uid="1.2.3.4567890123")
    padded = uid.encode().ljust(16, b"\0")
    path.write_bytes(path.read_bytes().replace(b"1.2.3.4567890123", padded))
    assert code_of(path) is Code.UID_INVALID
