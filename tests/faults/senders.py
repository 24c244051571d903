"""A sender of plain sockets, which is not ours. It keeps what each instance was answered."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pynetdicom.dsutils import split_dataset

from tests.integration.listener.peer import Peer, p_data, store_command
from tests.system.configuration import SCANNER, Address
from tests.waiting import LIMIT_S, until

PACE_S = 0.03
ACCEPTED, REJECTED = 2, 3
"""Kinds of PDU: A-ASSOCIATE-AC and A-ASSOCIATE-RJ."""


@dataclass
class Answers:
    """What a sender was answered: UIDs with the status; None where no answer came."""

    statuses: list[tuple[str, int | None]] = field(default_factory=list)

    @property
    def taken(self) -> set[str]:
        """UIDs that were answered with success."""
        return {uid for uid, status in self.statuses if status == 0x0000}

    @property
    def given(self) -> set[int | None]:
        """All kinds of answers."""
        return {status for _, status in self.statuses}


def send(
    address: Address, files: Iterable[Path], answers: Answers | None = None, calling: str = SCANNER
) -> Answers:
    """Send CT instances over one association, until it ends; return what was answered."""
    answers = Answers() if answers is None else answers
    with Peer(address.port) as peer:
        if peer.associate(calling=calling, called=address.ae_title)[0] != ACCEPTED:
            return answers
        for path in files:
            uid, data_set = read(path)
            status = _status(peer, uid, data_set)
            answers.statuses.append((uid, status))
            if status is None:
                return answers
        peer.release()
    return answers


@contextmanager
def sending(address: Address, files: Iterable[Path]) -> Iterator[Answers]:
    """Send meanwhile, as fast as a scanner makes images; at the end it has heard all it will."""
    answers = Answers()
    thread = threading.Thread(target=send, args=(address, _paced(files), answers))
    thread.start()
    try:
        yield answers
    finally:
        thread.join(LIMIT_S)
        assert not thread.is_alive()


@contextmanager
def half_sent(address: Address, path: Path) -> Iterator[Peer]:
    """Send the first half of an instance, and keep the association."""
    uid, data_set = read(path)
    with Peer(address.port) as peer:
        assert peer.associate(calling=SCANNER, called=address.ae_title)[0] == ACCEPTED
        peer.send(store_command(uid))
        peer.send(p_data(data_set[: len(data_set) // 2], 0))
        yield peer


def until_listening(address: Address) -> None:
    """Wait until somebody takes connections there."""

    def is_taken() -> bool:
        with suppress(ConnectionError):
            socket.create_connection((address.host, address.port), LIMIT_S).close()
            return True
        return False

    until(is_taken)


def read(path: Path) -> tuple[str, bytes]:
    """Return the UID of a file's instance and the bytes of its data set."""
    uid = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
    return str(uid), path.read_bytes()[split_dataset(path)[1] :]


def _paced(files: Iterable[Path]) -> Iterator[Path]:
    for path in files:
        time.sleep(PACE_S)
        yield path


def _status(peer: Peer, uid: str, data_set: bytes) -> int | None:
    with suppress(ConnectionError):
        said = peer.store(data_set, uid)
        return said if isinstance(said, int) else None
    return None
