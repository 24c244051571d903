"""One destination's courier: takes what is due there, sends it, writes down what came of it."""

import logging
import threading
import time
from typing import Final

from fontanelle import log
from fontanelle.errors import Code, Reason, Refused, Unavailable
from fontanelle.records import deliveries
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Dispatch
from fontanelle.records.files import FileStore
from fontanelle.settings import CourierSettings
from service.delivery.messages import Context
from service.delivery.outcomes import NotSent, Outcome, Sent, words
from service.delivery.sendable import Sendable, read_sendable
from service.delivery.store_scu import StoreScu
from service.delivery.wire import Peer

_log = logging.getLogger(__name__)
PATIENCE_S: Final = 1.0
"""Between two tries while the database is away."""
AT_ONCE: Final = 100
"""How many deliveries one transaction gives up."""


def lease_s(timeout_s: float) -> float:
    """Return how long a courier has an object in hand at most: connecting, sending, recording.

    Nothing is sent in the last quarter, so that whoever takes an object over is its only sender.
    """
    return 4 * timeout_s


def back_off_s(attempt: int, settings: CourierSettings) -> float | None:
    """Return after how long a failed attempt is followed by the next; None after the last one."""
    if attempt >= settings.attempts:
        return None
    # The exponent is bounded: a float ends at 2 to the 1023.
    doubled = settings.back_off_first_s * 2.0 ** min(attempt - 1, 60)
    return min(doubled, settings.back_off_most_s)


class DestinationCourier:
    """Delivers to one destination, one object at a time."""

    def __init__(
        self,
        name: str,
        peer: Peer,
        *,
        records: Records,
        store: FileStore,
        settings: CourierSettings,
        stopped: threading.Event,
    ) -> None:
        self.name = name
        self._peer = peer
        self._records = records
        self._store = store
        self._settings = settings
        self._stopped = stopped
        self._contexts: list[Context] = []
        self._scu = StoreScu(peer)
        self._moved_at_s = time.monotonic()

    @property
    def is_moving(self) -> bool:
        """Whether it came from one step to the next within the time that a step may take."""
        return time.monotonic() - self._moved_at_s <= 2 * lease_s(self._peer.timeout_s)

    def serve(self) -> None:
        """Deliver what becomes due until stopped; what is away is waited for."""
        is_away = False
        while not self._stopped.is_set():
            self._moved_at_s = time.monotonic()
            pause_s = PATIENCE_S
            try:
                self.round()
            except Unavailable as error:
                if not is_away:
                    log.failure(_log, "courier.waits", error, destination=self.name)
                is_away = True
            except Exception as error:  # noqa: BLE001 (outermost: this destination goes on)
                log.failure(_log, "courier.failed", error, destination=self.name)
                pause_s = self._settings.back_off_first_s
            else:
                is_away, pause_s = False, self._settings.poll_s
            self._stopped.wait(pause_s)

    def round(self) -> None:
        """Deliver everything that is due now, over one association as long as that holds.

        Raises
        ------
        Unavailable
            DATABASE_AWAY.
        """
        with StoreScu(self._peer, self._contexts) as self._scu:
            while not self._stopped.is_set():
                until_s = time.monotonic() + lease_s(self._peer.timeout_s) * 3 / 4
                dispatches = self._claim()
                if not dispatches:
                    return
                outcome = self._send(dispatches[0], until_s)
                self._record(dispatches[0], outcome)
                if isinstance(outcome, NotSent) and self._scu.is_hopeless:
                    # Each for itself would wait for the same silence: one after another for hours.
                    self._put_off_all(outcome.reason)
                    return

    def cut(self) -> None:
        """End at once what is waited for at the destination."""
        self._scu.cut()

    def _claim(self) -> list[Dispatch]:
        with self._records.begin() as session:
            return deliveries.claim(
                session, self.name, lease_s=lease_s(self._peer.timeout_s), limit=1
            )

    def _send(self, dispatch: Dispatch, until_s: float) -> Outcome:
        if dispatch.attempt > self._settings.attempts:
            return NotSent(Reason(Code.DESTINATION_SILENT, "The last attempt never ended."))
        try:
            instance = self._instance(dispatch)
        except (Refused, Unavailable) as error:
            return NotSent(error.reason)
        if instance.context not in self._contexts:
            self._contexts.append(instance.context)
        return self._scu.store(instance, until_s)

    def _instance(self, dispatch: Dispatch) -> Sendable:
        # Read once only to be sure that the bytes are still those that were made.
        self._store.read(dispatch.store_key)
        instance = read_sendable(self._store.path(dispatch.store_key))
        if instance is None:
            raise Unavailable(Code.FILE_MISSING, "A stored file is no DICOM file.")
        return instance

    def _record(self, dispatch: Dispatch, outcome: Outcome) -> None:
        """Write down what came of an attempt, also when the database has to be waited for."""
        while True:
            self._moved_at_s = time.monotonic()
            try:
                self._write(dispatch, outcome)
            except Unavailable:
                # Not lost when we are stopped: after its lease it is due again, same bytes.
                if self._stopped.wait(PATIENCE_S):
                    return
            else:
                break
        self._tell(dispatch, outcome)

    def _write(self, dispatch: Dispatch, outcome: Outcome) -> None:
        with self._records.begin() as session:
            if isinstance(outcome, Sent) and outcome.is_stored:
                deliveries.acknowledged(session, dispatch, outcome.status, words(outcome.status))
                return
            reason, status = _failure(outcome)
            again_in_s = back_off_s(dispatch.attempt, self._settings)
            if self._stopped.is_set() and again_in_s is not None:
                # We may have cut it short ourselves.
                again_in_s = 0.0
            deliveries.failed(session, dispatch, reason, status=status, again_in_s=again_in_s)

    def _tell(self, dispatch: Dispatch, outcome: Outcome) -> None:
        fields: log.Fields = {
            "delivery": dispatch.delivery_id,
            "destination": self.name,
            "attempt": dispatch.attempt,
        }
        if isinstance(outcome, Sent):
            fields["status"] = outcome.status
            if outcome.is_stored:
                log.event(_log, "delivery.acknowledged", **fields)
                return
        fields["code"] = _failure(outcome)[0].code
        log.warning(_log, "delivery.failed", **fields)

    def _put_off_all(self, reason: Reason) -> None:
        """Give what else is due the same outcome."""
        while not self._stopped.is_set():
            with self._records.begin() as session:
                rest = deliveries.claim(
                    session, self.name, lease_s=lease_s(self._peer.timeout_s), limit=AT_ONCE
                )
                for each in rest:
                    again_in_s = back_off_s(each.attempt, self._settings)
                    deliveries.failed(session, each, reason, status=None, again_in_s=again_in_s)
            if len(rest) < AT_ONCE:
                return


def _failure(outcome: Outcome) -> tuple[Reason, int | None]:
    if isinstance(outcome, NotSent):
        return outcome.reason, None
    sentence = f"The destination answered {words(outcome.status)}."
    return Reason(Code.DESTINATION_STATUS, sentence), outcome.status
