"""The one door through which a state changes: checked, guarded, with an event row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import (
    ANALYSIS_MOVES,
    DELIVERY_MOVES,
    SERIES_MOVES,
    AnalysisState,
    DeliveryState,
    SeriesState,
)
from fontanelle.records.tables import AnalysisRow, DeliveryRow, EventRow, SeriesRow

Row = type[SeriesRow] | type[AnalysisRow] | type[DeliveryRow]
State = SeriesState | AnalysisState | DeliveryState

MOVES: Final[Mapping[Row, Mapping[Any, frozenset[Any]]]] = {
    SeriesRow: SERIES_MOVES,
    AnalysisRow: ANALYSIS_MOVES,
    DeliveryRow: DELIVERY_MOVES,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a state changes, and who says so: a role's or a person's name."""

    why: str
    by: str


def move(
    session: Session,
    row: Row,
    before: State,
    after: State,
    *conditions: ColumnElement[bool],
    cause: Cause,
    values: Mapping[str, object] | None = None,
) -> list[int]:
    """Move all rows that are in `before` and meet the conditions; write an event for each.

    Returns
    -------
    list of int
        Their ids; empty where none was in that state any more.

    Raises
    ------
    ValueError
        If the tables of `lifecycle` do not hold the move: a mistake of ours.
    """
    if after not in MOVES[row][before]:
        raise ValueError(f"no move of {row.__tablename__} from {before} to {after}")
    moved = session.scalars(
        update(row)
        .where(row.state == before, *conditions)
        .values({"state": after, **(values or {})})
        .returning(row.id)
        .execution_options(synchronize_session=False)
    ).all()
    record(session, row, moved, before, after, cause=cause)
    return list(moved)


def record(
    session: Session,
    row: Row,
    ids: Sequence[int],
    before: State | None,
    after: State,
    *,
    cause: Cause,
) -> None:
    """Write an event for each row: of a move, or of its making where `before` is None."""
    if ids:
        session.execute(
            insert(EventRow),
            [
                {
                    "subject": row.__tablename__,
                    "subject_id": each,
                    "before": before,
                    "after": after,
                    "why": cause.why,
                    "by": cause.by,
                }
                for each in ids
            ],
        )


def move_one(
    session: Session,
    row: Row,
    row_id: int,
    befores: Sequence[State],
    after: State,
    *,
    cause: Cause,
    values: Mapping[str, object] | None = None,
) -> State:
    """Move one row from whichever of `befores` it is in, and return that.

    Raises
    ------
    Refused
        NOT_FOUND; MOVE_REFUSED where it is in another state.
    """
    state = session.scalar(select(row.state).where(row.id == row_id).with_for_update())
    if state is None:
        raise Refused(Code.NOT_FOUND, f"There is no {row.__tablename__} {row_id}.")
    for before in befores:
        if state == before:
            move(session, row, before, after, row.id == row_id, cause=cause, values=values)
            return before
    raise Refused(Code.MOVE_REFUSED, f"The {row.__tablename__} {row_id} is {state}.")
