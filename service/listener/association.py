"""The thread of an association that negotiates and ends it, and who is let in."""

import logging
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from fontanelle.errors import Code
from fontanelle.log import failure
from service.listener.hardening import WAIT_S, HardenedSocket, UpperLayer
from service.listener.intake import Peer
from service.listener.reception import Context, Line, Reception

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from service.listener.server import HardenedServer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is rejected, and the three numbers of PS3.8 table 9-21 that say so."""

    code: Code
    result: int
    source: int
    diagnostic: int


CALLING_UNKNOWN: Final = (1, 1, 3)
CALLED_UNKNOWN: Final = (1, 1, 7)
LOCAL_LIMIT: Final = (2, 3, 2)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms associations are had.

    Attributes
    ----------
    negotiation_s
        From connection to A-ASSOCIATE-RQ.
    timeout_s
        What an associated peer may be silent.
    classes
        The abstract syntaxes that are negotiated, with whether instances may come under them and
        whether those need pixels.
    enter, leave
        Asks whether a peer may; each that was let in leaves once.
    refused
        Is told what was refused to whom.
    receive
        Makes the reception of an association.
    """

    negotiation_s: float
    timeout_s: float
    limit_bytes: int
    classes: Mapping[str, tuple[bool, bool]]
    enter: Callable[[Peer], Rejection | None]
    leave: Callable[[Peer], None]
    refused: Callable[[Peer, Code], None]
    receive: Callable[[Line], Reception]


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
        self._stirred.wait(WAIT_S)
        self._stirred.clear()
        return super().wait(timeout)


class _StirringQueue(queue.Queue):  # type: ignore[type-arg]
    """Wakes the association's thread with each item."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        super().put(item, block, timeout)
        self._pace.stir()


class HardenedACSE(ACSE):
    """Lets in whom the terms let in, before anything is negotiated."""

    def _negotiate_as_acceptor(self) -> None:
        association = cast("HardenedAssociation", self.assoc)
        rejection = association.enter()
        if rejection is None:
            super()._negotiate_as_acceptor()
            association.tell_what_was_refused()
            return
        self.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        evt.trigger(association, evt.EVT_REJECTED, {})
        association.kill()


class HardenedAssociation(Association):
    """An association as acceptor, on our terms."""

    def __init__(
        self,
        ae: "ApplicationEntity",
        server: "HardenedServer",
        terms: Terms,
        connection: socket.socket,
        address: AddressInformation,
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self._server = server
        self._terms = terms
        self._entered: Peer | None = None
        self.pace = Pace()
        self.pace.set()
        self._reactor_checkpoint = self.pace
        self.dimse.msg_queue = _StirringQueue(self.pace)
        self.acse = HardenedACSE(self)
        self.upper_layer = UpperLayer(self)
        self.upper_layer.to_user_queue = _StirringQueue(self.pace)
        self.dul = self.upper_layer
        # These reach into the upper layer: once more, for the new one.
        self.acse_timeout = terms.negotiation_s
        self.network_timeout = terms.timeout_s
        self.set_socket(HardenedSocket(self, connection, terms.negotiation_s))
        self.acceptor.maximum_length = terms.limit_bytes
        self.acceptor.ae_title = server.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        self.acceptor.implementation_class_uid = ae.implementation_class_uid
        self.acceptor.implementation_version_name = ae.implementation_version_name
        # Not copied, as pynetdicom does at some cost: negotiation only reads it.
        self.acceptor.supported_contexts = server.contexts
        self.requestor.address_info = address

    @property
    def timeout_s(self) -> float:
        """What the peer may be silent."""
        return self._terms.timeout_s

    @property
    def limit_bytes(self) -> int:
        """The longest P-DATA-TF PDU that it may send."""
        return self._terms.limit_bytes

    @property
    def is_ending(self) -> bool:
        """Tell whether this side has given the association up."""
        return self._kill or self._sent_abort

    def run_reactor(self) -> None:
        """Live, and leave nothing behind."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 (the outermost loop of this thread)
            failure(_log, "listener.association", error)
        finally:
            self._kill = True
            self.upper_layer.join()
            if self._entered is not None:
                self._terms.leave(self._entered)
            cast("HardenedServer", self._server).forget(self)

    def end(self) -> None:
        """Abort, without waiting for it."""
        if self.is_established:
            self.abort(block=False)
        else:
            self._kill = True

    def enter(self) -> Rejection | None:
        """Ask whether the peer may come in."""
        peer = self._peer()
        rejection = self._terms.enter(peer)
        if rejection is None:
            self._entered = peer
        else:
            self._terms.refused(peer, rejection.code)
        return rejection

    def tell_what_was_refused(self) -> None:
        """Tell where a class of ours came in no transfer syntax of ours, or nothing was of ours.

        Some senders offer every class that there is with each association: that is no event.
        """
        accepted = {context.abstract_syntax for context in self.accepted_contexts}
        rejected = {str(context.abstract_syntax) for context in self.rejected_contexts}
        if not accepted or self._terms.classes.keys() & rejected - accepted:
            self._terms.refused(self._peer(), Code.CONTEXT_REFUSED)

    def open_reception(self) -> Reception:
        """Return what takes the messages of this association."""
        contexts = {number: self._context(context) for number, context in self._accepted_cx.items()}
        line = Line(
            self._peer(),
            contexts,
            self.requestor.maximum_length or 0,
            self.upper_layer.send_now,
            self.upper_layer.pass_on,
        )
        return self._terms.receive(line)

    def _peer(self) -> Peer:
        request = cast("A_ASSOCIATE", self.requestor.primitive)
        return Peer(
            (request.calling_ae_title or "").strip(),
            (request.called_ae_title or "").strip(),
            self.requestor.address,
        )

    def _context(self, accepted: PresentationContext) -> Context:
        abstract_syntax_uid = str(accepted.abstract_syntax)
        stores, needs_pixels = self._terms.classes[abstract_syntax_uid]
        transfer_syntax_uid = str(accepted.transfer_syntax[0])
        return Context(abstract_syntax_uid, transfer_syntax_uid, stores, needs_pixels)
