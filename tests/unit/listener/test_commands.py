"""Command sets: what pydicom writes is read, what we write pydicom reads."""

import struct
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import decode, encode

from service.listener.commands import (
    C_STORE_RQ,
    LIMIT_BYTES,
    Command,
    Malformed,
    p_data,
    read_command,
    store_answer,
)
from tests.unit.listener.builders import CT, UID


def written(**changes: object) -> bytes:
    command = Dataset()
    command.AffectedSOPClassUID = CT
    command.CommandField = C_STORE_RQ
    command.MessageID = 7
    command.Priority = 0
    command.CommandDataSetType = 1
    command.AffectedSOPInstanceUID = UID
    for keyword, value in changes.items():
        setattr(command, keyword, value)
    content = encode(command, is_implicit_vr=True, is_little_endian=True)
    assert content is not None
    return content


def decoded(content: bytes) -> Dataset:
    return decode(BytesIO(content), is_implicit_vr=True, is_little_endian=True)


def fragments(pdus: bytes) -> list[tuple[int, int, bytes]]:
    """Return context, control header and value of each PDU, which has one fragment."""
    found = []
    while pdus:
        kind, length, inner, context_id, control = struct.unpack_from(">BxIIBB", pdus)
        assert kind == 4 and inner == length - 4
        found.append((context_id, control, pdus[12 : 6 + length]))
        pdus = pdus[6 + length :]
    return found


def test_a_request_is_read() -> None:
    assert read_command(written()) == Command(C_STORE_RQ, 7, True, CT, UID)


def test_a_request_may_say_that_there_is_no_data_set() -> None:
    assert not read_command(written(CommandDataSetType=0x0101)).has_data_set


def test_a_request_that_is_cut_within_an_element_breaks_the_protocol() -> None:
    for length in range(1, len(written())):
        try:
            read = read_command(written()[:length])
        except Malformed:
            continue
        # Behind the last number nothing but the instance's UID is left.
        assert read == Command(C_STORE_RQ, 7, True, CT, "")


def test_elements_of_another_group_break_the_protocol() -> None:
    with pytest.raises(Malformed):
        read_command(written() + struct.pack("<HHI", 8, 0x0018, 0))


@given(st.binary(max_size=200))
def test_random_bytes_are_a_command_or_break_the_protocol(content: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(read_command(content), Command)


def test_an_answer_says_what_is_answered_and_how() -> None:
    [(context_id, control, value)] = fragments(
        store_answer(5, read_command(written()), 0xA900, "intake.mismatch", 16384)
    )
    answer = decoded(value)

    assert (context_id, control) == (5, 3)
    assert answer.CommandField == 0x8001
    assert answer.MessageIDBeingRespondedTo == 7
    assert answer.CommandDataSetType == 0x0101
    assert answer.Status == 0xA900
    assert answer.ErrorComment == "intake.mismatch"
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (CT, UID)
    assert answer.CommandGroupLength == len(value) - 12


def test_success_needs_no_comment() -> None:
    [(_, _, value)] = fragments(store_answer(1, read_command(written()), 0, "", 0))
    assert "ErrorComment" not in decoded(value)


@pytest.mark.parametrize("uid", ["", "1" * 65, "ü"])
def test_what_is_no_uid_is_not_sent_back(uid: str) -> None:
    request = Command(C_STORE_RQ, 7, True, CT, uid)
    [(_, _, value)] = fragments(store_answer(1, request, 0xA900, "", 0))
    assert "AffectedSOPInstanceUID" not in decoded(value)


@given(st.integers(1, 300), st.binary(min_size=1, max_size=LIMIT_BYTES // 32))
def test_no_pdu_is_longer_than_the_peer_takes_and_nothing_is_lost(
    limit_bytes: int, command: bytes
) -> None:
    found = fragments(p_data(3, command, limit_bytes))

    assert b"".join(value for _, _, value in found) == command
    assert [control for _, control, _ in found] == [1] * (len(found) - 1) + [3]
    assert all(len(value) + 6 <= max(limit_bytes, 8) for _, _, value in found)
