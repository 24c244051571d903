"""One association as C-STORE SCU on a blocking socket.

pynetdicom's own Association polls from two threads, never gives up on a peer that stops reading,
and sends a message in as many writes as it has PDUs: 23 to 350 instances of 525 KB a second where
this one sends 950 to 1,700 (to dcmtk's storescp on loopback).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final, Self

from fontanelle.errors import Code, Refused
from service.delivery import messages
from service.delivery.messages import Context, Malformed
from service.delivery.sendable import Sendable
from service.delivery.wire import Ended, Peer, Wire

RELEASE_LIMIT_S: Final = 5.0
"""Everything is answered by then: a peer that does not let go is left."""
_BLOCK_BYTES: Final = 1 << 20
_FRAGMENT_LIMIT: Final = 1 << 18
_SHORTER: Final = "A file became shorter since it was looked at."


class Association:
    """An established association."""

    def __init__(self, wire: Wire, accepted: messages.Accepted) -> None:
        self._wire = wire
        self._accepted = accepted
        self._message_id = 0
        self._buffer = memoryview(bytearray(_BLOCK_BYTES))

    @classmethod
    def request(
        cls, peer: Peer, contexts: Sequence[Context], until_s: float = float("inf")
    ) -> Self:
        """Connect and agree on contexts, at most 128.

        Raises
        ------
        Ended
            DESTINATION_AWAY, DESTINATION_REFUSED or DESTINATION_SILENT.
        """
        wire = Wire.connect(peer, until_s)
        with wire.closed_on_error():
            wire.send(
                messages.association_request(peer.ae_title, peer.calling_ae_title, contexts),
                until_s,
            )
            kind, body = wire.read(until_s)
            if kind == messages.REJECT:
                raise Ended(
                    Code.DESTINATION_REFUSED,
                    f"The destination {messages.rejection_words(body)}.",
                )
            if kind != messages.ACCEPT:
                raise wire.unexpected(kind, body)
            return cls(wire, messages.read_acceptance(body, contexts, _FRAGMENT_LIMIT))

    def takes(self, context: Context) -> bool:
        """Tell whether the peer accepted this context."""
        return context in self._accepted.contexts

    def store(self, instance: Sendable, until_s: float = float("inf")) -> int:
        """Send one instance, its data set's bytes as they lie in the file; return the status.

        Raises
        ------
        Ended
            The peer aborted, went away or was silent; the association is closed.
        Refused
            INPUT_UNREADABLE where the file cannot be read; where that comes in the middle the
            association is closed too.
        """
        context_id = self._accepted.contexts[instance.context]
        self._message_id = self._message_id % 0xFFFF + 1
        command = messages.command_pdus(
            messages.store_request(
                self._message_id, instance.sop_class_uid, instance.sop_instance_uid
            ),
            context_id,
            self._accepted.fragment_bytes,
        )
        with _opened(instance) as (file, size_bytes), self._wire.closed_on_error():
            for block in self._blocks(command, context_id, file, size_bytes):
                self._wire.send(block, until_s)
            return self._answer(context_id, until_s)

    def _blocks(
        self, command: bytes, context_id: int, file: BinaryIO, size_bytes: int
    ) -> Iterator[memoryview]:
        """Give the message in blocks of whole PDUs: few writes, and little memory."""
        view, fragment_bytes = self._buffer, self._accepted.fragment_bytes
        at = len(command)
        view[:at] = command
        while size_bytes:
            length = min(fragment_bytes, size_bytes)
            if at + messages.PDV.size + length > len(view):
                yield view[:at]
                at = 0
            size_bytes -= length
            flags = 0 if size_bytes else messages.LAST
            messages.PDV.pack_into(
                view, at, messages.DATA, length + 6, length + 2, context_id, flags
            )
            at += messages.PDV.size
            _read_into(file, view[at : at + length])
            at += length
        yield view[:at]

    def _answer(self, context_id: int, until_s: float) -> int:
        # One limit for the whole answer: a peer that sends it byte by byte is not waited for.
        until_s = min(until_s, time.monotonic() + self._wire.timeout_s)
        command = bytearray()
        while True:
            kind, body = self._wire.read(until_s)
            if kind != messages.DATA:
                raise self._wire.unexpected(kind, body)
            for found_id, flags, part in messages.values_of(body):
                if found_id != context_id or not flags & messages.COMMAND:
                    raise Malformed
                command += part
                if flags & messages.LAST:
                    return messages.status_of(bytes(command), self._message_id)
            if len(command) > messages.RECEIVE_LIMIT:
                raise Malformed

    def release(self) -> None:
        """Take leave, whether the peer answers or not, and close."""
        until_s = time.monotonic() + RELEASE_LIMIT_S
        with suppress(Ended, Malformed):
            self._wire.send(messages.RELEASE, until_s)
            while self._wire.read(until_s)[0] not in {messages.RELEASE_RP, messages.ABORT}:
                pass
        self._wire.close()

    def cut(self) -> None:
        """End at once whatever another thread waits for on this association."""
        self._wire.cut()


@contextmanager
def _opened(instance: Sendable) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file at its data set; give its size from there on."""
    try:
        file = instance.path.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(error) from None
    with file:
        size_bytes = file.seek(0, 2) - instance.offset_bytes
        if size_bytes <= 0:
            raise Refused(Code.INPUT_UNREADABLE, _SHORTER)
        file.seek(instance.offset_bytes)
        yield file, size_bytes


def _read_into(file: BinaryIO, view: memoryview) -> None:
    while view:
        try:
            count = file.readinto(view)  # type: ignore[attr-defined]
        except OSError as error:
            raise _unreadable(error) from None
        if not count:
            raise Refused(Code.INPUT_UNREADABLE, _SHORTER)
        view = view[count:]


def _unreadable(error: OSError) -> Refused:
    return Refused(
        Code.INPUT_UNREADABLE, f"A file or folder cannot be read ({type(error).__name__})."
    )
