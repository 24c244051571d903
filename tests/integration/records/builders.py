"""Rows made in the way the product makes them, and a look at what became of them.

Series, studies and instances go by small numbers: UIDs are derived from them.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Reason, Unavailable
from fontanelle.lifecycle import AnalysisState
from fontanelle.records import analyses, deliveries, intake, leases
from fontanelle.records import series as series_records
from fontanelle.records.database import Records
from fontanelle.records.deliveries import Dispatch, Plan
from fontanelle.records.intake import Received
from fontanelle.records.leases import Ending, NewObject, Work
from fontanelle.records.series import SeriesDecision
from fontanelle.records.tooling import Tooling

T = TypeVar("T")

TOOLS: Final = Tooling("toddler", "a" * 64, "xi2025", "b" * 64)
OTHER_TOOLS: Final = Tooling("toddler", "c" * 64, "xi2025", "b" * 64)
AT_ONCE: Final = Plan("pacs", ("segmentation", "structured_report"), after_review=False)
AFTER_REVIEW: Final = Plan("archive", ("segmentation",), after_review=True)
BETTER: Final = Reason(Code.SELECTION_BETTER, "Series 2 has thinner slices.")
BUG: Final = Reason(Code.ANALYSIS_BUG, Code.ANALYSIS_BUG.meaning)
AWAY: Final = Reason(Code.DESTINATION_AWAY, "Nobody listens there.")
LEASE_S: Final = 60.0
LIMIT: Final = 3
PATIENCE_S: Final = 60.0
"""How long a test waits for what is certain to come."""


def study_uid(study: int) -> str:
    return f"1.2.{study}"


def series_uid(series: int) -> str:
    return f"1.2.0.{series}"


def received(number: int, *, series: int = 1, study: int = 1, **changes: Any) -> Received:
    """Return the instance of a number, as its header says."""
    made = Received(
        spool_key=f"instances/{number}.dcm",
        sop_instance_uid=f"1.2.0.0.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256=f"{number:064x}",
        size_bytes=525_000,
        study_instance_uid=study_uid(study),
        series_instance_uid=series_uid(series),
        patient_id="4711",
        issuer="HOSPITAL",
        patient_digest="d" * 64,
        accession_number=f"A{study}",
        study_date="20250102",
        modality="CT",
        series_number=str(series),
        description="Head",
        source="SCANNER",
        quiet_period_s=0.0,
    )
    return replace(made, **changes)


def conflict(number: int, code: Code, copy: int = 1) -> intake.Conflict:
    """Return what was kept beside the instance of a number."""
    return intake.Conflict(
        f"conflicts/{number}.{copy}.dcm", f"1.2.0.0.{number}", "e" * 64, 525_000, code, "SCANNER"
    )


def arrive(records: Records, *numbers: int, **changes: Any) -> int:
    """Index instances; return how many were new."""
    with records.begin() as session:
        return intake.index(session, [received(number, **changes) for number in numbers])


def series_id(records: Records, series: int = 1) -> int:
    with records.begin() as session:
        return series_records.by_uid(session, series_uid(series))[0].series_id


def study_id(records: Records, study: int = 1) -> int:
    return int(
        value(records, "SELECT id FROM study WHERE study_instance_uid = :uid", uid=study_uid(study))
    )


def close(records: Records) -> list[int]:
    with records.begin() as session:
        return series_records.close_quiet(session)


def decide(records: Records, *chosen: int, study: int = 1) -> bool:
    """Decide on all series of a study as they are now: those of these numbers are selected."""
    with records.begin() as session:
        found = series_records.complete_series(session, study_id(records, study))
        uids = [series_uid(number) for number in chosen]
        decisions = [
            SeriesDecision(
                each.series_id,
                each.revision,
                each.series_instance_uid in uids,
                () if each.series_instance_uid in uids else (BETTER,),
            )
            for each in found
        ]
        return series_records.decide(session, study_id(records, study), decisions)


def selected(records: Records, series: int = 1, study: int = 1, first: int = 1) -> int:
    """Have a series of two instances arrive, end and be selected; return its id."""
    arrive(records, first, first + 1, series=series, study=study)
    close(records)
    assert decide(records, series, study=study)
    return series_id(records, series)


def queue(
    records: Records, series_row: int, revision: int = 1, tools: Tooling = TOOLS, **more: Any
) -> int:
    with records.begin() as session:
        return analyses.queue(session, series_row, revision, tools, by="dispatcher", **more)


def queued(records: Records, series: int = 1, study: int = 1, first: int = 1) -> int:
    """Return an analysis that waits, of a series of its own."""
    return queue(records, selected(records, series, study, first))


def claim(records: Records, analysis_id: int, *, owner: str = "worker@a:1") -> Work:
    with records.begin() as session:
        work = leases.claim(session, analysis_id, owner=owner, lease_s=LEASE_S)
    assert work is not None
    return work


def running(records: Records, series: int = 1, study: int = 1, first: int = 1) -> Work:
    """Return what a worker has taken, of a series of its own."""
    return claim(records, queued(records, series, study, first))


def objects(work: Work) -> tuple[NewObject, ...]:
    """Return the files of a result: two of them DICOM."""
    lease = work.lease
    unique = f"{lease.analysis_id}.{lease.fence}"
    return (
        NewObject("segmentation", "segmentation.dcm", f"2.25.1.{unique}", "ff/1", "1" * 64, 10),
        NewObject("structured_report", "report.dcm", f"2.25.2.{unique}", "ff/2", "2" * 64, 20),
        NewObject("report", "report.json", None, "ff/3", "3" * 64, 30),
    )


def ending(work: Work, *codes: Code, state: AnalysisState = AnalysisState.SUCCEEDED) -> Ending:
    return Ending(
        state=state,
        fitness="limited" if codes else "full",
        reasons=tuple(Reason(code, code.meaning) for code in codes),
        report_json='{"patient": {"age_days": 730}}',
        objects=objects(work) if state is AnalysisState.SUCCEEDED else (),
    )


def finish(records: Records, work: Work, *codes: Code, plans: Sequence[Plan] = (AT_ONCE,)) -> None:
    with records.begin() as session:
        leases.finish(session, work.lease, ending(work, *codes), plans)


def succeeded(
    records: Records, *codes: Code, plans: Sequence[Plan] = (AT_ONCE,), **where: int
) -> int:
    """Return an analysis that ended with a result, of a series of its own."""
    work = running(records, **where)
    finish(records, work, *codes, plans=plans)
    return work.lease.analysis_id


def give_up(records: Records, work: Work) -> AnalysisState:
    with records.begin() as session:
        return leases.give_up(session, work.lease, BUG, attempts=LIMIT)


def failed(records: Records, **where: int) -> int:
    """Return an analysis that failed at its last attempt."""
    analysis_id = queued(records, **where)
    for _attempt in range(LIMIT):
        give_up(records, claim(records, analysis_id))
    return analysis_id


def sweep(records: Records) -> list[tuple[int, AnalysisState]]:
    with records.begin() as session:
        return leases.sweep(session, attempts=LIMIT)


def take(records: Records, destination: str = "pacs", limit: int = 20) -> list[Dispatch]:
    """Let a courier take what is due at a destination."""
    with records.begin() as session:
        return deliveries.claim(session, destination, lease_s=LEASE_S, limit=limit)


def seen(records: Records, analysis_id: int) -> analyses.AnalysisSeen:
    with records.begin() as session:
        return analyses.get(session, analysis_id)


def states(records: Records, analysis_id: int) -> list[tuple[str, Code | None]]:
    """Return state and reason of each delivery of an analysis, in the order of their making."""
    with records.begin() as session:
        found = deliveries.page(session, analysis_id=analysis_id)
    return [(each.state, each.reason.code if each.reason else None) for each in reversed(found)]


def events(records: Records, subject: str, subject_id: int) -> list[tuple[str | None, str]]:
    """Return the moves of a row, the oldest first."""
    with records.begin() as session:
        rows = session.execute(
            text(
                "SELECT before, after FROM event"
                " WHERE subject = :subject AND subject_id = :id ORDER BY id"
            ),
            {"subject": subject, "id": subject_id},
        )
        return [(row.before, row.after) for row in rows]


def value(records: Records, statement: str, **parameters: object) -> Any:
    """Return the one value that a statement finds."""
    with records.begin() as session:
        return session.execute(text(statement), parameters).scalar_one()


def change(records: Records, statement: str, **parameters: object) -> None:
    """Change rows behind the product's back: lets time pass without waiting."""
    with records.begin() as session:
        session.execute(text(statement), parameters)


def run_out(records: Records, table: str, row_id: int) -> None:
    """Let the lease of a row run out."""
    change(
        records,
        f"UPDATE {table} SET lease_until = now() - interval '1 s' WHERE id = :id",  # noqa: S608
        id=row_id,
    )


def is_lost(records: Records, act: Callable[[Session], object]) -> bool:
    """Tell whether what a worker does is refused because its lease is gone."""
    try:
        with records.begin() as session:
            act(session)
    except Unavailable as error:
        return error.reason.code is Code.LEASE_LOST
    return False


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Do things in threads that start together; return what they returned, or raise."""
    barrier = threading.Barrier(len(acts))
    done: list[Future[T]] = [Future() for _ in acts]

    def do(act: Callable[[], T], future: Future[T]) -> None:
        try:
            barrier.wait(PATIENCE_S)
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            future.set_exception(error)

    # Daemons: one that hangs fails its test and holds up nothing else.
    for act, future in zip(acts, done, strict=True):
        threading.Thread(target=do, args=(act, future), daemon=True).start()
    return [future.result(PATIENCE_S) for future in done]


@contextmanager
def in_background(act: Callable[[], T]) -> Iterator[Future[T]]:
    """Do something in a thread while the context is open."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(act)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)


def waiting(records: Records) -> int:
    """Return how many transactions wait for a lock that another one holds."""
    return int(
        value(
            records,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    )
