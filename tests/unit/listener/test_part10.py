"""What stands in front of a stored data set."""

import hashlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from fontanelle.errors import Code, Unavailable
from service.listener.part10 import Meta, content_digest, head, read_meta
from tests.unit.listener.builders import CT, EXPLICIT, UID, encoded, instance

HEAD = head(
    sop_class_uid=CT,
    sop_instance_uid=UID,
    transfer_syntax_uid=EXPLICIT,
    calling_ae_title="CT1",
    called_ae_title="FONTANELLE",
)


def test_the_file_is_what_pydicom_takes_for_one() -> None:
    content = dcmread(BytesIO(HEAD + encoded(instance())))

    assert content.file_meta.MediaStorageSOPInstanceUID == UID
    assert content.file_meta.MediaStorageSOPClassUID == CT
    assert content.file_meta.TransferSyntaxUID == EXPLICIT
    assert content.file_meta.SourceApplicationEntityTitle == "CT1"
    assert content.file_meta.ReceivingApplicationEntityTitle == "FONTANELLE"
    assert content.file_meta.FileMetaInformationGroupLength == len(HEAD) - 128 - 4 - 12
    assert content.PixelData == instance().PixelData


def test_what_was_written_in_front_is_read_back() -> None:
    assert read_meta(BytesIO(HEAD)) == Meta(EXPLICIT, "CT1", "FONTANELLE", len(HEAD))


def test_the_digest_is_that_of_syntax_and_bytes_whoever_sent_them() -> None:
    expected = hashlib.sha256(EXPLICIT.encode() + b"\0" + b"content").hexdigest()
    other = head(
        sop_class_uid=CT,
        sop_instance_uid=UID,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title="ANOTHER",
        called_ae_title="FONTANELLE",
    )

    assert content_digest(BytesIO(HEAD + b"content")) == expected
    assert content_digest(BytesIO(other + b"content")) == expected


@given(st.integers(0, len(HEAD) - 1))
def test_a_file_that_is_cut_within_is_damaged(length: int) -> None:
    with pytest.raises(Unavailable) as damaged:
        read_meta(BytesIO(HEAD[:length]))
    assert damaged.value.reason.code is Code.FILE_MISSING


@given(st.binary(max_size=300), st.integers(0, len(HEAD) - 1))
def test_a_damaged_file_is_read_or_said_to_be_damaged(junk: bytes, place: int) -> None:
    content = HEAD[:place] + junk + HEAD[place + len(junk) :]
    with suppress(Unavailable):
        read_meta(BytesIO(content))
