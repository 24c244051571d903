"""pynetdicom 3.0.4 made fit for peers that are slow, silent, broken or many, and made fast.

By subclassing; association control, C-ECHO, release and abort stay with its state machine. On an
established association a P-DATA-TF PDU is read here, into one buffer that is used again and again,
and goes to the `Reception`, which answers at once from the same thread. A test pins the version.

Each association has two threads: the upper layer's (`UpperLayer`), the only one that touches the
socket, and the association's own (`service.listener.association`), which negotiates and ends. Both
wait for something to happen, where pynetdicom's look a thousand times a second.
"""

import logging
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from fontanelle.log import failure, warning
from service.listener.commands import Malformed
from service.listener.reception import Reception

if TYPE_CHECKING:
    from pynetdicom.pdu_primitives import A_ABORT

    from service.listener.association import HardenedAssociation

WRITTEN_FOR: Final = "3.0.4"
"""The version of pynetdicom whose insides are known here."""
CONTROL_LIMIT_BYTES: Final = 131072
"""Longest PDU that is no P-DATA-TF: 128 presentation contexts of 20 transfer syntaxes fit."""

WAIT_S: Final = 0.1
"""How long a thread may not notice that the other one ended."""

_P_DATA: Final = 4
_PDU_HEADER: Final = struct.Struct(">BxI")
_ESTABLISHED, _CLOSING, _IDLE = "Sta6", "Sta13", "Sta1"
_SLICES: Final = 30
_LEAST_BYTES_PER_S: Final = 1024
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
        self._silent = self._slices = self._bytes = 0
        self._pushed_back = bytearray()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self.wait_s: Callable[[], float] = lambda: WAIT_S
        self.is_given_up: Callable[[], bool] = lambda: False
        self.have_patience(timeout_s)

    def have_patience(self, timeout_s: float) -> None:
        """Say how long the peer may take to send, and to take what we send."""
        _set_timeout(self._connection, socket.SO_RCVTIMEO, timeout_s / _SLICES)
        _set_timeout(self._connection, socket.SO_SNDTIMEO, timeout_s)
        self._least_bytes = int(_LEAST_BYTES_PER_S * timeout_s)

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

    def acknowledge(self) -> None:
        """Have what came acknowledged now. A sender with Nagle's algorithm on waits for that.

        dcmtk's is on, and writes headers by themselves: without this, the kernel's delayed
        acknowledgement makes each instance last 40 ms longer. The option does not last.
        """
        with suppress(OSError):
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def begin_message(self) -> None:
        """Give the peer its whole time again."""
        self._silent = self._slices = self._bytes = 0

    def _another_slice(self, *, is_silent: bool) -> None:
        self._silent = self._silent + 1 if is_silent else 0
        self._slices += 1
        if self._silent >= _SLICES:
            raise TooSlow
        if self._slices >= _SLICES:
            if self._bytes < self._least_bytes:
                raise TooSlow
            self._slices = self._bytes = 0

    def push_back(self, content: bytearray) -> None:
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
            # Who still waits for a request to associate hears that none will come.
            self.to_user_queue.put(cast("A_ABORT", None))

    @property
    def is_amid_message(self) -> bool:
        """Tell whether more of a message has to come."""
        return self._reception is not None and self._reception.is_amid_message

    @property
    def _connection(self) -> HardenedSocket:
        return cast("HardenedSocket", self.socket)

    def _wait_s(self) -> float:
        # The association's thread owes an answer: look for it as often as pynetdicom does.
        return 0.001 if self._is_answer_due else WAIT_S

    def _is_given_up(self) -> bool:
        return self._kill_thread or self._association.is_ending

    def _process_recv_primitive(self) -> bool:
        if self.state_machine.current_state in {_CLOSING, _IDLE}:
            # Too late: the state machine has no move for it.
            self.to_provider_queue.queue.clear()
            return False
        is_there = super()._process_recv_primitive()
        self._is_answer_due &= not is_there
        return is_there

    def _is_transport_event(self) -> bool:
        # pynetdicom waits for a peer's next move also where nobody would make one of ours any more.
        is_over = self._association.is_ending and not self.to_provider_queue.queue
        if is_over or self.state_machine.current_state == _CLOSING:
            self._connection.hang_up()
            self.event_queue.put("Evt17")
            return True
        return super()._is_transport_event()

    def _read_pdu_data(self) -> None:
        try:
            self._read_message()
            # Not by way of the reactor: it lets go of the processor between two turns.
            while self._is_next_message_there():
                self._read_message()
        except Gone:
            if not self._is_given_up():
                self.event_queue.put("Evt17")
        except (TooSlow, Malformed) as error:
            warning(_log, "listener.aborted", state=type(error).__name__)
            self.event_queue.put("Evt19")

    def _read_message(self) -> None:
        # From here to the answer, what takes time is either the peer's and seen to by
        # `read_into`, or our disk's.
        self._idle_timer.stop()
        self._connection.begin_message()
        while self._read_pdu():
            pass

    def _is_next_message_there(self) -> bool:
        """Wait a little for one, unless there is something to do for the reactor."""
        self._idle_timer.restart()
        is_wanted = self._is_answer_due or self._is_given_up() or self.to_provider_queue.queue
        return not is_wanted and self.event_queue.empty() and self._connection.ready

    def _read_pdu(self) -> bool:
        """Read one PDU; tell whether the next one has to be awaited at once."""
        header = bytearray(_PDU_HEADER.size)
        self._connection.read_into(memoryview(header))
        self._connection.acknowledge()
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
            self._connection.have_patience(self._association.timeout_s)
            self._buffer = memoryview(bytearray(self._association.limit_bytes))
        if length > len(self._buffer):
            raise Malformed("a P-DATA-TF PDU longer than was agreed")
        body = self._buffer[:length]
        self._connection.read_into(body)
        self._reception.take(body)
        if not self._reception.is_amid_message:
            return False
        self._connection.acknowledge()
        return True

    def send_now(self, content: bytes) -> None:
        """Send from this thread. Where the peer is gone, the next turn says so."""
        self._connection.send(content)

    def pass_on(self, context_id: int, command: bytes) -> None:
        """Give a command without data set to pynetdicom."""
        primitive = P_DATA()
        primitive.presentation_data_value_list = []
        primitive.presentation_data_value_list.append((context_id, b"\x03" + command))
        self._is_answer_due = True
        self._association.dimse.receive_primitive(primitive)


def _set_timeout(connection: socket.socket, option: int, timeout_s: float) -> None:
    # Zero would mean for ever.
    microseconds = max(int(timeout_s * 1e6), 1)
    value = struct.pack("ll", microseconds // 1_000_000, microseconds % 1_000_000)
    connection.setsockopt(socket.SOL_SOCKET, option, value)
