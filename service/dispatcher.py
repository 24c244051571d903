"""The role `dispatcher`: decides what is complete, which series is measured, and has it announced.

One loop; each step is a short transaction of its own, and one that fails stops no other. Due times
are rows: a dispatcher that was killed goes on where it was.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from celery import Celery
from kombu.exceptions import OperationalError

from fontanelle import log
from fontanelle.errors import Code, Reason, Unavailable
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.records import analyses, leases, outbox, processes, series, tooling
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from fontanelle.records.series import CompleteSeries, SeriesDecision
from fontanelle.settings import Settings, secret
from service.choosing import decisions_on
from service.signals import until_stopped

_log = logging.getLogger(__name__)
ROLE: Final = "dispatcher"
TASK: Final = "fontanelle.analyse"
QUEUE: Final = "analyses"
"""The worker's task and queue: the two meet in the database and by these names."""
SEND_AGAIN_AT_ONCE: Final = 4
"""How many of the oldest waiting analyses are announced again: more would only wait their turn."""
PATIENCE_S: Final = 1.0
"""Between two tries while the database or the broker is away."""


@dataclass(frozen=True, slots=True, eq=False)
class Dispatcher:
    """The steps, each callable by itself."""

    records: Records
    spool: Spool
    send: Callable[[int], None]
    settings: Settings

    def round(self) -> None:
        """Take every step once."""
        self.close_quiet()
        self.select_quiet()
        self.sweep()
        self.announce()
        with self.records.begin() as session:
            processes.beat(session, ROLE)

    def close_quiet(self) -> None:
        """Close series to which nothing came for their quiet period."""
        with self.records.begin() as session:
            closed = series.close_quiet(session)
        for series_id in closed:
            log.event(_log, "series.complete", series=series_id)

    def select_quiet(self) -> None:
        """Decide on the series of each study to which nothing is coming any more."""
        with self.records.begin() as session:
            studies = series.quiet_studies(session)
        for study_id in studies:
            self._select(study_id)

    def sweep(self) -> None:
        """Take analyses from workers that gave no sign."""
        with self.records.begin() as session:
            swept = leases.sweep(session, attempts=self.settings.worker.attempts)
        for analysis_id, state in swept:
            log.warning(_log, "analysis.swept", analysis=analysis_id, state=state)

    def announce(self) -> None:
        """Send a message for what waits, again where the last one may be lost.

        Raises
        ------
        Unavailable
            BROKER_AWAY; nothing is marked as sent.
        """
        with self.records.begin() as session:
            waiting = outbox.to_send(
                session,
                again_s=self.settings.dispatcher.send_again_s,
                again_limit=SEND_AGAIN_AT_ONCE,
            )
        for analysis_id in waiting:
            self.send(analysis_id)
            with self.records.begin() as session:
                outbox.mark_sent(session, [analysis_id])

    def _select(self, study_id: int) -> None:
        with self.records.begin() as session:
            served = tooling.served(session)
            found = series.complete_series(session, study_id)
        if served is None:
            # No worker has come up yet: what an analysis would be made with is not known.
            return
        decided = self._decisions(study_id, found)
        with self.records.begin() as session:
            if not series.decide(session, study_id, decided):
                return
            queued = [
                analyses.queue(session, each.series_id, each.revision, served, by=ROLE)
                for each in decided
                if each.selected
            ]
        for each in decided:
            log.event(
                _log,
                "series.selected" if each.selected else "series.not_selected",
                series=each.series_id,
                code=each.reasons[0].code if each.reasons else "none",
            )
        for analysis_id in queued:
            log.event(_log, "analysis.queued", analysis=analysis_id)

    def _decisions(self, study_id: int, found: Sequence[CompleteSeries]) -> list[SeriesDecision]:
        try:
            return decisions_on(found, self.spool)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 (one study that trips us delays no other)
            log.failure(_log, "study.selection_failed", error, study=study_id)
            reason = Reason(Code.ANALYSIS_BUG, Code.ANALYSIS_BUG.meaning)
            return [
                SeriesDecision(each.series_id, each.revision, selected=False, reasons=(reason,))
                for each in found
            ]


def run(settings: Settings) -> None:
    """Dispatch until SIGTERM."""
    log.configure(ROLE)
    keep_values_out_of_logs()
    with ExitStack() as stack:
        records = stack.enter_context(Records.open(secret(settings.database_url, "database_url")))
        dispatcher = Dispatcher(records, Spool(settings.spool), sender(settings), settings)
        stopped = until_stopped()
        log.event(_log, "dispatcher.ready")
        serve(dispatcher, stopped)
        with records.begin() as session:
            processes.leave(session, ROLE)


def serve(dispatcher: Dispatcher, stopped: threading.Event) -> None:
    """Go round until stopped; what is away is waited for."""
    away: Code | None = None
    while not stopped.is_set():
        try:
            dispatcher.round()
        except Unavailable as error:
            if error.reason.code is not away:
                log.failure(_log, "dispatcher.waits", error)
            away = error.reason.code
            stopped.wait(PATIENCE_S)
        else:
            away = None
            stopped.wait(dispatcher.settings.dispatcher.poll_s)


def sender(settings: Settings) -> Callable[[int], None]:
    """Return what hands a message to the broker, or raises Unavailable within seconds."""
    app = Celery(ROLE, broker=secret(settings.broker_url, "broker_url"))
    app.conf.update(
        broker_connection_timeout=2,
        broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2},
        task_ignore_result=True,
    )

    def send(analysis_id: int) -> None:
        try:
            app.send_task(TASK, [analysis_id], queue=QUEUE, retry=False)
        except (OperationalError, OSError) as error:
            raise Unavailable(Code.BROKER_AWAY, Code.BROKER_AWAY.meaning) from error

    return send
