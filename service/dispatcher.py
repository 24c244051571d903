"""The role `dispatcher`: decides what is complete, which series is measured, and has it announced.

One loop; each step is a short transaction of its own, and one that fails stops no other. Due times
are rows: a dispatcher that was killed goes on where it was.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from celery import Celery
from kombu.exceptions import OperationalError

from fontanelle import log
from fontanelle.errors import Code, FontanelleError, Reason, Unavailable
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.records import analyses, leases, outbox, processes, series, tooling
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from fontanelle.records.series import CompleteSeries, SeriesDecision
from fontanelle.records.tooling import Tooling
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
SELDOM_S: Final = 2.0
"""Between two looks at what is no matter of tenths of a second: leases, and our sign of life."""
PATIENCE_S: Final = 1.0
"""Between two tries while something is away."""
BROKER_LIMIT_S: Final = 5.0
"""What the broker is given to take a message."""


class Dispatcher:
    """The steps, each callable by itself.

    Parameters
    ----------
    send
        Hands the id of an analysis to the broker, or raises Unavailable.
    """

    def __init__(
        self, records: Records, spool: Spool, send: Callable[[int], None], settings: Settings
    ) -> None:
        self._records = records
        self._spool = spool
        self._send = send
        self._settings = settings
        self._troubles: dict[str, str] = {}

    def serve(self, stopped: threading.Event) -> None:
        """Go round until stopped; what is away is waited for."""
        seldom_at_s = float("-inf")
        while not stopped.is_set():
            if time.monotonic() - seldom_at_s < SELDOM_S:
                is_well = self._take(self.close_quiet, self.select_quiet, self.announce)
            else:
                is_well = self.round()
                seldom_at_s = time.monotonic()
            stopped.wait(self._settings.dispatcher.poll_s if is_well else PATIENCE_S)

    def round(self) -> bool:
        """Take every step once; tell whether all went well."""
        return self._take(self.close_quiet, self.select_quiet, self.sweep, self.announce, self.beat)

    def close_quiet(self) -> None:
        """Close series to which nothing came for their quiet period."""
        with self._records.begin() as session:
            closed = series.close_quiet(session)
        for series_id in closed:
            log.event(_log, "series.complete", series=series_id)

    def select_quiet(self) -> None:
        """Decide on the oldest study to which nothing is coming any more.

        One a round: it is announced before the headers of the next are read.
        """
        with self._records.begin() as session:
            served = tooling.served(session)
            studies = series.quiet_studies(session)
        if served is None:
            # No worker has come up yet: what an analysis would be made with is not known.
            return
        trouble: Exception | None = None
        for study_id in studies:
            try:
                self._select(study_id, served)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 (one study that trips us delays no other)
                trouble = error
            else:
                return
        if trouble is not None:
            raise trouble

    def sweep(self) -> None:
        """Take analyses from workers that gave no sign."""
        with self._records.begin() as session:
            swept = leases.sweep(session, attempts=self._settings.worker.attempts)
        for analysis_id, state in swept:
            log.warning(_log, "analysis.swept", analysis=analysis_id, state=state)

    def announce(self) -> None:
        """Send a message for what waits, again where the last one may be lost.

        Raises
        ------
        Unavailable
            BROKER_AWAY; what was not sent is not marked as sent.
        """
        with self._records.begin() as session:
            waiting = outbox.to_send(
                session,
                again_s=self._settings.dispatcher.send_again_s,
                again_limit=SEND_AGAIN_AT_ONCE,
            )
        for analysis_id in waiting:
            self._send(analysis_id)
            with self._records.begin() as session:
                outbox.mark_sent(session, [analysis_id])
            log.event(_log, "analysis.announced", analysis=analysis_id)

    def beat(self) -> None:
        """Give a sign of life."""
        with self._records.begin() as session:
            processes.beat(session, ROLE)

    def _select(self, study_id: int, served: Tooling) -> None:
        """Decide on every series of a study, and queue an analysis of what is to be measured."""
        with self._records.begin() as session:
            found = series.complete_series(session, study_id)
        decisions = self._decisions(study_id, found)
        with self._records.begin() as session:
            if not series.decide(session, study_id, decisions):
                # Something came in since: the study has its turn again when it is quiet.
                return
            for each in decisions:
                if each.selected:
                    analyses.queue_selected(session, each.series_id, each.revision, served, by=ROLE)
        for each in decisions:
            log.event(
                _log,
                "series.selected" if each.selected else "series.not_selected",
                series=each.series_id,
                code=each.reasons[0].code if each.reasons else "none",
            )

    def _decisions(self, study_id: int, found: Sequence[CompleteSeries]) -> list[SeriesDecision]:
        try:
            return decisions_on(found, self._spool)
        except Exception as error:  # noqa: BLE001 (every series ends with a sentence)
            log.failure(_log, "study.selection_failed", error, study=study_id)
            reason = Reason(Code.ANALYSIS_BUG, Code.ANALYSIS_BUG.meaning)
            return [
                SeriesDecision(each.series_id, each.revision, selected=False, reasons=(reason,))
                for each in found
            ]

    def _take(self, *steps: Callable[[], None]) -> bool:
        """Take each step, whatever becomes of the others."""
        went_well = [self._went_well(step) for step in steps]
        return all(went_well)

    def _went_well(self, step: Callable[[], None]) -> bool:
        """Take a step; a trouble is logged when it begins, and not again while it lasts."""
        name = step.__name__
        try:
            step()
        except Exception as error:  # noqa: BLE001 (outermost of the loop: the next round tries again)
            event, trouble = "dispatcher.failed", type(error).__qualname__
            if isinstance(error, FontanelleError):
                event, trouble = "dispatcher.waits", str(error.reason.code)
            if self._troubles.get(name) != trouble:
                log.failure(_log, event, error)
            self._troubles[name] = trouble
            return False
        self._troubles.pop(name, None)
        return True


def run(settings: Settings) -> None:
    """Dispatch until SIGTERM."""
    log.configure(ROLE)
    keep_values_out_of_logs()
    stopped = until_stopped()
    with ExitStack() as stack:
        records = stack.enter_context(Records.open(secret(settings.database_url, "database_url")))
        dispatcher = Dispatcher(records, Spool(settings.spool), sender(settings), settings)
        log.event(_log, "dispatcher.ready")
        dispatcher.serve(stopped)
        with suppress(Unavailable), records.begin() as session:
            processes.leave(session, ROLE)


def sender(settings: Settings) -> Callable[[int], None]:
    """Return what hands a message to the broker, or raises Unavailable within seconds."""
    app = Celery(ROLE, broker=secret(settings.broker_url, "broker_url"), set_as_current=False)
    app.conf.update(
        broker_connection_timeout=BROKER_LIMIT_S,
        broker_transport_options={
            # Here the rows wait, and the loop has other things to do.
            "max_retries": 0,
            "socket_timeout": BROKER_LIMIT_S,
            "socket_connect_timeout": BROKER_LIMIT_S,
        },
        task_ignore_result=True,
    )

    def send(analysis_id: int) -> None:
        try:
            app.send_task(TASK, [analysis_id], queue=QUEUE, retry=False)
        except (OperationalError, OSError) as error:
            raise Unavailable(Code.BROKER_AWAY, Code.BROKER_AWAY.meaning) from error

    return send
