"""A peer of plain sockets that can break every rule, and a listener for it to break them on."""

import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fontanelle.records.files import Spool
from fontanelle.settings import Settings, Source
from service.listener.dimse import Listener, serve
from service.listener.intake import Kept, Refusal
from tests.unit.listener.builders import CT, EXPLICIT, UID

CALLING, CALLED = "SCANNER", "FONTANELLE"
VERIFICATION = "1.2.840.10008.1.1"
LIMIT_S = 30.0
NO_DATA_SET = 0x0101
ABORTED, CLOSED = "aborted", "closed"
SOURCES = (Source(ae_title=CALLING), Source(ae_title="ELSEWHERE", host="192.0.2.1"))


@dataclass
class Place:
    """A listener at work, and what it told."""

    spool: Spool
    folder: Path
    kept: list[Kept] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    listener: Listener = field(init=False)

    @property
    def port(self) -> int:
        return self.listener.port

    def files(self) -> list[Path]:
        """Return all files of the spool that hold something, each under one name, its last."""
        return files_in(self.folder)

    def codes(self) -> list[str]:
        return [str(refusal.code) for refusal in self.refused]


def files_in(folder: Path) -> list[Path]:
    """Return all files that hold something, each under one name, its last."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and (status := path.stat()).st_size:
                found[status.st_ino] = path
    return sorted(found.values())


@contextmanager
def listening(
    folder: Path,
    sources: Sequence[Source] = SOURCES,
    told: Callable[[object], None] | None = None,
    **settings: object,
) -> Iterator[Place]:
    """Listen with a spool below the folder, and note, or have told, what is kept and refused."""
    made = Settings.model_validate(
        {
            "data": folder,
            "sources": sources,
            "listener": {"port": 0, "minimum_free_bytes": 0, "timeout_s": LIMIT_S} | settings,
        }
    )
    with Spool(made.spool).writing() as spool:
        place = Place(spool, made.spool)
        on_kept, on_refused = told or place.kept.append, told or place.refused.append
        with serve(made, spool, on_kept, on_refused) as place.listener:
            yield place


class Peer:
    """One connection, and on it whatever is asked for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.limit_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def associate(
        self,
        *,
        calling: str = CALLING,
        called: str = CALLED,
        contexts: Sequence[tuple[str, str]] = ((CT, EXPLICIT), (VERIFICATION, EXPLICIT)),
    ) -> tuple[int, bytes]:
        """Ask for an association; contexts have the numbers 1, 3, ...; return the answer."""
        self.send(association_request(calling, called, contexts))
        kind, body = self.read_pdu()
        if kind == 2:
            place = body.index(b"\x51\x00\x00\x04")
            self.limit_bytes = struct.unpack_from(">I", body, place + 4)[0]
        return kind, body

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def store(
        self, data_set: bytes, uid: str = UID, *, sop_class: str = CT, context: int = 1
    ) -> int | str:
        """Send an instance, and return what came back: a status, or how it ended."""
        self.send(store_command(uid, sop_class, context=context))
        self.send_data(data_set, context=context)
        return self.answer()

    def send_data(self, data_set: bytes, *, context: int = 1) -> None:
        most = self.limit_bytes - 6
        for start in range(0, max(len(data_set), 1), most):
            is_last = start + most >= len(data_set)
            self.send(p_data(data_set[start : start + most], 2 * is_last, context=context))

    def echo(self, context: int = 3) -> int | str:
        elements = us(0x0100, 0x0030) + us(0x0110, 1) + us(0x0800, NO_DATA_SET)
        self.send(p_data(command(ui(0x0002, VERIFICATION) + elements), 3, context=context))
        return self.answer()

    def answer(self) -> int | str:
        """Return the status that came, or how the association ended."""
        kind, body = self.read_pdu()
        if kind == 4:
            place = body.index(struct.pack("<HHI", 0, 0x0900, 2))
            return int(struct.unpack_from("<H", body, place + 8)[0])
        return {7: ABORTED, 0: CLOSED}.get(kind, f"PDU {kind}")

    def read_pdu(self) -> tuple[int, bytes]:
        """Return kind and body; kind 0 for the end of the connection."""
        header = self._read(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxI", header)
        return kind, self._read(length)

    def is_closed(self) -> bool:
        """Wait for the other side to close; whatever it still says is passed over."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True

    def release(self) -> int:
        self.send(struct.pack(">BxI4x", 5, 4))
        return self.read_pdu()[0]

    def abort(self) -> None:
        self.send(struct.pack(">BxI4x", 7, 4))

    def reset(self) -> None:
        """Vanish as a machine does that was switched off and on again."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read(self, size: int) -> bytes:
        content = b""
        try:
            while len(content) < size and (piece := self.socket.recv(size - len(content))):
                content += piece
        except ConnectionResetError:
            return b""
        return content


@contextmanager
def associated(place: Place, **how: object) -> Iterator[Peer]:
    """Open an association that is accepted."""
    with Peer(place.port) as peer:
        assert peer.associate(**how)[0] == 2  # type: ignore[arg-type]
        yield peer


def association_request(
    calling: str = CALLING,
    called: str = CALLED,
    contexts: Sequence[tuple[str, str]] = ((CT, EXPLICIT),),
) -> bytes:
    body = struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), calling.ljust(16).encode())
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for index, (abstract_syntax, transfer_syntax) in enumerate(contexts):
        context = struct.pack(">Bxxx", 2 * index + 1) + item(0x30, abstract_syntax.encode())
        body += item(0x20, context + item(0x40, transfer_syntax.encode()))
    body += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4"))
    return struct.pack(">BxI", 1, len(body)) + body


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def p_data(value: bytes, control: int, *, context: int = 1) -> bytes:
    return struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, context, control) + value


def store_command(
    uid: str | None = UID, sop_class: str = CT, *, context: int = 1, data_set_type: int = 1
) -> bytes:
    elements = us(0x0100, 1) + us(0x0110, 1) + us(0x0700, 0) + us(0x0800, data_set_type)
    instance = b"" if uid is None else ui(0x1000, uid)
    return p_data(command(ui(0x0002, sop_class) + elements + instance), 3, context=context)


def command(elements: bytes) -> bytes:
    return element(0, struct.pack("<I", len(elements))) + elements


def us(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


def ui(number: int, value: str) -> bytes:
    return element(number, value.encode() + b"\0" * (len(value) % 2))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value
