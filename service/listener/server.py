"""The listening socket, and the lobby in which connections wait until they have said something.

A connection gets threads with its first byte, not before: who connects and says nothing costs one
descriptor for a few seconds, and where there are many such, the oldest has to go.
"""

import logging
import selectors
import socket
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, cast

from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationServer

from fontanelle.log import failure
from service.listener.association import HardenedAssociation, Terms

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity

LOBBY_LIMIT: Final = 256
"""So many connections may wait without having said anything."""
BUSY_RESERVE: Final = 32
"""So many more than may be associated may be negotiating, or hearing that they may not."""

_TURN_S: Final = 0.2
_PAUSE_S: Final = 0.05
_KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_log = logging.getLogger(__name__)


class HardenedServer(AssociationServer):
    """Accepts connections, and makes associations of those that speak."""

    request_queue_size = 128

    def __init__(
        self,
        ae: "ApplicationEntity",
        address: tuple[str, int],
        contexts: list[PresentationContext],
        terms: Terms,
        maximum_associations: int,
    ) -> None:
        super().__init__(ae, address, ae.ae_title, contexts)
        self._listening = cast("socket.socket", self.socket)
        self._terms = terms
        self._busy_limit = maximum_associations + BUSY_RESERVE
        self._lobby: dict[socket.socket, tuple[AddressInformation, float]] = {}
        self._busy: set[HardenedAssociation] = set()
        self._busy_lock = threading.Lock()
        self._is_stopping = False
        self._thread = threading.Thread(target=self.serve_forever, name="listener", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self.server_address[1]

    @property
    def busy(self) -> list[HardenedAssociation]:
        """The associations that there are, and those that are being negotiated."""
        with self._busy_lock:
            return list(self._busy)

    def forget(self, association: HardenedAssociation) -> None:
        """Count an association no more."""
        with self._busy_lock:
            self._busy.discard(association)

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Accept nobody any more, let each finish the instance in hand, and abort."""
        self._is_stopping = True
        self._thread.join()
        self.server_close()
        end_s = monotonic() + grace_s
        while monotonic() < end_s and any(each.upper_layer.is_amid_message for each in self.busy):
            sleep(_PAUSE_S)
        for association in self.busy:
            association.end()
        while self.busy:
            sleep(_PAUSE_S)

    def serve_forever(self, poll_interval: float = _TURN_S) -> None:
        """Accept, until stopped."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            while not self._is_stopping:
                try:
                    self._turn(selector, poll_interval)
                except Exception as error:  # noqa: BLE001 (the outermost loop of this thread)
                    failure(_log, "listener.accept", error)
                    sleep(_PAUSE_S)
            for connection in self._lobby:
                connection.close()
            self._lobby.clear()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection that never waits for ever, nor for a delayed acknowledgement."""
        connection, address = self._listening.accept()
        connection.setblocking(True)  # noqa: FBT003
        for level, option, value in _KEEP_ALIVE:
            connection.setsockopt(level, option, value)
        return connection, address

    def _turn(self, selector: selectors.BaseSelector, wait_s: float) -> None:
        for key, _ in selector.select(wait_s):
            if key.fileobj is self._listening:
                self._accept(selector)
            elif key.fileobj in self._lobby:
                self._let_in(selector, key.fileobj)
        self._clear_lobby(selector)

    def _accept(self, selector: selectors.BaseSelector) -> None:
        connection, address = self.get_request()
        if len(self._lobby) >= LOBBY_LIMIT:
            self._turn_out(selector, next(iter(self._lobby)))
        self._lobby[connection] = AddressInformation.from_tuple(address), monotonic()
        selector.register(connection, selectors.EVENT_READ)

    def _clear_lobby(self, selector: selectors.BaseSelector) -> None:
        oldest_s = monotonic() - self._terms.negotiation_s
        for connection in [each for each, (_, at_s) in self._lobby.items() if at_s < oldest_s]:
            self._turn_out(selector, connection)

    def _turn_out(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        selector.unregister(connection)
        del self._lobby[connection]
        connection.close()

    def _let_in(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        address, _ = self._lobby[connection]
        if not _has_spoken(connection) or len(self._busy) >= self._busy_limit:
            self._turn_out(selector, connection)
            return
        selector.unregister(connection)
        del self._lobby[connection]
        self._associate(connection, address)

    def _associate(self, connection: socket.socket, address: AddressInformation) -> None:
        association = None
        try:
            association = HardenedAssociation(self.ae, self, self._terms, connection, address)
            with self._busy_lock:
                self._busy.add(association)
            association.start()
        except (OSError, RuntimeError) as error:
            # The peer reset the connection, or there are no more threads to be had.
            failure(_log, "listener.associate", error)
            connection.close()
            if association is not None:
                self.forget(association)


def _has_spoken(connection: socket.socket) -> bool:
    """Tell a first byte from an end: a port check connects and goes."""
    with suppress(OSError):
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    return False
