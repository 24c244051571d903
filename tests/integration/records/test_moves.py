"""States change through one door: checked against the tables, guarded, with an event."""

import pytest
from sqlalchemy.exc import IntegrityError

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import ANALYSIS_MOVES, AnalysisState, SeriesState
from fontanelle.records.database import Records
from fontanelle.records.moves import Cause, move, move_one
from fontanelle.records.tables import AnalysisRow, SeriesRow
from tests.integration.records.builders import (
    arrive,
    at_once,
    change,
    events,
    queued,
    seen,
    series_id,
    value,
)

WHY = Cause("because", "somebody")


@pytest.mark.parametrize(
    ("before", "after"),
    [(a, b) for a in AnalysisState for b in AnalysisState if b not in ANALYSIS_MOVES[a]],
)
def test_a_move_that_the_table_does_not_hold_is_an_error(
    before: AnalysisState, after: AnalysisState
) -> None:
    # No session: it is refused before the database is asked.
    with pytest.raises(ValueError, match=f"from {before} to {after}"):
        move(None, AnalysisRow, before, after, cause=WHY)  # type: ignore[arg-type]


def test_each_row_that_moves_gets_an_event_with_who_and_why(records: Records) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2)
    with records.begin() as session:
        moved = move(session, SeriesRow, SeriesState.RECEIVING, SeriesState.COMPLETE, cause=WHY)

    assert sorted(moved) == [series_id(records, 1), series_id(records, 2)]
    for each in moved:
        assert events(records, "series", each) == [
            (None, "receiving"),
            ("receiving", "complete"),
        ]
    assert (
        value(records, "SELECT count(*) FROM event WHERE why = 'because' AND by = 'somebody'") == 2
    )


def test_a_row_in_another_state_is_not_moved_and_gets_no_event(records: Records) -> None:
    arrive(records, 1)
    with records.begin() as session:
        moved = move(session, SeriesRow, SeriesState.COMPLETE, SeriesState.SELECTED, cause=WHY)

    assert moved == []
    assert events(records, "series", series_id(records)) == [(None, "receiving")]


def test_a_transaction_that_fails_takes_its_event_back_with_its_move(records: Records) -> None:
    analysis_id = queued(records)

    def move_and_fail() -> None:
        with records.begin() as session:
            move(session, AnalysisRow, AnalysisState.QUEUED, AnalysisState.CANCELLED, cause=WHY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        move_and_fail()

    assert seen(records, analysis_id).state is AnalysisState.QUEUED
    assert events(records, "analysis", analysis_id) == [(None, "queued")]


def test_many_that_move_the_same_row_at_once_move_it_once(records: Records) -> None:
    analysis_id = queued(records)

    def take() -> list[int]:
        with records.begin() as session:
            return move(
                session,
                AnalysisRow,
                AnalysisState.QUEUED,
                AnalysisState.RUNNING,
                AnalysisRow.id == analysis_id,
                cause=WHY,
            )

    assert sorted(at_once(*[take] * 6)) == [[]] * 5 + [[analysis_id]]
    assert events(records, "analysis", analysis_id) == [(None, "queued"), ("queued", "running")]


def test_moving_one_says_where_it_was(records: Records) -> None:
    analysis_id = queued(records)
    open_ones = (AnalysisState.RUNNING, AnalysisState.QUEUED)
    with records.begin() as session:
        before = move_one(
            session, AnalysisRow, analysis_id, open_ones, AnalysisState.CANCELLED, cause=WHY
        )

    assert before is AnalysisState.QUEUED


@pytest.mark.parametrize(("row_id", "code"), [(1, Code.MOVE_REFUSED), (2, Code.NOT_FOUND)])
def test_moving_one_that_cannot_be_moved_is_refused(
    records: Records, row_id: int, code: Code
) -> None:
    assert queued(records) == 1
    with pytest.raises(Refused) as caught, records.begin() as session:
        move_one(
            session,
            AnalysisRow,
            row_id,
            (AnalysisState.FAILED,),
            AnalysisState.QUEUED,
            cause=WHY,
        )

    assert caught.value.reason.code is code


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE series SET state = 'lost'",
        "UPDATE analysis SET state = 'receiving'",
        "UPDATE analysis SET verdict = 'maybe'",
    ],
)
def test_the_database_knows_the_states_too(records: Records, statement: str) -> None:
    queued(records)
    with pytest.raises(IntegrityError):
        change(records, statement)
