"""A connection that carries DICOM upper layer PDUs, every wait with a limit."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from fontanelle.errors import Code, Reason
from service.delivery import messages
from service.delivery.messages import Malformed

_LAST_WORDS_S: Final = 1.0
_QUICK_ACKNOWLEDGE: Final = getattr(socket, "TCP_QUICKACK", None)


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we send to, and how we call ourselves."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    timeout_s: float
    """A peer that takes and says nothing for so long is given up."""


class Ended(Exception):
    """The association is over, or never came about."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(code)
        self.reason = Reason(code, sentence)


class Wire:
    """A connected socket that sends and reads whole PDUs."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._socket = connection
        self.timeout_s = timeout_s

    @classmethod
    def connect(cls, peer: Peer, until_s: float) -> Self:
        """Connect to the first of the host's addresses that answers."""
        try:
            connection = socket.create_connection(
                (peer.host, peer.port), timeout=_left_s(until_s, peer.timeout_s)
            )
            # Nagle's algorithm would hold back the end of each message until the peer has
            # acknowledged the rest, which it does 40 ms later.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, UnicodeError) as error:
            raise Ended(
                Code.DESTINATION_AWAY, f"No connection to the destination: {_word(error)}."
            ) from None
        return cls(connection, peer.timeout_s)

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Abort and close where anything is raised; a breach of protocol is an end as well."""
        try:
            yield
        except BaseException as error:
            self._abort()
            if isinstance(error, Malformed):
                raise Ended(
                    Code.DESTINATION_SILENT, "The destination broke the DICOM protocol."
                ) from None
            raise

    def send(self, content: bytes | memoryview, until_s: float) -> None:
        """Send all; the time limit begins anew with each part that the peer takes."""
        rest = memoryview(content)
        try:
            while rest:
                self._socket.settimeout(_left_s(until_s, self.timeout_s))
                rest = rest[self._socket.send(rest) :]
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise self._last_words(error) from None

    def read(self, until_s: float) -> tuple[int, bytes]:
        """Return type and body of the next PDU."""
        until_s = min(until_s, time.monotonic() + self.timeout_s)
        try:
            kind, length = struct.unpack(">BxL", self._exactly(6, until_s))
            if length > 2 * messages.RECEIVE_LIMIT:
                raise Malformed
            return kind, self._exactly(length, until_s)
        except TimeoutError:
            raise self._silent() from None
        except OSError as error:
            raise _closed(error) from None

    def unexpected(self, kind: int, body: bytes) -> Ended:
        """Return what to raise for a PDU that ends the association."""
        if kind == messages.ABORT:
            by = "its user" if body[2:3] == b"\0" else "its protocol machine"
            return Ended(
                Code.DESTINATION_SILENT, f"The destination aborted the association ({by})."
            )
        if kind == messages.RELEASE_RQ:
            self.send(messages.RELEASED, time.monotonic() + _LAST_WORDS_S)
            return Ended(Code.DESTINATION_SILENT, "The destination released the association early.")
        return Ended(Code.DESTINATION_SILENT, "The destination broke the DICOM protocol.")

    def cut(self) -> None:
        """Make pending and later calls fail; from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It is closed, or the peer was quicker.

    def close(self) -> None:
        """Close; twice is harmless."""
        self._socket.close()

    def _exactly(self, size: int, until_s: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            self._socket.settimeout(_left_s(until_s, self.timeout_s))
            # A peer with Nagle's algorithm on (dcmtk's default) that writes head and body of an
            # answer apart waits for our acknowledgement in between: 22 instances a second, not
            # 1,200. Linux forgets the option, so it is set before every read.
            if _QUICK_ACKNOWLEDGE is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGE, 1)
            part = self._socket.recv(size - len(found))
            if not part:
                raise ConnectionResetError
            found += part
        return bytes(found)

    def _last_words(self, error: OSError) -> Ended:
        """Return why the peer stopped taking: it may have said so before it closed."""
        try:
            kind, body = self.read(time.monotonic() + _LAST_WORDS_S)
        except (Ended, Malformed):
            return _closed(error)
        return self.unexpected(kind, body) if kind == messages.ABORT else _closed(error)

    def _silent(self) -> Ended:
        return Ended(
            Code.DESTINATION_SILENT,
            f"The destination gave no sign within {self.timeout_s:g} s.",
        )

    def _abort(self) -> None:
        try:
            self._socket.settimeout(_LAST_WORDS_S)
            self._socket.send(messages.ABORTED)
        except OSError:
            pass  # It is gone already.
        self.close()


def _left_s(until_s: float, timeout_s: float) -> float:
    """Return how long to wait at most; TimeoutError where no time is left."""
    left_s = min(timeout_s, until_s - time.monotonic())
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _closed(error: OSError) -> Ended:
    return Ended(
        Code.DESTINATION_SILENT, f"The destination closed the connection ({_word(error)})."
    )


def _word(error: OSError | UnicodeError) -> str:
    """Return the system's word for an error, without the names that its text may hold."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its host name is not known"
    if isinstance(error, TimeoutError):
        return "no answer"
    return (error.strerror or "closed").lower()
