"""The walk over a data set: whole or cut, and whose it is."""

import random
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fontanelle.errors import Code, Refused
from service.listener import header
from service.listener.header import Header, is_uid, read_header
from tests.unit.listener.builders import (
    BIG,
    CT,
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    RLE,
    SERIES,
    STUDY,
    UID,
    compressed,
    encoded,
    instance,
    report,
)

KINDS = [
    pytest.param(encoded(instance(), syntax, undefined=undefined), syntax, id=f"{name}-{undefined}")
    for syntax, name in zip(NATIVE, ("implicit", "explicit", "big"), strict=True)
    for undefined in (False, True)
] + [pytest.param(encoded(compressed(), RLE), RLE, id="encapsulated")]


def read(content: bytes, syntax: str = EXPLICIT) -> Header:
    def give(offset: int, size: int) -> bytes:
        return content[offset : offset + size]

    return read_header(give, len(content), syntax)


def why(content: bytes, syntax: str = EXPLICIT) -> str:
    with pytest.raises(Refused) as refused:
        read(content, syntax)
    assert refused.value.reason.code is Code.DATASET_UNREADABLE
    return refused.value.reason.sentence


@pytest.mark.parametrize(("content", "syntax"), KINDS)
def test_the_four_uids_are_found_in_each_encoding(content: bytes, syntax: str) -> None:
    found = read(content, syntax)

    assert found.sop_class_uid == CT
    assert found.sop_instance_uid == UID
    assert (found.study_instance_uid, found.series_instance_uid) == (STUDY, SERIES)


def test_pixels_begin_where_pydicom_wrote_them() -> None:
    content = encoded(instance())
    at = read(content).pixels_at

    assert at is not None
    assert content[at:] == instance().PixelData


def test_a_report_is_read_to_its_end_and_has_no_pixels() -> None:
    assert read(encoded(report())).pixels_at is None


def test_pixel_data_without_a_byte_are_none() -> None:
    assert read(encoded(instance(PixelData=b""))).pixels_at is None


@pytest.mark.parametrize(("content", "syntax"), KINDS)
def test_a_data_set_that_is_cut_is_refused_wherever_that_was(content: bytes, syntax: str) -> None:
    whole = read(content, syntax)
    for length in range(len(content)):
        try:
            rest = read(content[:length], syntax)
        except Refused:
            continue
        # Between two elements a cut shows only by what is missing behind it.
        assert rest.pixels_at is None
        assert whole.pixels_at is not None


def test_an_empty_data_set_is_refused() -> None:
    assert why(b"") == "The data set is empty."


def test_some_zeros_behind_the_pixels_are_let_pass_and_more_are_not() -> None:
    assert read(encoded(instance()) + bytes(3)).sop_instance_uid == UID
    why(encoded(instance()) + bytes(8))


def test_elements_behind_the_pixels_are_walked_too() -> None:
    padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4)
    assert read(encoded(instance()) + padding + bytes(4)).sop_instance_uid == UID
    why(encoded(instance()) + padding + bytes(2))


@pytest.mark.parametrize("syntax", NATIVE)
def test_random_bytes_are_no_data_set(syntax: str) -> None:
    for seed in range(50):
        why(random.Random(seed).randbytes(2000), syntax)  # noqa: S311


def test_a_data_set_in_another_encoding_than_agreed_is_refused() -> None:
    for syntax, other in ((EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT), (BIG, EXPLICIT)):
        why(encoded(instance(), syntax), other)


@pytest.mark.parametrize("group", [0x0000, 0x0002])
def test_elements_of_a_command_or_a_file_do_not_belong_into_a_data_set(group: int) -> None:
    why(struct.pack("<HH2sHH", group, 0x0001, b"US", 2, 1) + encoded(instance()))


def test_an_instance_that_names_itself_twice_is_refused() -> None:
    twice = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 8) + b"2.25.99\0"
    assert "twice" in why(twice + encoded(instance()))


def test_compressed_pixels_need_a_compressed_transfer_syntax() -> None:
    assert "no length" in why(encoded(compressed(), RLE), EXPLICIT)


def test_sequences_in_sequences_have_an_end() -> None:
    nested = struct.pack("<HH2sHI", 0x0008, 0x1032, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert "deep" in why((nested + item) * 1000)


def test_a_bomb_of_elements_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_ELEMENT_LIMIT", 100)
    assert "elements" in why(struct.pack("<HH2sH", 0x0009, 0x0001, b"LO", 0) * 101)


def test_values_longer_than_a_chunk_are_stepped_over() -> None:
    long = encoded(instance(PatientComments="x" * 10_000, ImageComments="y" * 10_000))
    assert read(long).series_instance_uid == SERIES


def test_a_uid_that_is_too_long_is_given_as_one_that_is_too_long() -> None:
    # pydicom would warn of such a value: it is put in as bytes.
    content = encoded(instance()).replace(
        struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 8) + b"2.25.11\0",
        struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", 200) + b"1" * 200,
    )
    assert not is_uid(read(content).sop_instance_uid)


@pytest.mark.parametrize("text", ["1", "1.2.3", "2.25.0123", "1." + "2" * 62])
def test_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", ".", "1.", "1..2", "1.2.abc", "../../etc/passwd", "1.2\n", "1." + "2" * 63, "1.²"]
)
def test_no_uid(text: str) -> None:
    assert not is_uid(text)


@given(st.data(), st.sampled_from([kind.values for kind in KINDS]))
def test_damage_is_refused_or_harmless_and_nothing_else(
    data: st.DataObject, kind: tuple[bytes, str]
) -> None:
    content, syntax = bytearray(kind[0]), kind[1]
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(content)))

    # Nothing else is raised, and no place beyond the end is given.
    with suppress(Refused):
        assert (read(bytes(content[:length]), syntax).pixels_at or 0) <= length


@given(st.binary(max_size=400), st.sampled_from((*NATIVE, RLE)))
def test_whatever_comes_the_walk_ends(content: bytes, syntax: str) -> None:
    with suppress(Refused):
        read(content, syntax)
