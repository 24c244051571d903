"""The role `worker`: takes analyses one by one until it is told to stop."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Final, TypeVar

from celery.worker import state

from fontanelle import log
from fontanelle.errors import Code, Unavailable
from fontanelle.records import leases, processes
from fontanelle.records.database import Records
from fontanelle.settings import Settings, secret
from worker.app import listening
from worker.composition import choose, installed, register
from worker.heartbeat import Heartbeat

T = TypeVar("T")

_log = logging.getLogger(__name__)
PATIENCE_S: Final = 1.0
"""Between two tries while the database is away."""


def run(settings: Settings) -> None:
    """Work until SIGTERM: what is in hand is finished, the rest waits for the next worker."""
    log.configure(leases.WORKER)
    _stop_on_signals()
    with ExitStack() as stack:
        records = stack.enter_context(Records.open(secret(settings.database_url, "database_url")))
        # Entered first, left last: no heartbeat comes after the farewell.
        stack.callback(_leave, records)
        heartbeat = Heartbeat(records, settings.worker)
        chosen = _once_there(lambda: choose(settings, records))
        if chosen is None:
            log.event(_log, "worker.ended", exit=os.EX_OK)
            return
        tools = stack.enter_context(installed(settings, records, heartbeat, chosen)).tools
        _once_there(lambda: register(records, tools))
        # The first sign of life: nobody shall believe a worker ready that is not warm.
        stack.enter_context(heartbeat)
        engine = tools.engine.description.provider
        broker_url = secret(settings.broker_url, "broker_url")
        controller = listening(broker_url, lambda _: log.event(_log, "worker.ready", engine=engine))
        controller.start()
    log.event(_log, "worker.ended", exit=controller.exitcode or os.EX_OK)
    if controller.exitcode:
        raise SystemExit(controller.exitcode)


def _leave(records: Records) -> None:
    with suppress(Unavailable), records.begin() as session:
        processes.leave(session, leases.WORKER)


def _stop_on_signals() -> None:
    """Have Celery stop as soon as nothing is in hand."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        state.should_stop = os.EX_OK  # type: ignore[assignment]

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _once_there(act: Callable[[], T]) -> T | None:
    """Do something as soon as the database is there; None where the process was told to end."""
    is_away = False
    while state.should_stop is None:
        try:
            return act()
        except Unavailable as error:
            if error.reason.code is not Code.DATABASE_AWAY:
                raise
            if not is_away:
                log.failure(_log, "worker.waits", error)
            is_away = True
            time.sleep(PATIENCE_S)
    return None
