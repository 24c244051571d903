"""One attempt at one analysis: take the lease, measure, store, end it. Knows no Celery."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fontanelle import log
from fontanelle.clock import Clock
from fontanelle.errors import Code, FontanelleError, Reason, Unavailable
from fontanelle.imaging.selection import Decision
from fontanelle.lifecycle import AnalysisState, SeriesState
from fontanelle.records import leases
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import FileStore, Spool
from fontanelle.records.leases import Ending, Lease, NewObject, Work
from fontanelle.records.processes import process_name
from fontanelle.records.series import SeriesSeen
from fontanelle.settings import WorkerSettings
from worker.heartbeat import Heartbeat
from worker.pipeline import Outcome, Tools, analyse_series
from worker.reading import Question

_log = logging.getLogger(__name__)
RETRY_S: Final = 0.5
"""Between two tries to write an ending while the database is away."""


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What an attempt needs."""

    records: Records
    spool: Spool
    store: FileStore
    tools: Tools
    plans: Sequence[Plan]
    heartbeat: Heartbeat
    settings: WorkerSettings
    clock: Clock

    def run(self, analysis_id: int) -> None:
        """Work on an analysis if it waits for somebody; whatever happens, its row says so."""
        try:
            work = self._claimed(analysis_id)
        except Unavailable as error:
            # Not taken: the dispatcher announces it again when the database is back.
            log.failure(_log, "analysis.not_claimed", error, analysis=analysis_id)
            return
        if work is None:
            return
        with self.heartbeat.holding(work.lease):
            self._attempt(work)

    def _claimed(self, analysis_id: int) -> Work | None:
        with self.records.begin() as session:
            return leases.claim(
                session,
                analysis_id,
                owner=process_name(leases.WORKER),
                lease_s=self.settings.lease_s,
            )

    def _attempt(self, work: Work) -> None:
        started_s = self.clock.monotonic_s()
        lease = work.lease
        try:
            ending = self._measured(work)
        except FontanelleError as error:
            log.failure(_log, "analysis.attempt_failed", error, analysis=lease.analysis_id)
            self._give_up(lease, error.reason)
            return
        except Exception as error:  # noqa: BLE001 (outermost of an attempt: the row must end)
            log.failure(_log, "analysis.attempt_failed", error, analysis=lease.analysis_id)
            self._give_up(lease, Reason(Code.ANALYSIS_BUG, Code.ANALYSIS_BUG.meaning))
            return
        if self._finished(lease, ending):
            log.event(
                _log,
                "analysis.ended",
                analysis=lease.analysis_id,
                attempt=lease.attempt,
                state=ending.state,
                fitness=ending.fitness or "none",
                took_s=round(self.clock.monotonic_s() - started_s, 3),
            )

    def _measured(self, work: Work) -> Ending:
        package, reference = self.tools.package, self.tools.reference
        if (work.package_sha256, work.reference_version) != (package.sha256, reference.version):
            raise Unavailable(
                Code.PACKAGE_UNKNOWN,
                "The analysis was queued for another package or reference than this worker serves.",
            )
        valid = reference.validity
        question = Question(
            (valid.age_days_min, valid.age_days_max),
            series_revision=work.series_revision,
            decisions=tuple(_decision(series) for series in work.series),
        )
        files = [self.spool.path(instance.spool_key) for instance in work.instances]
        outcome = analyse_series(files, self.tools, question, self.clock)
        return self._stored(outcome)

    def _stored(self, outcome: Outcome) -> Ending:
        """Put the files into the store; until the ending is written nobody knows of them."""
        result = outcome.result
        return Ending(
            state=AnalysisState(result.state),
            fitness=result.fitness,
            reasons=result.reasons,
            report_json=outcome.report_json,
            objects=tuple(
                NewObject(
                    kind=file.kind,
                    name=name,
                    sop_instance_uid=file.sop_instance_uid,
                    store_key=stored.key,
                    sha256=stored.sha256,
                    size_bytes=stored.size_bytes,
                )
                for name, file in outcome.rendered.items()
                for stored in [self.store.put(file.content)]
            ),
        )

    def _finished(self, lease: Lease, ending: Ending) -> bool:
        """Write the ending, waiting for the database where it is away for a moment."""
        while True:
            try:
                with self.records.begin() as session:
                    leases.finish(session, lease, ending, self.plans)
            except Unavailable as error:
                if error.reason.code is Code.DATABASE_AWAY:
                    time.sleep(RETRY_S)
                    continue
                log.failure(_log, "analysis.lease_lost", error, analysis=lease.analysis_id)
                return False
            return True

    def _give_up(self, lease: Lease, reason: Reason) -> None:
        try:
            with self.records.begin() as session:
                leases.give_up(session, lease, reason, attempts=self.settings.attempts)
        except Unavailable as error:
            # The lease runs out by itself, and the dispatcher's sweep does the same.
            log.failure(_log, "analysis.not_given_up", error, analysis=lease.analysis_id)


def _decision(series: SeriesSeen) -> Decision:
    chosen = series.state is SeriesState.SELECTED
    return Decision(series.series_instance_uid, chosen, () if chosen else series.reasons)
