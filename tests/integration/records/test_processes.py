"""Signs of life, what nobody has taken although it was due, and how many are where."""

from fontanelle.errors import Code
from fontanelle.records import intake, outbox, processes
from fontanelle.records.database import Records
from fontanelle.records.processes import Overdue, Overview
from tests.integration.records.builders import (
    AFTER_REVIEW,
    AT_ONCE,
    arrive,
    change,
    claim,
    close,
    conflict,
    failed,
    queued,
    running,
    succeeded,
    take,
)


def beat(records: Records, role: str = "worker", analysis_id: int | None = None) -> None:
    with records.begin() as session:
        processes.beat(session, role, analysis_id=analysis_id)


def beats(records: Records) -> list[processes.Beat]:
    with records.begin() as session:
        return processes.beats(session)


def overdue(records: Records) -> Overdue:
    with records.begin() as session:
        return processes.overdue(session)


def overview(records: Records) -> Overview:
    with records.begin() as session:
        return processes.overview(session)


def test_a_process_is_seen_by_its_beats(records: Records) -> None:
    beat(records)
    change(records, "UPDATE process SET beat_at = now() - interval '100 s'")
    (found,) = beats(records)
    assert (found.role, found.name) == ("worker", processes.process_name("worker"))
    assert 99 < found.silent_s < 3600

    beat(records)
    (found,) = beats(records)
    assert found.silent_s < 99


def test_a_worker_is_seen_to_work_and_for_how_long(records: Records) -> None:
    analysis_id = running(records).lease.analysis_id
    change(records, "UPDATE analysis SET started_at = now() - interval '50 s'")

    beat(records, analysis_id=analysis_id)
    (found,) = beats(records)
    assert found.analysis_id == analysis_id
    assert found.working_s is not None and 50 <= found.working_s < 3600

    beat(records)
    (found,) = beats(records)
    assert (found.analysis_id, found.working_s) == (None, None)


def test_who_leaves_takes_itself_and_the_long_silent_from_the_table(records: Records) -> None:
    for role in ("courier", "listener", "worker"):
        beat(records, role)
    change(
        records,
        "UPDATE process SET beat_at = now() - interval '2 h', name = 'gone' WHERE role = 'courier'",
    )
    assert [each.role for each in beats(records)] == ["listener", "worker"]

    with records.begin() as session:
        processes.leave(session, "worker")

    assert [each.role for each in beats(records)] == ["listener"]
    change(records, "UPDATE process SET beat_at = now()")
    assert [each.role for each in beats(records)] == ["listener"]


def test_nothing_is_overdue_where_nothing_is_there(records: Records) -> None:
    assert overdue(records) == Overdue(None, None, None, None)


def test_a_series_is_overdue_from_its_due_time_on(records: Records) -> None:
    arrive(records, 1, quiet_period_s=3600.0)
    assert overdue(records).series_s is None

    change(records, "UPDATE series SET due_at = now() - interval '30 s'")
    found = overdue(records).series_s
    assert found is not None and 30 <= found < 3600

    close(records)
    assert overdue(records).series_s is None


def test_an_announcement_is_overdue_until_it_is_sent(records: Records) -> None:
    analysis_id = queued(records)
    assert overdue(records).outbox_s is not None

    with records.begin() as session:
        outbox.mark_sent(session, [analysis_id])

    assert overdue(records).outbox_s is None


def test_a_queued_analysis_waits_its_turn_behind_a_running_one(records: Records) -> None:
    first = queued(records, 1, 1, 10)
    queued(records, 2, 2, 20)
    change(records, "UPDATE analysis SET queued_at = now() - interval '1 h'")
    found = overdue(records).analysis_s
    assert found is not None and found >= 3600

    claim(records, first)
    assert overdue(records).analysis_s is None


def test_a_queued_analysis_counts_from_the_last_ones_end_and_from_the_last_workers_start(
    records: Records,
) -> None:
    succeeded(records, series=1, study=1, first=10)
    queued(records, 2, 2, 20)
    change(records, "UPDATE analysis SET queued_at = now() - interval '3 h'")
    change(records, "UPDATE analysis SET ended_at = now() - interval '2 h' WHERE ended_at < now()")
    found = overdue(records).analysis_s
    assert found is not None and 7200 <= found < 10800

    beat(records)
    change(records, "UPDATE process SET started_at = now() - interval '1 h'")
    found = overdue(records).analysis_s
    assert found is not None and 3600 <= found < 7200


def test_a_delivery_is_overdue_when_its_time_has_come_and_nobody_took_it(
    records: Records,
) -> None:
    succeeded(records, plans=[AT_ONCE])
    change(records, "UPDATE delivery SET due_at = now() + interval '1 h'")
    assert overdue(records).delivery_s is None

    change(records, "UPDATE delivery SET due_at = now() - interval '30 s'")
    found = overdue(records).delivery_s
    assert found is not None and found >= 30

    take(records)
    assert overdue(records).delivery_s is None


def test_the_overview_counts_what_is_where(records: Records) -> None:
    succeeded(records, series=1, study=1, first=10, plans=[AT_ONCE, AFTER_REVIEW])
    failed(records, series=2, study=2, first=20)
    queued(records, 3, 3, 30)
    arrive(records, 40, series=4, study=4)
    with records.begin() as session:
        intake.add_conflict(session, conflict(10, Code.INSTANCE_CONFLICT))

    assert overview(records) == Overview(
        series={"selected": 3, "receiving": 1},
        analyses={"succeeded": 1, "failed": 1, "queued": 1},
        deliveries={"due": 2, "held": 1},
        conflicts=1,
    )
