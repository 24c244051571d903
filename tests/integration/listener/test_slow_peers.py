"""Peers that are silent, that drip, that are many: each wait has an end, and others are served."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.listener.peer import (
    ABORTED,
    CLOSED,
    Peer,
    Place,
    associated,
    association_request,
    listening,
    p_data,
    store_command,
)
from tests.unit.listener.builders import encoded, instance
from tests.waiting import until

WHOLE = encoded(instance())
BRIEF_S = 0.6

SILENCES: dict[str, bytes] = {
    "says nothing more": b"",
    "stops behind a command": store_command(),
    "stops in the header of a PDU": store_command() + b"\x04\x00",
    "stops within a PDU": store_command() + p_data(WHOLE, 2)[:-1],
    "stops between two PDUs": store_command() + p_data(WHOLE[:50], 0),
    "stops within a release": struct.pack(">BxI", 5, 4),
}


@pytest.mark.parametrize("sent", SILENCES.values(), ids=SILENCES.keys())
def test_who_falls_silent_is_aborted_and_closed(tmp_path: Path, sent: bytes) -> None:
    with listening(tmp_path, timeout_s=BRIEF_S) as place, associated(place) as peer:
        peer.send(sent)
        assert peer.answer() == ABORTED
        assert peer.is_closed()
        until(lambda: place.listener.associations == 0)
        assert place.files() == []


@pytest.mark.parametrize("sent", [b"", b"\x01", association_request()[:-1]])
def test_who_does_not_ask_for_an_association_is_closed(tmp_path: Path, sent: bytes) -> None:
    with listening(tmp_path, timeout_s=BRIEF_S) as place, Peer(place.port) as peer:
        peer.send(sent)
        assert peer.answer() in {ABORTED, CLOSED}
        assert peer.is_closed()


DRIPS: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "a PDU byte by byte": (store_command() + p_data(WHOLE, 2)[:12], lambda k: WHOLE[k : k + 1]),
    "fragments of a byte": (store_command(), lambda k: p_data(WHOLE[k : k + 1], 0)),
    "a command of empty fragments": (b"", lambda _: p_data(b"", 1)),
}


@pytest.mark.parametrize(("sent", "drop"), DRIPS.values(), ids=DRIPS.keys())
def test_who_sends_drop_by_drop_is_aborted_too(
    tmp_path: Path, sent: bytes, drop: Callable[[int], bytes]
) -> None:
    with listening(tmp_path, timeout_s=BRIEF_S) as place, associated(place) as peer:
        peer.send(sent)
        drip(peer, drop)
        assert peer.answer() == ABORTED
        assert peer.is_closed()
        until(lambda: place.listener.associations == 0)
        assert place.files() == []


def test_who_asks_for_an_association_drop_by_drop_is_closed(tmp_path: Path) -> None:
    request = association_request() + bytes(10_000)
    with listening(tmp_path, timeout_s=BRIEF_S) as place, Peer(place.port) as peer:
        peer.send(struct.pack(">BxI", 1, len(request)))
        drip(peer, lambda k: request[k : k + 1])
        assert peer.is_closed()


def drip(peer: Peer, drop: Callable[[int], bytes]) -> None:
    """Send something every 50 ms, until nobody takes it or there is an answer."""

    def go_on() -> None:
        for index in range(2000):
            try:
                peer.send(drop(index))
            except OSError:
                return
            time.sleep(0.05)

    threading.Thread(target=go_on, daemon=True).start()


def test_who_only_asks_now_and_then_whether_we_are_there_may_stay(tmp_path: Path) -> None:
    with listening(tmp_path, timeout_s=BRIEF_S) as place, associated(place) as peer:
        begun = time.monotonic()
        while time.monotonic() - begun < 3 * BRIEF_S:
            assert peer.echo() == 0
            time.sleep(BRIEF_S / 6)
        assert peer.store(WHOLE) == 0


def test_an_instance_may_take_longer_than_a_silence(tmp_path: Path) -> None:
    content = encoded(instance(PixelData=bytes(20_000)))
    with listening(tmp_path, timeout_s=BRIEF_S) as place, associated(place) as peer:
        peer.send(store_command())
        for start in range(0, len(content), 1000):
            peer.send(p_data(content[start : start + 1000], 2 * (start + 1000 >= len(content))))
            time.sleep(BRIEF_S / 8)
        assert peer.answer() == 0


def test_an_echo_is_answered_while_fifty_connections_say_nothing(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations=2) as place, ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(Peer(place.port))
        for _ in range(10):
            with associated(place) as peer:
                assert peer.echo() == 0
                assert peer.store(WHOLE) == 0


def test_port_checks_use_up_nothing(tmp_path: Path) -> None:
    with listening(tmp_path, maximum_associations=1) as place:
        for _ in range(100):
            socket.create_connection(("127.0.0.1", place.port)).close()
        with associated(place) as peer:
            assert peer.echo() == 0


def test_of_too_many_that_say_nothing_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.listener.server.LOBBY_LIMIT", 3)
    with listening(tmp_path) as place, ExitStack() as stack:
        silent = [stack.enter_context(Peer(place.port)) for _ in range(4)]
        assert silent[0].is_closed()
        silent[3].send(association_request())
        assert silent[3].read_pdu()[0] == 2


def test_after_two_hundred_bad_peers_nothing_is_left_open(tmp_path: Path) -> None:
    with listening(tmp_path, timeout_s=BRIEF_S) as place:
        with associated(place) as peer:
            assert peer.store(WHOLE) == 0
        until(lambda: place.listener.associations == 0)
        before = descriptors(), threading.active_count()
        for number in range(200):
            _misbehave(place, number % 5)
        until(lambda: (descriptors(), threading.active_count()) <= before)
        with associated(place) as peer:
            assert peer.echo() == 0

    assert len(place.files()) == 1


def _misbehave(place: Place, how: int) -> None:
    with Peer(place.port) as peer:
        if how == 0:
            peer.send(os.urandom(50))
            return
        peer.associate()
        peer.send(store_command() + p_data(WHOLE[:100], 0))
        if how == 1:
            peer.abort()
        elif how == 2:
            peer.reset()
        elif how == 3:
            peer.send(bytes(6))
            assert peer.answer() == ABORTED


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_above_a_thousand_are_no_limit(tmp_path: Path) -> None:
    # select() knows none of those; pynetdicom takes such a connection for one that was closed.
    with ExitStack() as stack:
        for _ in range(1100):
            stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        with listening(tmp_path) as place, associated(place) as peer:
            assert peer.store(WHOLE) == 0


def test_whoever_stops_us_lets_the_instance_in_hand_be_finished(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with listening(tmp_path) as place:
            peer = stack.enter_context(associated(place))
            idle = stack.enter_context(associated(place))
            peer.send(store_command() + p_data(WHOLE[:100], 0))
            until(lambda: len(place.files()) == 1)
            rest = threading.Timer(0.3, peer.send, (p_data(WHOLE[100:], 2),))
            rest.start()
        assert peer.answer() == 0
        assert peer.answer() == ABORTED
        assert idle.answer() == ABORTED
        rest.join()

    assert len(place.kept) == 1
