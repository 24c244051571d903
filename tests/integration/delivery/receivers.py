"""Receivers for tests: pynetdicom's, answering as told, and bare sockets that misbehave."""

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE, _config, evt
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from service.delivery.wire import Peer

HOST = "127.0.0.1"
AE_TITLE = "RECEIVER"
LIMIT_S = 30.0
"""Generous: what a test waits for comes much sooner."""


@dataclass
class Received:
    """What came, in order: UID and the data set's bytes."""

    instances: list[tuple[str, bytes]] = field(default_factory=list)
    associations: list[str] = field(default_factory=list)
    """The calling AE title of each."""

    @property
    def uids(self) -> list[str]:
        """UIDs in the order in which they came."""
        return [uid for uid, _ in self.instances]


@dataclass(frozen=True)
class Receiver:
    """A running receiver."""

    port: int
    received: Received

    def peer(self, timeout_s: float = LIMIT_S, ae_title: str = AE_TITLE) -> Peer:
        """Return how to reach it."""
        return Peer(ae_title, HOST, self.port, "SENDER", timeout_s)


@contextmanager
def receiver(
    status: Callable[[str], int] | int = 0x0000,
    *,
    contexts: Iterable[tuple[str, list[str]]] = (
        (CTImageStorage, [ExplicitVRLittleEndian, JPEGLosslessSV1]),
    ),
    maximum_pdu: int = 16382,
    maximum_associations: int = 10,
    port: int = 0,
) -> Iterator[Receiver]:
    """Serve C-STORE with pynetdicom; `status` is the answer, or says it for each UID."""
    received = Received()

    def on_store(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        received.instances.append((uid, event.request.DataSet.getvalue()))
        return status if isinstance(status, int) else status(uid)

    def on_accepted(event: evt.Event) -> None:
        received.associations.append(event.assoc.requestor.ae_title)

    ae = AE(AE_TITLE)
    ae.require_called_aet = True
    ae.maximum_pdu_size = maximum_pdu
    ae.maximum_associations = maximum_associations
    ae.network_timeout = LIMIT_S
    for sop_class, syntaxes in contexts:
        ae.add_supported_context(sop_class, syntaxes)
    before, _config.LOG_HANDLER_LEVEL = _config.LOG_HANDLER_LEVEL, "none"
    server = ae.start_server(
        (HOST, port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, on_store), (evt.EVT_ACCEPTED, on_accepted)],
    )
    assert server is not None
    try:
        yield Receiver(server.socket.getsockname()[1], received)
    finally:
        server.shutdown()
        _config.LOG_HANDLER_LEVEL = before


class Connection:
    """The accepted end of a connection, for scripts that misbehave."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def read_pdu(self) -> bytes:
        """Return the next PDU, whole."""
        head = self._exactly(6)
        return head + self._exactly(struct.unpack(">L", head[2:])[0])

    def accept(self) -> None:
        """Answer an association request by taking all its contexts."""
        request = A_ASSOCIATE_RQ()
        request.decode(self.read_pdu())
        answer = request.to_primitive()
        answer.result = 0
        for context in answer.presentation_context_definition_list:
            context.result = 0
        answer.presentation_context_definition_results_list = (
            answer.presentation_context_definition_list
        )
        self.socket.sendall(A_ASSOCIATE_AC(answer).encode())

    def read_message(self) -> None:
        """Read P-DATA until a data set has ended."""
        while True:
            pdu = self.read_pdu()
            if pdu[11] == 2:  # The control header of its one value: the last of a data set.
                return

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self.socket.recv(size - len(found))
            if not part:
                raise ConnectionResetError
            found += part
        return found


@contextmanager
def misbehaving(script: Callable[[Connection], None]) -> Iterator[Receiver]:
    """Run a script for each connection; it is closed when the script returns."""
    received = Received()
    listener = socket.create_server((HOST, 0))
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            script(Connection(connection))

    def serve() -> None:
        with suppress(OSError):
            while not ended.is_set():
                connection, _ = listener.accept()
                connection.settimeout(LIMIT_S)
                received.associations.append("")
                threads.append(threading.Thread(target=serve_one, args=(connection,)))
                threads[-1].start()

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield Receiver(listener.getsockname()[1], received)
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (server, *threads):
            thread.join(LIMIT_S)
            assert not thread.is_alive()
