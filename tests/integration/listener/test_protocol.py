"""Peers that break the upper layer's rules: an A-ABORT, a closed connection, nothing left."""

import os
import random
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fontanelle.errors import Code
from tests.integration.listener.peer import (
    ABORTED,
    CALLED,
    CALLING,
    CLOSED,
    Peer,
    Place,
    associated,
    association_request,
    command,
    listening,
    p_data,
    store_command,
    ui,
    us,
)
from tests.unit.listener.builders import CT, EXPLICIT, encoded, instance
from tests.waiting import until

WHOLE = encoded(instance())
MR = "1.2.840.10008.5.1.4.1.1.4"
JPEG_BASELINE, DEFLATED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1.99"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with listening(tmp_path) as opened:
        yield opened


def find() -> bytes:
    """Return a C-FIND request, with an identifier behind it."""
    return p_data(command(ui(2, CT) + us(0x0100, 0x0020) + us(0x0110, 1) + us(0x0800, 1)), 3)


BREACHES = {
    "a PDU longer than agreed": struct.pack(">BxI", 4, 131073) + bytes(64),
    "a PDU of 2 GB": struct.pack(">BxI", 4, 2_000_000_000) + bytes(1000),
    "an A-RELEASE of 2 GB": struct.pack(">BxI", 5, 2_000_000_000) + bytes(1000),
    "a fragment longer than its PDU": struct.pack(">BxIIBB", 4, 8, 4000, 1, 3) + b"ab",
    "a fragment of length 0": struct.pack(">BxII", 4, 4, 0),
    "a fragment of length 1": struct.pack(">BxIIB", 4, 5, 1, 1),
    "no fragment": struct.pack(">BxI", 4, 0),
    "a PDU of no kind": struct.pack(">BxI", 99, 4) + bytes(4),
    "a context that was not negotiated": store_command(context=77),
    "a data set without a command": p_data(WHOLE, 2),
    "a command amid a data set": store_command() + p_data(b"ab", 0) + store_command(),
    "two contexts in one message": store_command() + p_data(WHOLE, 2, context=3),
    "a command without an end": p_data(bytes(8), 1) * 4000,
    "a command of something else": p_data(os.urandom(100), 3),
    "an operation that was not negotiated": find(),
    "another request for an association": association_request(),
    "a response to nothing": p_data(command(us(0x0100, 0x8001) + us(0x0800, 0x0101)), 3),
}


@pytest.mark.parametrize("content", BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_of_the_protocol_ends_the_association_and_nothing_else(
    place: Place, content: bytes
) -> None:
    with associated(place) as peer:
        threading.Thread(target=peer.send, args=(content,), daemon=True).start()
        assert peer.answer() == ABORTED
        assert peer.is_closed()
        until(lambda: place.listener.associations == 0)

    assert place.files() == []
    with associated(place) as other:
        assert other.echo() == 0
        assert other.store(WHOLE) == 0


def test_a_declared_length_takes_no_memory(place: Place) -> None:
    before = resident_bytes()
    for _ in range(20):
        with associated(place) as peer:
            peer.send(struct.pack(">BxI", 4, 2_000_000_000) + bytes(1000))
            assert peer.answer() == ABORTED

    assert resident_bytes() - before < 100_000_000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


BEFORE_ASSOCIATION = {
    "4 kB of anything": random.Random(1).randbytes(4096),  # noqa: S311
    "a request of HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a request of 2 GB": struct.pack(">BxI", 1, 2_000_000_000) + bytes(1000),
    "a garbled request": struct.pack(">BxI", 1, 200) + os.urandom(200),
    "an instance": store_command(),
    "a release": struct.pack(">BxI4x", 5, 4),
}


@pytest.mark.parametrize("content", BEFORE_ASSOCIATION.values(), ids=BEFORE_ASSOCIATION.keys())
def test_who_begins_with_something_else_is_sent_away(place: Place, content: bytes) -> None:
    with Peer(place.port) as peer:
        peer.send(content)
        assert peer.answer() in {ABORTED, CLOSED, "PDU 3"}
        assert peer.is_closed()

    assert place.listener.associations == 0
    with associated(place) as other:
        assert other.echo() == 0


@pytest.mark.parametrize("contexts", [((MR, EXPLICIT),), ((CT, JPEG_BASELINE),), ((CT, DEFLATED),)])
def test_what_cannot_be_kept_or_decoded_is_refused_when_negotiating_and_that_is_told(
    place: Place, contexts: tuple[tuple[str, str]]
) -> None:
    with associated(place, contexts=contexts) as peer:
        assert place.codes() == [Code.CONTEXT_REFUSED]
        assert peer.store(WHOLE) == ABORTED

    assert place.files() == []


def test_who_offers_all_there_is_and_something_of_ours_is_no_event(place: Place) -> None:
    with associated(place, contexts=((MR, EXPLICIT), (CT, JPEG_BASELINE), (CT, EXPLICIT))) as peer:
        assert peer.store(WHOLE, context=5) == 0

    assert place.codes() == []


@pytest.mark.parametrize(
    ("calling", "called", "numbers", "code"),
    [
        (CALLING, "PACS", b"\1\1\7", Code.ASSOCIATION_CALLED),
        ("NOBODY", CALLED, b"\1\1\3", Code.ASSOCIATION_CALLING),
        ("ELSEWHERE", CALLED, b"\1\1\3", Code.ASSOCIATION_HOST),
    ],
)
def test_who_is_not_expected_is_rejected_and_that_is_told(
    place: Place, calling: str, called: str, numbers: bytes, code: Code
) -> None:
    with Peer(place.port) as peer:
        kind, body = peer.associate(calling=calling, called=called)
        assert kind == 3
        assert body[1:] == numbers
        assert peer.is_closed()

    assert place.codes() == [code]
    told = place.refused[0].peer
    assert (told.calling_ae_title, told.called_ae_title) == (calling, called)
    assert told.host == "127.0.0.1"


def test_more_associations_than_agreed_hear_so_and_come_in_when_one_has_left(
    tmp_path: Path,
) -> None:
    with listening(tmp_path, maximum_associations=2) as place:
        with associated(place), associated(place) as second:
            with Peer(place.port) as third:
                kind, body = third.associate()
                assert (kind, body[1:]) == (3, b"\2\3\2")
            assert second.release() == 6
            until(lambda: place.listener.associations == 1)
            with associated(place) as fourth:
                assert fourth.echo() == 0
        assert place.codes() == [Code.ASSOCIATION_LIMIT]
        until(lambda: place.listener.associations == 0)


END: dict[str, Callable[[Peer], None]] = {
    "abort": Peer.abort,
    "reset": Peer.reset,
    "close": lambda peer: peer.socket.close(),
}


@pytest.mark.parametrize("end", END.values(), ids=END.keys())
@pytest.mark.parametrize("sent", [store_command(), store_command() + p_data(WHOLE[:100], 0)])
def test_of_a_data_set_that_ends_within_nothing_stays(
    place: Place, end: Callable[[Peer], None], sent: bytes
) -> None:
    with associated(place) as peer:
        peer.send(sent)
        until(lambda: len(place.files()) == (len(sent) > 200))
        end(peer)
        until(lambda: place.listener.associations == 0)

    assert place.files() == []
    with associated(place) as other:
        assert other.store(WHOLE) == 0


def test_messages_may_come_in_fragments_of_any_size(place: Place) -> None:
    for most in (1, 7, 100, 5000):
        content = encoded(instance(f"2.25.{most}"))
        with associated(place) as peer:
            header = store_command(f"2.25.{most}")[12:]
            for start in range(0, len(header), most):
                is_last = start + most >= len(header)
                peer.send(p_data(header[start : start + most], 1 + 2 * is_last))
            peer.limit_bytes = most + 6
            peer.send_data(content)
            assert peer.answer() == 0

    assert len(place.kept) == 4


def test_several_fragments_may_share_a_pdu_and_several_messages_a_packet(place: Place) -> None:
    body = b"".join(
        fragment[6:]
        for uid in ("2.25.1", "2.25.2")
        for fragment in (
            store_command(uid),
            p_data(encoded(instance(uid))[:50], 0),
            p_data(encoded(instance(uid))[50:], 2),
        )
    )
    with associated(place) as peer:
        peer.send(struct.pack(">BxI", 4, len(body)) + body)
        assert [peer.answer(), peer.answer()] == [0, 0]

    assert len(place.kept) == 2


def test_echoes_and_instances_may_take_turns(place: Place) -> None:
    with associated(place) as peer:
        for number in range(3):
            assert peer.echo() == 0
            assert peer.store(encoded(instance(f"2.25.{number}")), f"2.25.{number}") == 0
        assert peer.release() == 6
        assert peer.is_closed()


def test_a_huge_instance_passes_through_little_memory(place: Place) -> None:
    half_mb = bytes(1 << 19)
    start = encoded(instance(PixelData=b""))[:-12]
    start += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 400 << 19)
    with associated(place) as peer:
        before = resident_bytes()
        peer.send(store_command() + p_data(start, 0))
        for _ in range(400 * 8 - 1):
            peer.send(p_data(half_mb[: 1 << 16], 0))
        peer.send(p_data(half_mb[: 1 << 16], 2))
        assert peer.answer() == 0

    assert place.kept[0].size_bytes > 200 << 20
    assert resident_bytes() - before < 50_000_000
