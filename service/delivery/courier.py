"""The role `courier`: takes stored results to their destinations until it is told to stop.

One thread a destination, so that a dead one delays no other. What is due, and what came of each
attempt, are rows; a courier that was killed goes on where it was, with the same bytes.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from fontanelle import log
from fontanelle.errors import Code, Reason, Unavailable
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.lifecycle import DeliveryState
from fontanelle.records import deliveries, processes
from fontanelle.records.database import Records
from fontanelle.records.files import LocalStore
from fontanelle.settings import Settings, secret
from service.delivery.destination import AT_ONCE, DestinationCourier, lease_s
from service.delivery.wire import Peer
from service.signals import until_stopped

_log = logging.getLogger(__name__)
ROLE: Final = "courier"
BEAT_S: Final = 1.0


def run(settings: Settings) -> None:
    """Deliver until SIGTERM; what is in hand is finished, or due again at the next start."""
    log.configure(ROLE)
    keep_values_out_of_logs()
    stopped = until_stopped()
    with ExitStack() as stack:
        url = secret(settings.database_url, "database_url")
        records = stack.enter_context(Records.open(url, connections=len(settings.destinations) + 1))
        couriers = couriers_of(settings, records, stopped)
        threads = {each: threading.Thread(target=each.serve, daemon=True) for each in couriers}
        for thread in threads.values():
            thread.start()
        log.event(_log, "courier.ready", count=len(couriers))
        oversee(couriers, records, settings, stopped)
        end(threads, settings.supervisor.stop_s)
        with suppress(Unavailable), records.begin() as session:
            processes.leave(session, ROLE)


def couriers_of(
    settings: Settings, records: Records, stopped: threading.Event
) -> list[DestinationCourier]:
    """Return one courier for each destination of the settings."""
    store = LocalStore(settings.results)
    return [
        DestinationCourier(
            each.name,
            Peer(
                each.ae_title,
                each.host,
                each.port,
                each.calling_ae_title or settings.listener.ae_title,
                settings.courier.timeout_s,
            ),
            records=records,
            store=store,
            settings=settings.courier,
            stopped=stopped,
        )
        for each in settings.destinations
    ]


def oversee(
    couriers: Sequence[DestinationCourier],
    records: Records,
    settings: Settings,
    stopped: threading.Event,
) -> None:
    """Give signs of life while every courier moves, and give up what nobody would deliver."""
    is_away = False
    while not stopped.is_set():
        try:
            if all(each.is_moving for each in couriers):
                with records.begin() as session:
                    processes.beat(session, ROLE)
            give_up_unknown(records, {each.name for each in couriers}, settings.courier.timeout_s)
            is_away = False
        except Unavailable as error:
            if not is_away:
                log.failure(_log, "courier.waits", error)
            is_away = True
        except Exception as error:  # noqa: BLE001 (outermost: the couriers go on)
            log.failure(_log, "courier.failed", error)
        stopped.wait(BEAT_S)


def give_up_unknown(records: Records, known: set[str], timeout_s: float) -> None:
    """End what is due at destinations that the settings do not name any more."""
    with records.begin() as session:
        due = deliveries.page(session, state=DeliveryState.DUE, limit=AT_ONCE)
        for name in {each.destination for each in due} - known:
            reason = Reason(Code.DESTINATION_UNKNOWN, Code.DESTINATION_UNKNOWN.meaning)
            for each in deliveries.claim(session, name, lease_s=lease_s(timeout_s), limit=AT_ONCE):
                deliveries.failed(session, each, reason, status=None, again_in_s=None)


def end(threads: Mapping[DestinationCourier, threading.Thread], stop_s: float) -> None:
    """Wait for what is in hand; after half of the time cut it short, and soon leave it."""
    until_s = time.monotonic() + stop_s / 2
    for thread in threads.values():
        thread.join(max(0.0, until_s - time.monotonic()))
    for courier, thread in threads.items():
        if thread.is_alive():
            courier.cut()
    until_s += stop_s / 4
    for thread in threads.values():
        thread.join(max(0.0, until_s - time.monotonic()))
