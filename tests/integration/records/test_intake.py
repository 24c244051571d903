"""What lies on the spool is indexed: once, in any order, by several at once."""

import itertools
from concurrent.futures import wait as wait_all

import pytest

from fontanelle.errors import Code
from fontanelle.lifecycle import SeriesState
from fontanelle.records import deliveries, intake, series
from fontanelle.records.database import Records
from fontanelle.records.intake import Refusal
from fontanelle.records.series import SeriesSeen
from tests.integration.records.builders import (
    AT_ONCE,
    arrive,
    at_once,
    close,
    conflict,
    decide,
    events,
    in_background,
    received,
    selected,
    series_id,
    series_uid,
    states,
    study_id,
    succeeded,
    value,
    wait_for,
    waiting,
)


def seen(records: Records, number: int = 1) -> SeriesSeen:
    with records.begin() as session:
        return series.by_uid(session, series_uid(number))[0]


def keep_beside(records: Records, *conflicts: intake.Conflict) -> None:
    with records.begin() as session:
        for each in conflicts:
            intake.add_conflict(session, each)


def test_a_series_is_seen_from_its_first_instance_on(records: Records) -> None:
    assert arrive(records, 1) == 1

    found = seen(records)
    assert (found.state, found.revision, found.instances) == (SeriesState.RECEIVING, 1, 1)
    assert (found.patient_id, found.issuer, found.source) == ("4711", "HOSPITAL", "SCANNER")
    assert events(records, "series", found.series_id) == [(None, "receiving")]


def test_indexing_again_changes_nothing(records: Records) -> None:
    series_row = selected(records)

    assert arrive(records, 1, 2) == 0

    assert seen(records).state is SeriesState.SELECTED
    assert seen(records).revision == 1
    assert len(events(records, "series", series_row)) == 3


def test_the_same_instance_twice_in_one_batch_is_one(records: Records) -> None:
    assert arrive(records, 1, 1, 2) == 2

    assert seen(records).instances == 2


def test_an_instance_belongs_to_the_series_that_had_it_first(records: Records) -> None:
    arrive(records, 1, series=1)
    arrive(records, 1, 2, series=2)

    assert (seen(records, 1).instances, seen(records, 2).instances) == (1, 1)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_in_whatever_order_instances_come_the_series_is_the_same(
    records: Records, order: tuple[int, ...]
) -> None:
    for number in order:
        arrive(records, number)

    with records.begin() as session:
        stored = series.instances_of(session, series_id(records), 1)
    assert {each.spool_key for each in stored} == {f"instances/{n}.dcm" for n in (1, 2, 3)}
    assert seen(records).revision == 1


def test_a_late_instance_opens_the_next_revision_and_keeps_the_earlier_one(
    records: Records,
) -> None:
    series_row = selected(records)

    arrive(records, 3)

    assert (seen(records).state, seen(records).revision) == (SeriesState.RECEIVING, 2)
    assert events(records, "series", series_row)[-1] == ("selected", "receiving")
    with records.begin() as session:
        assert len(series.instances_of(session, series_row, 1)) == 2
        assert len(series.instances_of(session, series_row, 2)) == 3


def test_several_late_instances_before_the_next_end_are_one_revision(records: Records) -> None:
    selected(records)

    arrive(records, 3)
    arrive(records, 4, 5)

    assert seen(records).revision == 2


def test_a_second_source_with_a_short_quiet_period_does_not_cut_the_first_ones_short(
    records: Records,
) -> None:
    arrive(records, 1, quiet_period_s=3600.0)
    due_at = seen(records).due_at
    arrive(records, 2, quiet_period_s=0.0, source="SECOND")

    assert seen(records).due_at >= due_at
    assert close(records) == []


def test_the_longest_quiet_period_of_a_batch_counts(records: Records) -> None:
    with records.begin() as session:
        intake.index(
            session,
            [received(1, quiet_period_s=0.0), received(2, quiet_period_s=3600.0)],
        )

    assert close(records) == []


def test_many_that_index_the_same_instances_index_them_once(records: Records) -> None:
    numbers = range(1, 21)

    new = at_once(*[lambda: arrive(records, *numbers)] * 6)

    assert sum(new) == 20
    assert seen(records).instances == 20
    assert events(records, "series", series_id(records)) == [(None, "receiving")]


def test_the_same_uid_in_two_series_at_once_is_one_instance(records: Records) -> None:
    acts = [
        lambda number=number: arrive(records, *range(1, 30), series=number)
        for number in (1, 2, 3, 4)
    ]
    assert sum(at_once(*acts)) == 29


def test_series_of_two_studies_are_indexed_at_once_in_any_order(records: Records) -> None:
    def index(*order: tuple[int, int]) -> int:
        with records.begin() as session:
            return intake.index(
                session,
                [received(100 * one + two, series=one, study=two) for one, two in order],
            )

    pairs = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)]
    for _round in range(10):
        new = at_once(
            lambda: index(*pairs), lambda: index(*reversed(pairs)), lambda: index(*pairs[2:])
        )
    assert sum(new) == 0
    assert value(records, "SELECT count(*) FROM instance") == 5


def test_an_index_of_two_series_and_a_decision_on_them_do_not_block_one_another(
    records: Records,
) -> None:
    """The index goes by UID, a decision by id; the study's row makes one wait for the other."""
    arrive(records, 1, series=2)
    arrive(records, 2, series=1)
    close(records)

    with records.begin() as session:
        intake.index(session, [received(3, series=1)])
        with in_background(lambda: decide(records, 1)) as decision:
            wait_for(lambda: waiting(records) == 1)
            intake.index(session, [received(4, series=2)])
            session.commit()
            wait_all([decision])

    assert decision.result() is False


def test_another_patient_in_a_study_holds_what_it_has_still_to_deliver(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE])
    assert states(records, analysis_id) == [("due", None)] * 2

    arrive(records, 9, series=2, patient_digest="x" * 64)

    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2
    with records.begin() as session:
        assert series.is_patient_in_doubt(session, study_id(records))


def test_another_patient_in_another_study_holds_nothing_here(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE])

    arrive(records, 9, series=2, study=2, patient_digest="x" * 64)

    assert states(records, analysis_id) == [("due", None)] * 2


def test_a_patients_correction_holds_and_other_content_does_not(records: Records) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE])

    keep_beside(records, conflict(1, Code.INSTANCE_CONFLICT))
    assert states(records, analysis_id) == [("due", None)] * 2

    keep_beside(records, conflict(1, Code.PATIENT_CORRECTION, copy=2))
    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2
    assert seen(records).conflicts == (
        (Code.INSTANCE_CONFLICT, 1),
        (Code.PATIENT_CORRECTION, 1),
    )


def test_the_same_conflict_twice_is_one(records: Records) -> None:
    arrive(records, 1)

    keep_beside(records, *[conflict(1, Code.INSTANCE_CONFLICT)] * 2)

    assert seen(records).conflicts == ((Code.INSTANCE_CONFLICT, 1),)


def test_the_same_correction_again_does_not_take_back_what_a_person_has_let_go(
    records: Records,
) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE])
    keep_beside(records, conflict(1, Code.PATIENT_CORRECTION))
    with records.begin() as session:
        deliveries.resend(session, 1, by="Dr. Cue")

    keep_beside(records, conflict(1, Code.PATIENT_CORRECTION))

    assert states(records, analysis_id) == [("due", None), ("held", Code.PATIENT_CORRECTION)]

    keep_beside(records, conflict(2, Code.PATIENT_CORRECTION))
    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2


def test_a_conflict_that_is_recorded_before_its_instance_counts_all_the_same(
    records: Records,
) -> None:
    analysis_id = succeeded(records, plans=[AT_ONCE])
    keep_beside(records, conflict(3, Code.PATIENT_CORRECTION))
    assert states(records, analysis_id) == [("due", None)] * 2

    arrive(records, 3)

    assert states(records, analysis_id) == [("held", Code.PATIENT_CORRECTION)] * 2
    assert seen(records).conflicts == ((Code.PATIENT_CORRECTION, 1),)


def test_what_has_a_row_is_known_by_its_key(records: Records) -> None:
    arrive(records, 1, 2)
    keep_beside(records, conflict(1, Code.INSTANCE_CONFLICT))

    with records.begin() as session:
        assert intake.indexed_keys(session) == {
            "instances/1.dcm",
            "instances/2.dcm",
            "conflicts/1.1.dcm",
        }


def test_a_header_that_no_database_can_hold_is_stored_without_what_it_cannot(
    records: Records,
) -> None:
    """NUL and lone surrogates: one such instance shall not hold up all behind it."""
    assert arrive(records, 1, patient_id="47\x0011\udce4", description="\x00", issuer=None) == 1

    found = seen(records)
    assert (found.patient_id, found.description) == ("4711?", "")


def test_refusals_are_counted_by_peer_and_code(records: Records) -> None:
    stranger = Refusal("WHO", "US", "10.0.0.9", Code.ASSOCIATION_CALLING, "Unknown.", count=3)
    with records.begin() as session:
        intake.add_refusals(session, [stranger, stranger])
    with records.begin() as session:
        other = Refusal("WHO", "US", "10.0.0.9", Code.UID_MALFORMED, "A UID is missing.")
        intake.add_refusals(session, [other])

    with records.begin() as session:
        found = {each.refusal.code: each for each in intake.refusals(session)}
    assert found[Code.ASSOCIATION_CALLING].refusal.count == 6
    assert found[Code.UID_MALFORMED].refusal.count == 1
    assert found[Code.UID_MALFORMED].refusal.calling_ae_title == "WHO"


def test_refusals_counted_at_once_are_all_counted(records: Records) -> None:
    def count() -> None:
        with records.begin() as session:
            intake.add_refusals(
                session, [Refusal("WHO", "US", "10.0.0.9", Code.ASSOCIATION_LIMIT, "Too many.")]
            )

    at_once(*[count] * 8)

    with records.begin() as session:
        assert [each.refusal.count for each in intake.refusals(session)] == [8]
