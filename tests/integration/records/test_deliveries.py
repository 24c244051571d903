"""Each object to each destination once: held or due, taken with a lease, every status kept."""

import threading
from collections.abc import Callable

import pytest

from fontanelle.errors import Code, Reason, Refused
from fontanelle.lifecycle import AnalysisState, DeliveryState, Verdict
from fontanelle.records import deliveries, intake, reviews
from fontanelle.records.database import Records
from fontanelle.records.deliveries import DeliverySeen, Dispatch, Plan
from tests.integration.records.builders import (
    AFTER_REVIEW,
    AT_ONCE,
    AWAY,
    arrive,
    at_once,
    change,
    claim,
    close,
    conflict,
    decide,
    events,
    finish,
    queue,
    queued,
    run_out,
    running,
    seen,
    series_id,
    states,
    succeeded,
    take,
    value,
    wait_for,
    waiting,
)

ONE = Plan("pacs", ("segmentation",), after_review=False)
"""Sends one object."""


def delivery(records: Records, delivery_id: int = 1) -> DeliverySeen:
    with records.begin() as session:
        return deliveries.page(session, before_id=delivery_id + 1, limit=1)[0]


def acknowledge(records: Records, dispatch: Dispatch, status: int = 0x0000) -> None:
    with records.begin() as session:
        deliveries.acknowledged(session, dispatch, status, "Stored.")


def fail(
    records: Records,
    dispatch: Dispatch,
    *,
    again_in_s: float | None = 0.0,
    status: int | None = None,
) -> None:
    with records.begin() as session:
        deliveries.failed(session, dispatch, AWAY, status=status, again_in_s=again_in_s)


def resend(records: Records, delivery_id: int = 1) -> None:
    with records.begin() as session:
        deliveries.resend(session, delivery_id, by="Dr. Cue")


def review(records: Records, analysis_id: int, verdict: Verdict) -> None:
    with records.begin() as session:
        reviews.add(session, analysis_id, verdict, comment="seen", person="Dr. Cue")


def correct_patient(records: Records) -> None:
    with records.begin() as session:
        intake.add_conflict(session, conflict(1, Code.PATIENT_CORRECTION))


def statuses(records: Records, delivery_id: int = 1) -> list[tuple[int | None, str]]:
    with records.begin() as session:
        return [(status, said) for _, status, said in deliveries.statuses(session, delivery_id)]


def test_a_destination_is_sent_the_kinds_that_it_asked_for(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])

    with records.begin() as session:
        found = deliveries.page(session, analysis_id=analysis_id)
    assert [(each.destination, each.kind) for each in reversed(found)] == [
        ("pacs", "segmentation"),
        ("pacs", "structured_report"),
        ("archive", "segmentation"),
    ]
    for each in found:
        assert events(records, "delivery", each.delivery_id) == [(None, each.state)]


def test_without_a_destination_there_is_nothing_to_deliver(records: Records) -> None:
    assert states(records, succeeded(records, plans=[])) == []


def test_a_courier_is_told_what_to_send_and_the_attempt_is_counted_first(
    records: Records,
) -> None:
    analysis_id = succeeded(records, plans=[ONE])

    (dispatch,) = take(records)

    assert dispatch == Dispatch(
        1, analysis_id, "pacs", "ff/1", "1" * 64, f"2.25.1.{analysis_id}.1", 1, 1
    )
    assert delivery(records).state is DeliveryState.SENDING
    assert delivery(records).attempts == 1
    assert take(records) == []


def test_two_couriers_at_once_take_each_delivery_once(records: Records) -> None:
    for number in range(1, 5):
        succeeded(records, series=number, study=number, first=10 * number)

    taken = at_once(*[lambda: take(records, limit=3)] * 4)

    ids = [dispatch.delivery_id for some in taken for dispatch in some]
    assert len(ids) == len(set(ids))
    rest = [dispatch.delivery_id for dispatch in take(records)]
    assert sorted(ids + rest) == list(range(1, 9))


def test_one_destination_is_not_given_what_another_is_to_have(records: Records) -> None:
    succeeded(records, plans=[ONE, Plan("archive", ("structured_report",), after_review=False)])

    assert [each.destination for each in take(records, "archive")] == ["archive"]
    assert [each.destination for each in take(records, "pacs")] == ["pacs"]
    assert take(records, "elsewhere") == []


def test_a_dead_destination_delays_no_other(records: Records) -> None:
    succeeded(records, plans=[ONE, Plan("archive", ("segmentation",), after_review=False)])

    (dead,) = take(records, "pacs")
    fail(records, dead, again_in_s=3600.0)
    (alive,) = take(records, "archive")
    acknowledge(records, alive)

    assert delivery(records, dead.delivery_id).state is DeliveryState.DUE
    assert delivery(records, alive.delivery_id).state is DeliveryState.ACKNOWLEDGED


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0x0111])
def test_what_the_destination_has_is_acknowledged_with_its_status(
    records: Records, status: int
) -> None:
    succeeded(records, plans=[ONE])
    acknowledge(records, take(records)[0], status)

    found = delivery(records)
    assert (found.state, found.status) == (DeliveryState.ACKNOWLEDGED, status)
    assert found.acknowledged_at is not None
    assert found.reason is None
    assert take(records) == []


def test_what_failed_is_due_again_after_its_back_off(records: Records) -> None:
    succeeded(records, plans=[ONE])
    fail(records, take(records)[0], again_in_s=3600.0, status=0xA700)

    found = delivery(records)
    assert (found.state, found.reason, found.status) == (DeliveryState.DUE, AWAY, 0xA700)
    assert take(records) == [], "its time has not come"

    change(records, "UPDATE delivery SET due_at = now()")
    (again,) = take(records)
    assert (again.attempt, again.fence) == (2, 2)


def test_after_the_last_try_it_is_dead_until_a_person_says_so(records: Records) -> None:
    succeeded(records, plans=[ONE])
    fail(records, take(records)[0], again_in_s=None)
    assert delivery(records).state is DeliveryState.DEAD
    assert delivery(records).reason == AWAY
    assert take(records) == []

    resend(records)

    (again,) = take(records)
    assert (again.attempt, again.fence) == (1, 2)
    assert (again.store_key, again.sha256) == ("ff/1", "1" * 64)


def test_the_status_of_every_attempt_is_kept(records: Records) -> None:
    succeeded(records, plans=[ONE])
    fail(records, take(records)[0], status=0xA700)
    fail(records, take(records)[0])
    acknowledge(records, take(records)[0], 0x0111)

    assert statuses(records) == [
        (0xA700, AWAY.sentence),
        (None, AWAY.sentence),
        (0x0111, "Stored."),
    ]
    assert events(records, "delivery", 1) == [
        (None, "due"),
        ("due", "sending"),
        ("sending", "due"),
        ("due", "sending"),
        ("sending", "due"),
        ("due", "sending"),
        ("sending", "acknowledged"),
    ]


def test_what_a_courier_took_and_did_not_end_is_due_again(records: Records) -> None:
    succeeded(records, plans=[ONE])
    take(records)
    run_out(records, "delivery", 1)

    (again,) = take(records)

    assert (again.attempt, again.fence) == (2, 2)


def test_a_courier_that_outslept_its_lease_changes_nothing_but_its_status_is_kept(
    records: Records,
) -> None:
    succeeded(records, plans=[ONE])
    (sleeper,) = take(records)
    run_out(records, "delivery", 1)
    (newer,) = take(records)

    acknowledge(records, sleeper, 0x0000)
    assert delivery(records).state is DeliveryState.SENDING
    fail(records, newer, again_in_s=None)
    acknowledge(records, sleeper, 0x0000)

    assert delivery(records).state is DeliveryState.DEAD
    assert [status for status, _ in statuses(records)] == [0x0000, None, 0x0000]


def test_an_acceptance_releases_what_waited_for_it(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AFTER_REVIEW])
    assert take(records, "archive") == []

    review(records, analysis_id, Verdict.ACCEPTED)

    assert states(records, analysis_id) == [("due", None)]
    assert len(take(records, "archive")) == 1
    assert seen(records, analysis_id).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("code", [Code.OUTSIDE_INTENDED_USE, Code.IMPLAUSIBLE])
def test_an_acceptance_releases_what_its_reasons_held(records: Records, code: Code) -> None:
    analysis_id = succeeded(records, code)

    review(records, analysis_id, Verdict.ACCEPTED)

    assert states(records, analysis_id) == [("due", None)] * 2


def test_a_rejection_holds_what_is_still_to_go_and_an_acceptance_lets_it_go(
    records: Records,
) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])

    review(records, analysis_id, Verdict.REJECTED)
    assert states(records, analysis_id) == [("held", Code.REVIEW_REJECTED)] * 3
    assert take(records) == []

    review(records, analysis_id, Verdict.ACCEPTED)
    assert states(records, analysis_id) == [("due", None)] * 3


def test_a_rejection_holds_what_waits_for_its_next_try(records: Records) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    fail(records, take(records)[0], again_in_s=0.0)

    review(records, analysis_id, Verdict.REJECTED)

    assert states(records, analysis_id) == [("held", Code.REVIEW_REJECTED)]


def test_no_review_releases_a_patients_correction(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])
    correct_patient(records)

    for verdict in (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.ACCEPTED):
        review(records, analysis_id, verdict)
        assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 3


def test_no_review_releases_a_result_of_an_outdated_revision(records: Records) -> None:
    work = running(records)
    arrive(records, 3)
    finish(records, work)
    analysis_id = work.lease.analysis_id

    for verdict in (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.ACCEPTED):
        review(records, analysis_id, verdict)
        assert states(records, analysis_id) == [("held", Code.SUPERSEDED)] * 2


@pytest.mark.parametrize("last", [False, True])
def test_a_correction_while_it_is_being_sent_stops_the_next_try(
    records: Records, *, last: bool
) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    (dispatch,) = take(records)
    correct_patient(records)

    fail(records, dispatch, again_in_s=None if last else 0.0)

    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)]
    assert statuses(records) == [(None, AWAY.sentence)]
    assert take(records) == []


def test_a_correction_while_it_is_just_being_taken_stops_the_next_try(records: Records) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    with records.begin() as session:
        (dispatch,) = deliveries.claim(session, "pacs", lease_s=60.0)
        correcting = threading.Thread(target=correct_patient, args=(records,))
        correcting.start()
        wait_for(lambda: waiting(records) == 1)
    correcting.join()

    fail(records, dispatch)

    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)]


def test_a_correction_stops_what_a_courier_took_and_did_not_end(records: Records) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    take(records)
    correct_patient(records)
    run_out(records, "delivery", 1)

    assert take(records) == []
    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)]
    assert events(records, "delivery", 1)[-2:] == [("sending", "due"), ("due", "held")]


def test_what_was_sent_although_it_was_held_meanwhile_is_acknowledged(records: Records) -> None:
    """The destination has it, and that is what the row must say."""
    analysis_id = succeeded(records, plans=[ONE])
    (dispatch,) = take(records)
    correct_patient(records)

    acknowledge(records, dispatch)

    assert states(records, analysis_id) == [("acknowledged", None)]


def test_a_rejection_taken_back_while_it_is_being_sent_leaves_it_on_its_way(
    records: Records,
) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    (dispatch,) = take(records)
    review(records, analysis_id, Verdict.REJECTED)
    review(records, analysis_id, Verdict.ACCEPTED)

    fail(records, dispatch)

    assert states(records, analysis_id) == [("due", Code.DESTINATION_AWAY)]


def test_a_person_can_have_held_dead_and_acknowledged_ones_sent(records: Records) -> None:
    analysis_id = succeeded(records, plans=[ONE])
    acknowledge(records, take(records)[0])
    resend(records)
    assert len(take(records)) == 1
    run_out(records, "delivery", 1)

    correct_patient(records)
    assert take(records) == []
    resend(records)
    assert states(records, analysis_id) == [("due", None)]
    assert len(take(records)) == 1


def test_what_is_due_or_being_sent_cannot_be_resent(records: Records) -> None:
    succeeded(records, plans=[ONE])
    with pytest.raises(Refused) as caught:
        resend(records)
    assert caught.value.reason.code is Code.MOVE_REFUSED

    take(records)
    with pytest.raises(Refused):
        resend(records)
    with pytest.raises(Refused) as caught:
        resend(records, 99)
    assert caught.value.reason.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (queued, Code.MOVE_REFUSED),
        (lambda _records: 99, Code.NOT_FOUND),
    ],
)
def test_only_a_result_can_be_reviewed(
    records: Records, make: Callable[[Records], int], code: Code
) -> None:
    analysis_id = make(records)
    with pytest.raises(Refused) as caught:
        review(records, analysis_id, Verdict.ACCEPTED)

    assert caught.value.reason.code is code


def test_a_superseded_result_can_no_longer_be_reviewed(records: Records) -> None:
    older = succeeded(records)
    arrive(records, 3)
    close(records)
    decide(records, 1)
    finish(records, claim(records, queue(records, series_id(records), revision=2)))
    assert seen(records, older).state is AnalysisState.SUPERSEDED

    with pytest.raises(Refused):
        review(records, older, Verdict.ACCEPTED)


def test_all_words_of_the_readers_are_kept_the_latest_counts(records: Records) -> None:
    analysis_id = succeeded(records)
    review(records, analysis_id, Verdict.REJECTED)
    review(records, analysis_id, Verdict.ACCEPTED)

    with records.begin() as session:
        words = reviews.of(session, analysis_id)
    assert [word.verdict for word in words] == [Verdict.ACCEPTED, Verdict.REJECTED]
    assert {(word.person, word.comment) for word in words} == {("Dr. Cue", "seen")}


def test_deliveries_are_listed_by_state_the_newest_first(records: Records) -> None:
    succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])

    with records.begin() as session:
        held = deliveries.page(session, state=DeliveryState.HELD)
        due = deliveries.page(session, state=DeliveryState.DUE, limit=1)
        older = deliveries.page(session, before_id=due[0].delivery_id)
    assert [each.delivery_id for each in (*held, *due, *older)] == [3, 2, 1]
    assert held[0].reason == Reason(Code.AWAITING_REVIEW, Code.AWAITING_REVIEW.meaning)


def test_what_no_destination_has_yet_is_listed(records: Records) -> None:
    succeeded(records, plans=[AT_ONCE, AFTER_REVIEW])
    first, second = take(records)
    acknowledge(records, first)

    def ids() -> list[int]:
        with records.begin() as session:
            return [each.delivery_id for each in deliveries.undelivered(session)]

    assert ids() == [3, second.delivery_id]
    fail(records, second, again_in_s=None)
    assert ids() == [3, second.delivery_id]


def test_one_delivery_is_found_by_its_id(records: Records) -> None:
    analysis_id = succeeded(records, plans=[ONE])

    with records.begin() as session:
        assert deliveries.get(session, 1).analysis_id == analysis_id
        with pytest.raises(Refused) as caught:
            deliveries.get(session, 99)
    assert caught.value.reason.code is Code.NOT_FOUND


def test_an_object_goes_to_a_destination_once(records: Records) -> None:
    succeeded(records, plans=[ONE])
    with pytest.raises(Exception, match="uq_delivery"):
        change(
            records,
            "INSERT INTO delivery (analysis_id, object_id, destination, state)"
            " SELECT analysis_id, object_id, destination, 'due' FROM delivery",
        )
    assert value(records, "SELECT count(*) FROM delivery") == 1
