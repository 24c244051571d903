"""Messages of the SCU: written as pynetdicom reads them, read without trust."""

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF

from service.delivery import messages
from service.delivery.messages import Malformed

EXPLICIT = (CTImageStorage, ExplicitVRLittleEndian)
IMPLICIT = (CTImageStorage, ImplicitVRLittleEndian)
MOST = 1 << 18


def acceptance(results: dict[int, int], maximum: int = 16384) -> bytes:
    """Return an A-ASSOCIATE-AC's body, by pynetdicom's encoder."""
    request = A_ASSOCIATE_RQ()
    request.decode(messages.association_request("CALLED", "CALLING", [EXPLICIT, IMPLICIT]))
    answer = request.to_primitive()
    answer.result = 0
    for context in answer.presentation_context_definition_list:
        context.result = results[context.context_id]
    answer.presentation_context_definition_results_list = (
        answer.presentation_context_definition_list
    )
    answer.maximum_length_received = maximum
    return A_ASSOCIATE_AC(answer).encode()[6:]


def answer(status: int = 0xA700, message_id: int = 7) -> bytes:
    """Return a C-STORE-RSP's command set, by pynetdicom's encoder."""
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = message_id
    primitive.AffectedSOPClassUID = CTImageStorage
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    (pdata,) = message.encode_msg(1, 16384)
    content: bytes = pdata.presentation_data_value_list[0][1]
    return content[1:]


def test_pynetdicom_reads_the_association_request() -> None:
    request = A_ASSOCIATE_RQ()
    request.decode(messages.association_request("CALLED", "CALLING", [EXPLICIT, IMPLICIT]))
    found = request.to_primitive()
    assert (found.called_ae_title, found.calling_ae_title) == ("CALLED", "CALLING")
    assert [
        (c.context_id, c.abstract_syntax, *c.transfer_syntax)
        for c in found.presentation_context_definition_list
    ] == [(1, *EXPLICIT), (3, *IMPLICIT)]
    assert found.maximum_length_received == messages.RECEIVE_LIMIT


@pytest.mark.parametrize("fragment_bytes", [2, 40, 16384])
def test_pynetdicom_reads_the_store_request(fragment_bytes: int) -> None:
    command = messages.store_request(513, CTImageStorage, "1.2.3.45")
    pdus = messages.command_pdus(command, 5, fragment_bytes)
    message = C_STORE_RQ()
    while pdus:
        size = 6 + struct.unpack(">L", pdus[2:6])[0]
        assert size <= fragment_bytes + 12
        pdu = P_DATA_TF()
        pdu.decode(pdus[:size])
        message.decode_msg(pdu.to_primitive())
        pdus = pdus[size:]
    found = message.message_to_primitive()
    assert isinstance(found, C_STORE)
    assert (found.MessageID, found.AffectedSOPClassUID, found.AffectedSOPInstanceUID) == (
        513,
        CTImageStorage,
        "1.2.3.45",
    )
    assert message.command_set.CommandGroupLength == len(command) - 12


def test_only_contexts_that_were_accepted_are_there() -> None:
    found = messages.read_acceptance(acceptance({1: 4, 3: 0}), [EXPLICIT, IMPLICIT], MOST)
    assert found.contexts == {IMPLICIT: 3}


def test_a_context_accepted_with_another_syntax_than_offered_is_not_accepted() -> None:
    found = messages.read_acceptance(acceptance({1: 0, 3: 0}), [IMPLICIT, EXPLICIT], MOST)
    assert found.contexts == {}


@pytest.mark.parametrize(
    ("maximum", "fragment"), [(16384, 16378), (0, MOST), (1 << 30, MOST), (128, 122), (4097, 4090)]
)
def test_fragments_are_even_and_fit_into_the_peers_pdus(maximum: int, fragment: int) -> None:
    found = messages.read_acceptance(acceptance({1: 0, 3: 0}, maximum), [EXPLICIT, IMPLICIT], MOST)
    assert found.fragment_bytes == fragment


def test_a_peer_that_takes_no_byte_breaks_the_protocol() -> None:
    with pytest.raises(Malformed):
        messages.read_acceptance(acceptance({1: 0, 3: 0}, 7), [EXPLICIT, IMPLICIT], MOST)


def test_the_status_is_read_from_the_answer() -> None:
    assert messages.status_of(answer(0xA700, 7), 7) == 0xA700


def test_an_answer_to_another_message_is_none() -> None:
    with pytest.raises(Malformed):
        messages.status_of(answer(0x0000, 7), 8)


def test_a_rejection_is_said_in_words() -> None:
    assert messages.rejection_words(bytes([0, 2, 3, 2])) == (
        "refused for now: it has too many associations (result 2, source 3, reason 2)"
    )
    assert "calling" in messages.rejection_words(bytes([0, 1, 1, 3]))
    assert "unknown reason" in messages.rejection_words(bytes([0, 9, 9, 9]))


def read_body(body: bytes) -> None:
    messages.read_acceptance(body, [EXPLICIT, IMPLICIT], MOST)


def read_values(body: bytes) -> None:
    messages.values_of(body)


def read_answer(body: bytes) -> None:
    messages.status_of(body, 7)


def read_rejection(body: bytes) -> None:
    messages.rejection_words(body)


READERS = [
    (read_body, acceptance({1: 0, 3: 0})),
    (read_values, b"\0\0\0\x06\x01\x03abcd"),
    (read_answer, answer()),
    (read_rejection, bytes(4)),
]


@pytest.mark.parametrize(("read", "good"), READERS)
@given(data=st.data())
def test_no_bytes_of_a_peer_do_more_than_break_the_protocol(
    read: Callable[[bytes], None], good: bytes, data: st.DataObject
) -> None:
    read(good)
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(good)))
    with suppress(Malformed):
        read(bytes(damaged[:end]))
    with suppress(Malformed):
        read(data.draw(st.binary(max_size=200)))
