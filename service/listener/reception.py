"""What one association is sending: fragments in, answers out. Knows bytes, not sockets.

C-STORE is taken here, fragment by fragment, into the intake; a C-ECHO is passed on; nothing else
was negotiated, and whoever sends it breaks the protocol.
"""

import logging
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fontanelle.errors import Code, Reason
from fontanelle.log import failure
from service.listener.commands import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_STORE_RQ,
    LIMIT_BYTES,
    Command,
    Malformed,
    read_command,
    store_answer,
)
from service.listener.intake import Arrival, Intake, NotKept, Outcome, Peer, Request

_PDV: Final = struct.Struct(">IBB")
_COMMAND, _LAST = 1, 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context; `stores` tells whether instances may come under it."""

    abstract_syntax_uid: str
    transfer_syntax_uid: str
    stores: bool
    needs_pixels: bool


Answered = Callable[[Outcome], tuple[int, str]]
"""The status of an outcome, and what to say beside it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a reception needs of its association: who is there, and how to answer."""

    peer: Peer
    contexts: Mapping[int, Context]
    limit_bytes: int
    send: Callable[[bytes], None]
    pass_on: Callable[[int, bytes], None]


class Reception:
    """The messages of one association, in the order in which they come."""

    __slots__ = ("_answered", "_command", "_context_id", "_intake", "_line", "_storing")

    def __init__(self, line: Line, intake: Intake, answered: Answered) -> None:
        self._line = line
        self._intake = intake
        self._answered = answered
        self._context_id = 0
        self._command: bytearray | None = None
        self._storing: tuple[Command, Arrival] | None = None

    @property
    def is_amid_message(self) -> bool:
        """Tell whether more of a message has to come."""
        return self._command is not None or self._storing is not None

    def take(self, body: memoryview) -> None:
        """Take the presentation data values of one P-DATA-TF PDU (PS3.8 9.3.5).

        Raises
        ------
        Malformed
            The peer breaks the protocol.
        """
        if not body:
            raise Malformed("a P-DATA-TF PDU without a fragment")
        offset = 0
        while offset < len(body):
            if offset + _PDV.size > len(body):
                raise Malformed("a P-DATA-TF PDU that ends within a fragment's length")
            length, context_id, control = _PDV.unpack_from(body, offset)
            end = offset + 4 + length
            if length < 2 or end > len(body):
                raise Malformed("a fragment that is longer than its PDU, or has no header")
            self._fragment(context_id, control, body[offset + _PDV.size : end])
            offset = end

    def close(self) -> None:
        """Let go of what had begun to come."""
        if self._storing is not None:
            self._storing[1].close()
            self._storing = None
        self._command = None

    def _fragment(self, context_id: int, control: int, value: memoryview) -> None:
        if self.is_amid_message and context_id != self._context_id:
            raise Malformed("a message under two presentation contexts")
        self._context_id = context_id
        if control & _COMMAND:
            self._take_command(value, is_last=bool(control & _LAST))
        else:
            self._take_data(value, is_last=bool(control & _LAST))

    def _take_command(self, value: memoryview, *, is_last: bool) -> None:
        if self._storing is not None:
            raise Malformed("a command amid a data set")
        command = self._command = self._command or bytearray()
        command += value
        if len(command) > LIMIT_BYTES:
            raise Malformed(f"a command set of more than {LIMIT_BYTES} bytes")
        if is_last:
            self._command = None
            self._begin(read_command(bytes(command)), bytes(command))

    def _begin(self, request: Command, encoded: bytes) -> None:
        context = self._line.contexts.get(self._context_id)
        if context is None:
            raise Malformed("a presentation context that was not accepted")
        if request.field == C_STORE_RQ and context.stores:
            arrival = self._intake.begin(_announced(request, context, self._line.peer))
            self._storing = request, arrival
            if not request.has_data_set:
                self._finish(request, arrival)
        elif request.field == C_ECHO_RQ and not request.has_data_set:
            self._line.pass_on(self._context_id, encoded)
        elif request.field != C_CANCEL_RQ or request.has_data_set:
            raise Malformed("an operation that was not negotiated")

    def _take_data(self, value: memoryview, *, is_last: bool) -> None:
        if self._storing is None:
            raise Malformed("a data set without a command")
        request, arrival = self._storing
        arrival.write(value)
        if is_last:
            self._finish(request, arrival)

    def _finish(self, request: Command, arrival: Arrival) -> None:
        self._storing = None
        status, comment = self._answered(_outcome(arrival))
        limit_bytes = self._line.limit_bytes
        self._line.send(store_answer(self._context_id, request, status, comment, limit_bytes))


def _outcome(arrival: Arrival) -> Outcome:
    with arrival:
        try:
            return arrival.finish()
        except Exception as error:  # noqa: BLE001 (a fault of ours is this instance's alone)
            failure(_log, "listener.store", error, code=Code.SPOOL_ERROR)
            return NotKept(Reason(Code.SPOOL_ERROR, "An error of ours."))


def _announced(request: Command, context: Context, peer: Peer) -> Request:
    return Request(
        peer=peer,
        abstract_syntax_uid=context.abstract_syntax_uid,
        transfer_syntax_uid=context.transfer_syntax_uid,
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        needs_pixels=context.needs_pixels,
    )
