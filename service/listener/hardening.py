"""pynetdicom 3.0.4 made fit for peers that are slow, silent, broken or many, and made fast.

By subclassing; association control, C-ECHO, release and abort stay with its state machine. On an
established association a P-DATA-TF PDU is read here, into one buffer that is used again and again,
and goes to the `Reception`, which answers at once from the same thread. A test pins the version.

Each association has two threads: the upper layer's (`UpperLayer`), the only one that touches the
socket, and the association's own (`HardenedAssociation`), which negotiates and ends. Both wait for
something to happen, where pynetdicom's look a thousand times a second.
"""

import logging
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from pynetdicom import evt
from pynetdicom.acse import ACSE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AddressInformation, AssociationSocket

from fontanelle.log import failure, warning
from service.listener.commands import Malformed
from service.listener.reception import Reception

if TYPE_CHECKING:
    from pynetdicom.pdu_primitives import A_ASSOCIATE

WRITTEN_FOR: Final = "3.0.4"
"""The version of pynetdicom whose insides are known here."""
CONTROL_LIMIT_BYTES: Final = 131072
"""Longest PDU that is no P-DATA-TF: 128 presentation contexts of 20 transfer syntaxes fit."""

_P_DATA: Final = 4
_PDU_HEADER: Final = struct.Struct(">BxI")
_ESTABLISHED, _CLOSING, _IDLE = "Sta6", "Sta13", "Sta1"
_PATIENCE_SLICES: Final = 30
_LEAST_BYTES_PER_S: Final = 1024
_WAIT_S: Final = 0.1
_LINGER_S: Final = 0.5
_log = logging.getLogger(__name__)


class TooSlow(Exception):
    """The peer said nothing, or next to nothing, for too long."""


class Gone(Exception):
    """The connection ended, or was ended by us."""


class HardenedSocket(AssociationSocket):
    """A connection whose every wait has an end.

    The kernel hands over what came after at most a slice of the time that a peer has; who sends
    nothing for all slices, or less than a least number of bytes in them, is too slow. Only time
    spent waiting counts: a disk of ours that is slow is not held against the peer.
    """

    def __init__(
        self, association: "HardenedAssociation", connection: socket.socket, timeout_s: float
    ) -> None:
        super().__init__(association, client_socket=connection)
        self._connection = connection
        slice_s = timeout_s / _PATIENCE_SLICES
        interval = struct.pack("ll", int(slice_s), int(slice_s % 1 * 1e6) or 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)
        seconds = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        self._least_bytes = int(_LEAST_BYTES_PER_S * timeout_s)
        self._silent = 0
        self._slices = 0
        self._bytes = 0
        self._pushed_back = bytearray()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self.wait_s: Callable[[], float] = lambda: _WAIT_S
        self.is_given_up: Callable[[], bool] = lambda: False

    @property
    def ready(self) -> bool:
        """Wait a little for data, or for the connection to end; no limit on descriptors."""
        if self.socket is None or not self._is_connected:
            return False
        return bool(self._pushed_back) or bool(self._poll.poll(1000 * self.wait_s()))

    def read_into(self, view: memoryview) -> None:
        """Fill the view.

        Raises
        ------
        TooSlow, Gone
        """
        filled = 0
        while filled < len(view):
            try:
                count = self._connection.recv_into(view[filled:], 0, socket.MSG_WAITALL)
            except (BlockingIOError, InterruptedError):
                count = -1
            except OSError as error:
                raise Gone from error
            if count == 0 or self.is_given_up():
                raise Gone
            filled += max(count, 0)
            self._bytes += max(count, 0)
            if filled < len(view):
                self._another_slice(is_silent=count < 0)
        self._silent = 0

    def begin_message(self) -> None:
        """Give the peer its whole time again."""
        self._silent = self._slices = self._bytes = 0

    def _another_slice(self, *, is_silent: bool) -> None:
        self._silent = self._silent + 1 if is_silent else 0
        self._slices += 1
        if self._silent >= _PATIENCE_SLICES:
            raise TooSlow
        if self._slices >= _PATIENCE_SLICES:
            if self._bytes < self._least_bytes:
                raise TooSlow
            self._slices = self._bytes = 0

    def push_back(self, content: bytes) -> None:
        """Have `recv` give these bytes."""
        self._pushed_back += content

    def recv(self, nr_bytes: int) -> bytearray:
        """Return what was pushed back; what comes from outside is read by `read_into`."""
        content = self._pushed_back[:nr_bytes]
        del self._pushed_back[:nr_bytes]
        return content

    def hang_up(self) -> None:
        """Close so that what we said last is heard: bytes left unread would have it thrown away."""
        end_s = monotonic() + _LINGER_S
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while (rest_s := end_s - monotonic()) > 0 and self._poll.poll(1000 * rest_s):
                if not self._connection.recv(1 << 16):
                    break
        self.close()

    def _shutdown_socket(self) -> None:
        # pynetdicom's leaves the descriptor open where the peer was quicker.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class UpperLayer(DULServiceProvider):
    """The thread that reads and writes the connection."""

    def __init__(self, association: "HardenedAssociation") -> None:
        super().__init__(association)
        self._association = association
        self._reception: Reception | None = None
        self._buffer = memoryview(bytearray())
        self._is_answer_due = True
        self._run_loop_delay = 0
        self.to_user_queue = association.pace.queue()
        self.daemon = True

    def run_reactor(self) -> None:
        """Serve the connection to its end, and close it whatever happens."""
        connection = self._connection
        connection.wait_s = self._wait_s
        connection.is_given_up = self._is_given_up
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 (the outermost loop of this thread)
            failure(_log, "listener.association", error)
        finally:
            if self._reception is not None:
                self._reception.close()
            connection._shutdown_socket()  # noqa: SLF001 (ours)
            self._association.pace.stir()

    @property
    def is_amid_message(self) -> bool:
        """Tell whether more of a message has to come."""
        return self._reception is not None and self._reception.is_amid_message

    @property
    def _connection(self) -> HardenedSocket:
        return cast("HardenedSocket", self.socket)

    def _wait_s(self) -> float:
        # The association's thread owes an answer: look for it as often as pynetdicom does.
        return 0.001 if self._is_answer_due else _WAIT_S

    def _is_given_up(self) -> bool:
        return self._kill_thread or bool(self.to_provider_queue.queue)

    def _process_recv_primitive(self) -> bool:
        if self.state_machine.current_state in {_CLOSING, _IDLE}:
            # Too late: the state machine has no move for it.
            self.to_provider_queue.queue.clear()
            return False
        is_due = super()._process_recv_primitive()
        if is_due and self.state_machine.current_state == _ESTABLISHED:
            self._is_answer_due = False
        return is_due

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == _CLOSING:
            self._connection.hang_up()
            self.event_queue.put("Evt17")
            return True
        return super()._is_transport_event()

    def _read_pdu_data(self) -> None:
        try:
            self._connection.begin_message()
            while self._read_pdu():
                self._idle_timer.stop()
        except Gone:
            if not self._is_given_up():
                self.event_queue.put("Evt17")
        except (TooSlow, Malformed) as error:
            warning(_log, "listener.aborted", state=type(error).__name__)
            self.event_queue.put("Evt19")

    def _read_pdu(self) -> bool:
        """Read one PDU; tell whether the next one has to be awaited at once."""
        header = bytearray(_PDU_HEADER.size)
        self._connection.read_into(memoryview(header))
        kind, length = _PDU_HEADER.unpack(header)
        if kind == _P_DATA and self.state_machine.current_state == _ESTABLISHED:
            return self._take_data(length)
        if length > CONTROL_LIMIT_BYTES:
            raise Malformed("a PDU longer than any of its kind")
        body = bytearray(length)
        self._connection.read_into(memoryview(body))
        self._is_answer_due = True
        self._connection.push_back(header + body)
        super()._read_pdu_data()
        return False

    def _take_data(self, length: int) -> bool:
        if self._reception is None:
            self._reception = self._association.open_reception()
            self._buffer = memoryview(bytearray(self._association.limit_bytes))
        if length > len(self._buffer):
            raise Malformed("a P-DATA-TF PDU longer than was agreed")
        body = self._buffer[:length]
        self._connection.read_into(body)
        self._reception.take(body)
        return self._reception.is_amid_message

    def send_now(self, content: bytes) -> None:
        """Send from this thread. Where the peer is gone, the next read says so."""
        with suppress(OSError):
            self._connection.send(content)

    def pass_on(self, context_id: int, command: bytes) -> None:
        """Give a command without data set to pynetdicom."""
        primitive = P_DATA()
        primitive.presentation_data_value_list = [(context_id, b"\x03" + command)]
        self._is_answer_due = True
        self._association.dimse.receive_primitive(primitive)


class Pace(threading.Event):
    """Stands in for the event on which pynetdicom's association thread looks in every turn.

    Waiting for it lasts until there is something to do, or a little while.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stirred = threading.Event()

    def stir(self) -> None:
        """Have the association's thread look around."""
        self._stirred.set()

    def set(self) -> None:
        """Let it go on, and at once."""
        super().set()
        self._stirred.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something to do."""
        self._stirred.wait(_WAIT_S)
        self._stirred.clear()
        return super().wait(timeout)

    def queue(self) -> "queue.Queue[object]":
        """Return a queue that stirs when something is put."""
        return _StirringQueue(self)


class _StirringQueue(queue.Queue[object]):
    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 (the signature of the base)
        super().put(item, block, timeout)
        self._pace.stir()
