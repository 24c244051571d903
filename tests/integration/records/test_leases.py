"""One worker at a time, by lease and fence; one result, whatever comes twice or too late."""

from concurrent.futures import wait as wait_all

import pytest

from fontanelle.errors import Code, Unavailable
from fontanelle.lifecycle import AnalysisState
from fontanelle.records import analyses, intake, leases
from fontanelle.records.database import Records
from fontanelle.records.leases import Work
from tests.integration.records.builders import (
    AFTER_REVIEW,
    AT_ONCE,
    BUG,
    LEASE_S,
    LIMIT,
    OTHER_TOOLS,
    arrive,
    at_once,
    change,
    claim,
    close,
    conflict,
    decide,
    ending,
    events,
    finish,
    give_up,
    in_background,
    is_lost,
    queue,
    queued,
    received,
    run_out,
    running,
    seen,
    selected,
    series_id,
    series_uid,
    states,
    succeeded,
    sweep,
    value,
    wait_for,
    waiting,
)

WALL_LIMIT_S = 900.0


def renew(records: Records, work: Work, *, wall_limit_s: float = WALL_LIMIT_S) -> None:
    with records.begin() as session:
        leases.renew(session, work.lease, lease_s=LEASE_S, wall_limit_s=wall_limit_s)


def is_refused(records: Records, work: Work) -> list[bool]:
    """Tell of each thing that a worker writes whether it is refused."""
    lease = work.lease
    return [
        is_lost(
            records,
            lambda s: leases.renew(s, lease, lease_s=LEASE_S, wall_limit_s=WALL_LIMIT_S),
        ),
        is_lost(records, lambda s: leases.finish(s, lease, ending(work), [AT_ONCE])),
        is_lost(records, lambda s: leases.give_up(s, lease, BUG, attempts=LIMIT)),
    ]


def next_revision(records: Records, instance: int) -> int:
    """Have a late instance arrive; return the analysis of the next revision."""
    arrive(records, instance)
    close(records)
    assert decide(records, 1)
    return queue(records, series_id(records), revision=2)


def counts(records: Records) -> tuple[int, int]:
    """Return how many objects and deliveries there are."""
    return (
        value(records, "SELECT count(*) FROM object"),
        value(records, "SELECT count(*) FROM delivery"),
    )


def test_taking_an_analysis_counts_the_attempt_before_work_begins(records: Records) -> None:
    work = running(records)

    assert (work.lease.attempt, work.lease.fence) == (1, 1)
    assert [each.spool_key for each in work.instances] == ["instances/1.dcm", "instances/2.dcm"]
    found = seen(records, work.lease.analysis_id)
    assert (found.state, found.attempts) == (AnalysisState.RUNNING, 1)


def test_the_worker_gets_the_revision_that_was_queued(records: Records) -> None:
    analysis_id = queued(records)
    arrive(records, 3)

    assert len(claim(records, analysis_id).instances) == 2


def test_of_many_that_take_the_same_analysis_one_gets_it(records: Records) -> None:
    analysis_id = queued(records)

    def take() -> Work | None:
        with records.begin() as session:
            return leases.claim(session, analysis_id, owner="worker@a:1", lease_s=LEASE_S)

    taken = [each for each in at_once(*[take] * 6) if each is not None]

    assert len(taken) == 1
    assert seen(records, analysis_id).attempts == 1


@pytest.mark.parametrize("analysis_id", [1, 99])
def test_what_has_ended_or_is_unknown_is_not_taken(records: Records, analysis_id: int) -> None:
    succeeded(records)
    with records.begin() as session:
        assert leases.claim(session, analysis_id, owner="worker@a:1", lease_s=LEASE_S) is None


def test_a_renewed_lease_is_not_swept(records: Records) -> None:
    work = running(records)
    run_out(records, "analysis", work.lease.analysis_id)

    renew(records, work)

    assert sweep(records) == []


def test_no_lease_is_renewed_beyond_the_wall_limit(records: Records) -> None:
    work = running(records)
    renew(records, work)
    change(records, "UPDATE analysis SET started_at = now() - interval '901 s'")

    assert is_lost(
        records,
        lambda s: leases.renew(s, work.lease, lease_s=LEASE_S, wall_limit_s=WALL_LIMIT_S),
    )

    run_out(records, "analysis", work.lease.analysis_id)
    assert sweep(records) == [(work.lease.analysis_id, AnalysisState.QUEUED)]


def test_the_wall_limit_counts_anew_with_each_attempt(records: Records) -> None:
    work = running(records)
    change(records, "UPDATE analysis SET started_at = now() - interval '901 s'")
    give_up(records, work)

    renew(records, claim(records, work.lease.analysis_id))


def test_an_older_fence_writes_nothing(records: Records) -> None:
    older = running(records)
    run_out(records, "analysis", older.lease.analysis_id)
    sweep(records)
    newer = claim(records, older.lease.analysis_id)
    assert newer.lease.fence > older.lease.fence

    assert is_refused(records, older) == [True, True, True]

    assert counts(records) == (0, 0)
    renew(records, newer)


def test_nothing_is_written_between_a_lost_lease_and_the_next_attempt(records: Records) -> None:
    work = running(records)
    run_out(records, "analysis", work.lease.analysis_id)
    sweep(records)

    assert is_refused(records, work) == [True, True, True]


def test_a_worker_that_outsleeps_its_lease_leaves_one_result(records: Records) -> None:
    sleeper = running(records)
    analysis_id = sleeper.lease.analysis_id
    run_out(records, "analysis", analysis_id)
    assert sweep(records) == [(analysis_id, AnalysisState.QUEUED)]
    finish(records, claim(records, analysis_id, owner="worker@b:2"))

    assert is_refused(records, sleeper) == [True, True, True]

    assert seen(records, analysis_id).attempts == 2
    assert counts(records) == (3, 2)


def test_a_worker_that_comes_back_before_anybody_missed_it_may_finish(records: Records) -> None:
    work = running(records)
    run_out(records, "analysis", work.lease.analysis_id)

    finish(records, work)

    assert seen(records, work.lease.analysis_id).state is AnalysisState.SUCCEEDED
    assert sweep(records) == []


def test_many_that_finish_the_same_attempt_at_once_leave_one_result(records: Records) -> None:
    work = running(records)

    lost = at_once(
        *[lambda: is_lost(records, lambda s: leases.finish(s, work.lease, ending(work), [AT_ONCE]))]
        * 4
    )

    assert sorted(lost) == [False, True, True, True]
    assert counts(records) == (3, 2)


def test_an_attempt_that_failed_is_tried_again_until_the_limit(records: Records) -> None:
    analysis_id = queued(records)
    ends = [give_up(records, claim(records, analysis_id)) for _attempt in range(LIMIT)]

    assert ends == [AnalysisState.QUEUED] * (LIMIT - 1) + [AnalysisState.FAILED]
    found = seen(records, analysis_id)
    assert found.attempts == LIMIT
    assert found.reason == BUG
    assert found.ended_at is not None


def test_a_dead_workers_analysis_is_tried_again_and_fails_after_the_last_attempt(
    records: Records,
) -> None:
    analysis_id = queued(records)
    for attempt in range(1, LIMIT + 1):
        assert claim(records, analysis_id).lease.attempt == attempt
        assert sweep(records) == [], "its lease has not run out"
        run_out(records, "analysis", analysis_id)
        last = attempt == LIMIT
        after = AnalysisState.FAILED if last else AnalysisState.QUEUED
        assert sweep(records) == [(analysis_id, after)]
        reason = seen(records, analysis_id).reason
        assert reason is not None and reason.code is Code.WORKER_DIED
        assert f"{attempt} of {LIMIT}" in reason.sentence

    assert sweep(records) == []
    assert events(records, "analysis", analysis_id) == [
        (None, "queued"),
        ("queued", "running"),
        ("running", "queued"),
        ("queued", "running"),
        ("running", "queued"),
        ("queued", "running"),
        ("running", "failed"),
    ]


def test_many_that_sweep_at_once_take_an_analysis_once(records: Records) -> None:
    for number in range(1, 5):
        work = running(records, number, number, 10 * number)
        run_out(records, "analysis", work.lease.analysis_id)

    swept = at_once(*[lambda: sweep(records)] * 4)

    assert sorted(each for some in swept for each in some) == [
        (number, AnalysisState.QUEUED) for number in range(1, 5)
    ]


def test_a_sweep_and_a_late_ending_do_not_block_one_another(records: Records) -> None:
    """Both wait for the same study; whoever is first wins, and none is broken off."""
    work = running(records)
    run_out(records, "analysis", work.lease.analysis_id)

    with records.begin() as session:
        intake.index(session, [received(3)])
        with in_background(lambda: finish(records, work)) as ended:
            wait_for(lambda: waiting(records) == 1)
            with in_background(lambda: sweep(records)) as swept:
                wait_for(lambda: waiting(records) == 2 or swept.done())
                session.commit()
                wait_all([ended])
                wait_all([swept])

    assert ended.exception() is None
    assert swept.result() == []
    assert seen(records, work.lease.analysis_id).state is AnalysisState.SUCCEEDED


def test_a_renewal_in_the_last_moment_is_respected_by_a_sweep(records: Records) -> None:
    work = running(records)
    run_out(records, "analysis", work.lease.analysis_id)

    with records.begin() as session:
        leases.renew(session, work.lease, lease_s=LEASE_S, wall_limit_s=WALL_LIMIT_S)
        with in_background(lambda: sweep(records)) as swept:
            wait_for(lambda: waiting(records) == 1 or swept.done())
            session.commit()

    assert swept.result() == []


def test_a_result_has_its_objects_and_deliveries_once(records: Records) -> None:
    work = running(records)
    finish(records, work, plans=[AT_ONCE, AFTER_REVIEW])

    assert counts(records) == (3, 3)
    assert states(records, work.lease.analysis_id) == [
        ("due", None),
        ("due", None),
        ("held", Code.AWAITING_REVIEW),
    ]
    assert is_lost(records, lambda s: leases.finish(s, work.lease, ending(work), [AT_ONCE]))
    assert counts(records) == (3, 3)


def test_a_rejected_one_ends_with_its_reason_and_sends_nothing(records: Records) -> None:
    work = running(records)
    with records.begin() as session:
        leases.finish(
            session,
            work.lease,
            ending(work, Code.NO_BRAIN, state=AnalysisState.REJECTED),
            [AT_ONCE],
        )

    found = seen(records, work.lease.analysis_id)
    assert found.state is AnalysisState.REJECTED
    assert found.reason is not None and found.reason.code is Code.NO_BRAIN
    assert counts(records) == (0, 0)


def test_a_result_that_cannot_be_written_whole_is_not_written_at_all(records: Records) -> None:
    """Here two objects of one name; the constraint stands in the database."""
    work = running(records)
    good = ending(work)
    broken = leases.Ending(
        good.state, good.fitness, (), good.report_json, (good.objects[0], good.objects[0])
    )
    with pytest.raises(Exception, match="uq_object"), records.begin() as session:
        leases.finish(session, work.lease, broken, [AT_ONCE])

    assert counts(records) == (0, 0)
    assert seen(records, work.lease.analysis_id).state is AnalysisState.RUNNING
    renew(records, work)


def test_a_newer_revision_supersedes_the_older_result_and_holds_its_deliveries(
    records: Records,
) -> None:
    older = succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])
    newer = next_revision(records, 3)
    assert seen(records, older).state is AnalysisState.SUCCEEDED, "until the newer one ends"

    finish(records, claim(records, newer))

    assert seen(records, older).state is AnalysisState.SUPERSEDED
    assert states(records, older) == [("held", Code.SUPERSEDED)] * 3
    assert states(records, newer) == [("due", None)] * 2


def test_an_older_revision_that_ends_while_a_newer_waits_is_held(records: Records) -> None:
    work = running(records)
    newer = next_revision(records, 3)

    finish(records, work)

    older = work.lease.analysis_id
    assert seen(records, older).state is AnalysisState.SUCCEEDED
    assert states(records, older) == [("held", Code.SUPERSEDED)] * 2

    finish(records, claim(records, newer))
    assert seen(records, older).state is AnalysisState.SUPERSEDED
    assert states(records, newer) == [("due", None)] * 2


def test_an_older_revision_that_ends_after_a_newer_one_is_cancelled(records: Records) -> None:
    work = running(records)
    newer = next_revision(records, 3)
    finish(records, claim(records, newer))

    finish(records, work)

    older = seen(records, work.lease.analysis_id)
    assert older.state is AnalysisState.CANCELLED
    assert older.reason is not None and older.reason.code is Code.SUPERSEDED
    assert states(records, older.analysis_id) == []
    assert seen(records, newer).state is AnalysisState.SUCCEEDED


def test_an_older_revision_is_not_tried_again_when_there_is_a_newer_one(
    records: Records,
) -> None:
    work = running(records)
    next_revision(records, 3)

    assert give_up(records, work) is AnalysisState.CANCELLED


def test_the_same_series_with_another_package_supersedes(records: Records) -> None:
    first = succeeded(records)
    second = queue(records, series_id(records), tools=OTHER_TOOLS)

    finish(records, claim(records, second))

    assert seen(records, first).state is AnalysisState.SUPERSEDED
    assert seen(records, second).state is AnalysisState.SUCCEEDED


def better_series(records: Records) -> int:
    """Have a better series of the study arrive; return its analysis."""
    arrive(records, 9, series=2)
    close(records)
    assert decide(records, 2)
    return queue(records, series_id(records, 2))


def test_a_better_series_supersedes_the_result_of_the_one_it_replaces(records: Records) -> None:
    first = succeeded(records)
    second = better_series(records)

    finish(records, claim(records, second))

    assert seen(records, first).state is AnalysisState.SUPERSEDED
    assert states(records, first) == [("held", Code.SUPERSEDED)] * 2


def test_a_dropped_series_that_ends_before_the_better_one_is_held(records: Records) -> None:
    work = running(records)
    better_series(records)

    finish(records, work)

    assert states(records, work.lease.analysis_id) == [("held", Code.SUPERSEDED)] * 2


def test_a_dropped_series_that_ends_after_the_better_one_is_cancelled(records: Records) -> None:
    work = running(records)
    second = better_series(records)
    finish(records, claim(records, second))

    finish(records, work)

    assert seen(records, work.lease.analysis_id).state is AnalysisState.CANCELLED
    assert seen(records, second).state is AnalysisState.SUCCEEDED


def test_a_series_that_a_person_has_measured_beside_the_choice_supersedes_nothing_else(
    records: Records,
) -> None:
    chosen = succeeded(records)
    arrive(records, 9, series=2)
    close(records)
    decide(records, 1)
    with records.begin() as session:
        beside = analyses.queue_for(
            session, OTHER_TOOLS, by="Dr. Cue", series_instance_uid=series_uid(2)
        )

    finish(records, claim(records, beside))

    assert seen(records, chosen).state is AnalysisState.SUCCEEDED
    assert seen(records, beside).state is AnalysisState.SUCCEEDED
    assert states(records, beside) == [("due", None)] * 2


def test_a_failed_one_takes_the_place_of_an_older_result(records: Records) -> None:
    """What is current says so, and a person may have it tried again."""
    older = succeeded(records)
    newer = next_revision(records, 3)
    for _attempt in range(LIMIT):
        give_up(records, claim(records, newer))

    assert seen(records, older).state is AnalysisState.SUPERSEDED
    assert seen(records, newer).state is AnalysisState.FAILED


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((Code.AGE_UNKNOWN,), None),
        ((Code.IMPLAUSIBLE,), Code.IMPLAUSIBLE),
        ((Code.IMPLAUSIBLE, Code.OUTSIDE_INTENDED_USE), Code.OUTSIDE_INTENDED_USE),
    ],
)
def test_the_gravest_reason_holds_a_result_back(
    records: Records, codes: tuple[Code, ...], expected: Code | None
) -> None:
    analysis_id = succeeded(records, *codes, plans=[AT_ONCE, AFTER_REVIEW])

    at_once_state = "held" if expected else "due"
    assert states(records, analysis_id) == [(at_once_state, expected)] * 2 + [
        ("held", expected or Code.AWAITING_REVIEW)
    ]


@pytest.mark.parametrize("doubt", ["correction", "two patients"])
def test_a_patient_in_doubt_holds_above_all_else(records: Records, doubt: str) -> None:
    work = running(records)
    if doubt == "correction":
        with records.begin() as session:
            intake.add_conflict(session, conflict(1, Code.PATIENT_CORRECTION))
    else:
        arrive(records, 9, series=2, patient_digest="x" * 64)

    finish(records, work, Code.OUTSIDE_INTENDED_USE)

    assert states(records, work.lease.analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2


@pytest.mark.parametrize("doubt", ["correction", "two patients"])
def test_a_doubt_that_arises_while_a_result_is_written_holds_it(
    records: Records, doubt: str
) -> None:
    """Neither sees the other's rows before its end; one must wait for the other."""
    work = running(records)
    with records.begin() as session:
        if doubt == "correction":
            intake.add_conflict(session, conflict(1, Code.PATIENT_CORRECTION))
        else:
            intake.index(session, [received(9, series=2, patient_digest="x" * 64)])
        with in_background(lambda: finish(records, work)) as ended:
            wait_for(lambda: waiting(records) == 1 or ended.done())
            session.commit()
            wait_all([ended])

    assert ended.exception() is None
    assert states(records, work.lease.analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2


def test_a_lost_lease_is_said_without_a_name(records: Records) -> None:
    work = running(records)
    give_up(records, work)

    with pytest.raises(Unavailable) as caught:
        finish(records, work)

    assert caught.value.reason.sentence == "Analysis 1 was taken over or cancelled (fence 1)."


def test_results_of_two_series_of_a_study_can_end_at_once(records: Records) -> None:
    selected(records)
    arrive(records, 9, series=2)
    close(records)
    decide(records, 1)
    first = claim(records, queue(records, series_id(records, 1)))
    second = claim(records, queue(records, series_id(records, 2)))

    at_once(lambda: finish(records, first), lambda: finish(records, second))

    assert counts(records) == (6, 4)
