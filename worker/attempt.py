"""One attempt at one analysis: take the lease, measure, store, end it. Knows no Celery."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fontanelle import log
from fontanelle.clock import Clock
from fontanelle.errors import Code, FontanelleError, Reason, Unavailable
from fontanelle.imaging.selection import Decision
from fontanelle.lifecycle import AnalysisState, SeriesState
from fontanelle.norms.comparison import Tier
from fontanelle.norms.prematurity import CorrectionRule
from fontanelle.records import leases, references, serial
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Plan
from fontanelle.records.files import FileStore, Spool
from fontanelle.records.leases import Ending, Lease, NewObject, Work
from fontanelle.records.processes import process_name
from fontanelle.records.tooling import Tooling
from fontanelle.reports.earlier import History, day, visit_of_report
from fontanelle.reports.withholding import redacted
from fontanelle.settings import ComparisonSettings, WorkerSettings
from worker.head_size import HeadChart
from worker.heartbeat import Heartbeat
from worker.pipeline import Outcome, Tools, analyse_series
from worker.reading import Question
from worker.shelf import Shelf
from worker.terms import Terms

_log = logging.getLogger(__name__)
RETRY_S: Final = 0.5
"""Between two tries to write an ending while the database is away."""
BUG: Final = Reason(Code.ANALYSIS_BUG, Code.ANALYSIS_BUG.meaning)


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What an attempt needs.

    Attributes
    ----------
    tools
        With the reference that was served when this process started.
    head_chart
        The site's own, where its settings name one.
    shelf
        References that came since.
    """

    records: Records
    spool: Spool
    store: FileStore
    tools: Tools
    plans: Sequence[Plan]
    heartbeat: Heartbeat
    settings: WorkerSettings
    clock: Clock
    comparison: ComparisonSettings = ComparisonSettings()
    head_chart: HeadChart | None = None
    shelf: Shelf = field(default_factory=Shelf)
    is_stopped: Callable[[], bool] = lambda: False
    """Tells whether this process was told to end."""

    def run(self, analysis_id: int) -> None:
        """Work on an analysis if it waits for somebody; whatever happens, its row says so."""
        try:
            work = self._claimed(analysis_id)
        except Exception as error:  # noqa: BLE001 (outermost: nothing was taken)
            # The dispatcher announces it again.
            log.failure(_log, "analysis.not_taken", error, analysis=analysis_id)
            return
        if work is None:
            return
        lease = work.lease
        log.event(_log, "analysis.taken", analysis=analysis_id, attempt=lease.attempt)
        with self.heartbeat.holding(lease):
            self._end(lease, self._measured(work))

    def _claimed(self, analysis_id: int) -> Work | None:
        newer = self.shelf.follow(self.records, self.settings.reference, tooling_of(self.tools))
        if newer is not None:
            log.event(_log, "worker.reference", reference=newer)
        with self.records.begin() as session:
            return leases.claim(
                session,
                analysis_id,
                owner=process_name(leases.WORKER),
                lease_s=self.settings.lease_s,
            )

    def _measured(self, work: Work) -> Ending | Reason:
        """Return what was found, or why the attempt failed by our fault."""
        try:
            tools = self._tools_for(work)
            question = replace(
                _question(work, tools), history=self._history(work), terms=self._terms(tools)
            )
            return self._stored(analyse_series(self._files(work), tools, question, self.clock))
        except FontanelleError as error:
            log.failure(_log, "analysis.attempt_failed", error, analysis=work.lease.analysis_id)
            return error.reason
        except Exception as error:  # noqa: BLE001 (outermost of an attempt: the row must end)
            log.failure(_log, "analysis.attempt_failed", error, analysis=work.lease.analysis_id)
            return BUG

    def _history(self, work: Work) -> History:
        """Return what the records know of the child's scans up to the day of this one."""
        with self.records.begin() as session:
            present = serial.present(session, work.series_id)
            stored = serial.earlier(session, work.series_id)
        return History(
            day(present.study_date),
            present.is_patient_in_doubt,
            tuple(
                visit_of_report(
                    each.report,
                    each.analysis_id,
                    each.study_date,
                    is_patient_in_doubt=each.is_patient_in_doubt,
                )
                for each in stored
            ),
        )

    def _terms(self, tools: Tools) -> Terms:
        """Return how well the site is known by now, and what its settings say."""
        with self.records.begin() as session:
            site = references.site(session, tools.reference, tools.package.sha256)
        tier = None if self.comparison.tier is None else Tier(self.comparison.tier)
        correction = CorrectionRule.of(self.comparison)
        return Terms(correction=correction, tier=tier, head_chart=self.head_chart).at(site)

    def _tools_for(self, work: Work) -> Tools:
        """Return the tools with the reference that the analysis was asked for with."""
        if work.package_sha256 != self.tools.package.sha256:
            raise Unavailable(
                Code.PACKAGE_UNKNOWN,
                "The analysis was asked for with another package than is served.",
            )
        if work.reference_version == self.tools.reference.version:
            return self.tools
        found = self.shelf.reference(self.records, work.reference_version)
        return replace(self.tools, reference=found)

    def _files(self, work: Work) -> list[Path]:
        """Return the files of the series; one that is gone is no fault of the series."""
        files = [self.spool.path(instance.spool_key) for instance in work.instances]
        missing = sum(not file.is_file() for file in files)
        if missing:
            raise Unavailable(
                Code.FILE_MISSING,
                f"{missing} of {len(files)} instances of the series are no longer on the spool.",
            )
        return files

    def _stored(self, outcome: Outcome) -> Ending:
        """Put the files into the store; until the ending is written nobody knows of them."""
        # Lists show the first reason: of a withheld result no number may stand in it.
        result = redacted(outcome.result)
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

    def _end(self, lease: Lease, found: Ending | Reason) -> None:
        """Write how an attempt ended, unless the lease was lost."""
        try:
            state = self._written(lease, found)
        except Unavailable as error:
            _note(lease, "analysis.not_ours", found, error.reason.code)
        except Exception as error:  # noqa: BLE001 (outermost of an attempt: the row must end)
            log.failure(_log, "analysis.not_written", error, analysis=lease.analysis_id)
            if found is not BUG:
                self._end(lease, BUG)
            # Else the lease runs out, and the dispatcher's sweep ends it.
        else:
            _note(lease, "analysis.ended", found, state)

    def _written(self, lease: Lease, found: Ending | Reason) -> AnalysisState:
        """Write an ending, waiting for a database that is away: it took long to make."""
        is_away = False
        while True:
            try:
                with self.records.begin() as session:
                    if isinstance(found, Reason):
                        attempts = self.settings.attempts
                        return leases.give_up(session, lease, found, attempts=attempts)
                    return leases.finish(session, lease, found, self.plans)
            except Unavailable as error:
                # Who is to end waits no longer: after its lease comes another attempt.
                if error.reason.code is not Code.DATABASE_AWAY or self.is_stopped():
                    raise
                if not is_away:
                    log.failure(_log, "analysis.waits", error, analysis=lease.analysis_id)
                is_away = True
                time.sleep(RETRY_S)


def tooling_of(tools: Tools) -> Tooling:
    """Return what a worker with these tools serves."""
    package, reference = tools.package, tools.reference
    return Tooling(package.name, package.sha256, reference.id, reference.version)


def _question(work: Work, tools: Tools) -> Question:
    valid = tools.reference.validity
    return Question(
        (valid.age_days_min, valid.age_days_max),
        gestational_age_weeks=work.gestational_age_weeks,
        head_circumference_cm=work.head_circumference_cm,
        series_revision=work.series_revision,
        decisions=_decisions(work),
    )


def _decisions(work: Work) -> tuple[Decision, ...]:
    """Return what was decided of each series of the study; of one just arriving nothing was."""
    return tuple(
        Decision(each.series_instance_uid, not each.reasons, each.reasons)
        for each in work.series
        if each.reasons or each.state is SeriesState.SELECTED or each.series_id == work.series_id
    )


def _note(lease: Lease, event: str, found: Ending | Reason, state: str) -> None:
    log.event(
        _log,
        event,
        analysis=lease.analysis_id,
        attempt=lease.attempt,
        fence=lease.fence,
        state=state,
        fitness=(isinstance(found, Ending) and found.fitness) or "none",
    )
