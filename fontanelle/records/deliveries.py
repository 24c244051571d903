"""Deliveries: planned with the result, held or due, sent with a lease, every status kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, insert, select, update
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Reason, Refused, code_of
from fontanelle.lifecycle import DeliveryState
from fontanelle.records.moves import Cause, move, move_one, record
from fontanelle.records.tables import (
    AnalysisRow,
    DeliveryAttemptRow,
    DeliveryRow,
    ObjectRow,
    SeriesRow,
)
from fontanelle.records.times import after, now

GRAVITY: Final = (
    Code.PATIENT_CORRECTION,
    Code.SUPERSEDED,
    Code.REVIEW_REJECTED,
    Code.OUTSIDE_INTENDED_USE,
    Code.IMPLAUSIBLE,
    Code.AWAITING_REVIEW,
)
"""Why deliveries are held, the gravest first: that one is kept, and what it asks for is asked."""
HELD_FOR_REVIEW: Final = (
    Code.AWAITING_REVIEW,
    Code.OUTSIDE_INTENDED_USE,
    Code.IMPLAUSIBLE,
    Code.REVIEW_REJECTED,
)
"""What a reader's acceptance releases. A patient's correction and a newer analysis it does not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one destination is sent, and whether at once."""

    destination: str
    kinds: tuple[str, ...]
    after_review: bool


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A delivery that a courier has taken: what to send, and the fence that it answers with."""

    delivery_id: int
    analysis_id: int
    destination: str
    store_key: str
    sha256: str
    sop_instance_uid: str
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True)
class DeliverySeen:
    """A delivery as API and pages show it."""

    delivery_id: int
    analysis_id: int
    object_id: int
    kind: str
    destination: str
    state: DeliveryState
    reason: Reason | None
    attempts: int
    status: int | None
    due_at: datetime
    acknowledged_at: datetime | None


def plan(
    session: Session,
    analysis_id: int,
    objects: Mapping[int, str],
    plans: Sequence[Plan],
    hold: Code | None,
) -> None:
    """Write the deliveries of a result.

    Parameters
    ----------
    objects
        Id to kind of each object that is DICOM.
    hold
        Why all of them wait for a person; None where nothing but a destination's wish for a
        review does.
    """
    rows = []
    for destination in plans:
        code = hold or (Code.AWAITING_REVIEW if destination.after_review else None)
        rows += [
            {
                "analysis_id": analysis_id,
                "object_id": object_id,
                "destination": destination.destination,
                "state": DeliveryState.HELD if code else DeliveryState.DUE,
                "code": code,
                "sentence": code.meaning if code else None,
            }
            for object_id, kind in objects.items()
            if kind in destination.kinds
        ]
    if not rows:
        return
    made = session.execute(
        insert(DeliveryRow).returning(DeliveryRow.id, DeliveryRow.state), rows
    ).all()
    for state in (DeliveryState.HELD, DeliveryState.DUE):
        ids = [row.id for row in made if row.state == state]
        record(
            session, DeliveryRow, ids, None, state, cause=Cause("planned with the result", "worker")
        )


def claim(session: Session, destination: str, *, lease_s: float, limit: int = 20) -> list[Dispatch]:
    """Take what is due at a destination, counting the attempt before it begins.

    What another courier took and did not end within its lease is due again first.
    """
    _take_back(session, destination)
    # Index ix_delivery_due. Rows that another courier is just taking are passed over.
    ids = session.scalars(
        select(DeliveryRow.id)
        .where(
            DeliveryRow.destination == destination,
            DeliveryRow.state == DeliveryState.DUE,
            DeliveryRow.due_at <= now(),
        )
        .order_by(DeliveryRow.due_at, DeliveryRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if not ids:
        return []
    move(
        session,
        DeliveryRow,
        DeliveryState.DUE,
        DeliveryState.SENDING,
        DeliveryRow.id.in_(ids),
        cause=Cause("its time came", "courier"),
        values={
            "attempts": DeliveryRow.attempts + 1,
            "fence": DeliveryRow.fence + 1,
            "lease_until": after(lease_s),
        },
    )
    rows = session.execute(
        select(DeliveryRow, ObjectRow)
        .join(ObjectRow, ObjectRow.id == DeliveryRow.object_id)
        .where(DeliveryRow.id.in_(ids))
        .order_by(DeliveryRow.id)
    )
    return [
        Dispatch(
            delivery.id,
            delivery.analysis_id,
            delivery.destination,
            found.store_key,
            found.sha256,
            found.sop_instance_uid or "",
            delivery.attempts,
            delivery.fence,
        )
        for delivery, found in rows
    ]


def acknowledged(session: Session, dispatch: Dispatch, status: int, sentence: str) -> None:
    """Record that the destination has the object."""
    _tried(session, dispatch, Reason(Code.DESTINATION_STATUS, sentence), status)
    _end(
        session,
        dispatch,
        DeliveryState.ACKNOWLEDGED,
        Cause(f"status 0x{status:04X}", "courier"),
        {"status": status, "acknowledged_at": now(), "code": None, "sentence": None},
    )


def failed(
    session: Session,
    dispatch: Dispatch,
    reason: Reason,
    *,
    status: int | None,
    again_in_s: float | None,
) -> None:
    """Record an attempt that did not deliver; it is due again later, or dead where None.

    What was held while it was being sent is held now, and not sent again.
    """
    _tried(session, dispatch, reason, status)
    if _is_to_be_held(session, dispatch):
        cause = Cause(reason.code, "courier")
        values = {"status": status, "lease_until": None}
        _end(session, dispatch, DeliveryState.DUE, cause, values)
        _hold_what_is_to_be_held(session, [dispatch.delivery_id])
        return
    state = DeliveryState.DEAD if again_in_s is None else DeliveryState.DUE
    changed: dict[str, object] = {
        "status": status,
        "code": reason.code,
        "sentence": reason.sentence,
        "lease_until": None,
    }
    if again_in_s is not None:
        changed["due_at"] = after(again_in_s)
    _end(session, dispatch, state, Cause(reason.code, "courier"), changed)


def hold_study(session: Session, study_id: int, code: Code, *, by: str) -> list[int]:
    """Hold all that a study has still to deliver; a person has to look. Asks for its lock."""
    of_study = select(AnalysisRow.id).join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
    return hold(
        session,
        DeliveryRow.analysis_id.in_(of_study.where(SeriesRow.study_id == study_id)),
        code=code,
        by=by,
    )


def hold(session: Session, *conditions: ColumnElement[bool], code: Code, by: str) -> list[int]:
    """Hold what is due, and give what is held already the graver reason.

    What is being sent cannot be called back: the reason stands in its row until the attempt ends.
    """
    values = {"code": code, "sentence": code.meaning}
    graver = GRAVITY[: GRAVITY.index(code)]
    _lock_undelivered(session, *conditions)
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.state.in_((DeliveryState.HELD, DeliveryState.SENDING)),
            DeliveryRow.code.is_(None) | DeliveryRow.code.not_in(graver),
            *conditions,
        )
        .values(values)
    )
    return move(
        session,
        DeliveryRow,
        DeliveryState.DUE,
        DeliveryState.HELD,
        *conditions,
        cause=Cause(code, by),
        values=values,
    )


def release(session: Session, analysis_id: int, *, by: str) -> list[int]:
    """Let go what waited for a reader's acceptance."""
    session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.state == DeliveryState.SENDING,
            DeliveryRow.analysis_id == analysis_id,
            DeliveryRow.code.in_(HELD_FOR_REVIEW),
        )
        .values(code=None, sentence=None)
    )
    return move(
        session,
        DeliveryRow,
        DeliveryState.HELD,
        DeliveryState.DUE,
        DeliveryRow.analysis_id == analysis_id,
        DeliveryRow.code.in_(HELD_FOR_REVIEW),
        cause=Cause("accepted", by),
        values={"due_at": now(), "code": None, "sentence": None},
    )


def resend(session: Session, delivery_id: int, *, by: str) -> None:
    """Have the same bytes sent, or sent again, because a person says so.

    Raises
    ------
    Refused
        NOT_FOUND; MOVE_REFUSED where it is due or being sent.
    """
    move_one(
        session,
        DeliveryRow,
        delivery_id,
        (
            DeliveryState.HELD,
            DeliveryState.DEAD,
            DeliveryState.ACKNOWLEDGED,
            DeliveryState.COMMITTED,
        ),
        DeliveryState.DUE,
        cause=Cause("a person asked for it", by),
        values={"due_at": now(), "attempts": 0, "code": None, "sentence": None},
    )


def page(
    session: Session,
    *,
    state: DeliveryState | None = None,
    analysis_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[DeliverySeen]:
    """Return deliveries, the newest first."""
    statement = _seen().order_by(DeliveryRow.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(DeliveryRow.state == state)
    if analysis_id is not None:
        statement = statement.where(DeliveryRow.analysis_id == analysis_id)
    if before_id is not None:
        statement = statement.where(DeliveryRow.id < before_id)
    return _values(session, statement)


def undelivered(session: Session, limit: int = 100) -> list[DeliverySeen]:
    """Return what no destination has acknowledged yet, the newest first."""
    open_states = (
        DeliveryState.HELD,
        DeliveryState.DUE,
        DeliveryState.SENDING,
        DeliveryState.DEAD,
    )
    return _values(
        session,
        _seen()
        .where(DeliveryRow.state.in_(open_states))
        .order_by(DeliveryRow.id.desc())
        .limit(limit),
    )


def get(session: Session, delivery_id: int) -> DeliverySeen:
    """Return one delivery.

    Raises
    ------
    Refused
        NOT_FOUND.
    """
    found = _values(session, _seen().where(DeliveryRow.id == delivery_id))
    if not found:
        raise Refused(Code.NOT_FOUND, f"There is no delivery {delivery_id}.")
    return found[0]


def _seen() -> Select[DeliveryRow, str]:
    return select(DeliveryRow, ObjectRow.kind).join(
        ObjectRow, ObjectRow.id == DeliveryRow.object_id
    )


def _values(session: Session, statement: Select[DeliveryRow, str]) -> list[DeliverySeen]:
    return [
        DeliverySeen(
            delivery_id=row.id,
            analysis_id=row.analysis_id,
            object_id=row.object_id,
            kind=kind,
            destination=row.destination,
            state=DeliveryState(row.state),
            reason=Reason(code_of(row.code), row.sentence or "") if row.code else None,
            attempts=row.attempts,
            status=row.status,
            due_at=row.due_at,
            acknowledged_at=row.acknowledged_at,
        )
        for row, kind in session.execute(statement)
    ]


def statuses(session: Session, delivery_id: int) -> list[tuple[datetime, int | None, str]]:
    """Return when each attempt was made, its DIMSE status and what came of it."""
    rows = session.execute(
        select(DeliveryAttemptRow.at, DeliveryAttemptRow.status, DeliveryAttemptRow.sentence)
        .where(DeliveryAttemptRow.delivery_id == delivery_id)
        .order_by(DeliveryAttemptRow.id)
    )
    return [(row.at, row.status, row.sentence) for row in rows]


def _lock_undelivered(session: Session, *conditions: ColumnElement[bool]) -> None:
    """Let nobody take or end a delivery until the transaction ends.

    What a courier takes between two statements would be due in the one and sent in the other.
    """
    open_states = (DeliveryState.HELD, DeliveryState.DUE, DeliveryState.SENDING)
    session.execute(
        select(DeliveryRow.id)
        .where(DeliveryRow.state.in_(open_states), *conditions)
        .order_by(DeliveryRow.id)
        .with_for_update()
    )


def _take_back(session: Session, destination: str) -> None:
    """Make due again what a courier took and did not end within its lease."""
    ids = session.scalars(
        select(DeliveryRow.id)
        .where(
            DeliveryRow.destination == destination,
            DeliveryRow.state == DeliveryState.SENDING,
            DeliveryRow.lease_until < now(),
        )
        .with_for_update(skip_locked=True)
    ).all()
    if not ids:
        return
    move(
        session,
        DeliveryRow,
        DeliveryState.SENDING,
        DeliveryState.DUE,
        DeliveryRow.id.in_(ids),
        cause=Cause("the courier's lease ran out", "courier"),
    )
    _hold_what_is_to_be_held(session, ids)


def _is_to_be_held(session: Session, dispatch: Dispatch) -> bool:
    code = session.scalar(
        select(DeliveryRow.code)
        .where(
            DeliveryRow.id == dispatch.delivery_id,
            DeliveryRow.fence == dispatch.fence,
            DeliveryRow.state == DeliveryState.SENDING,
        )
        .with_for_update()
    )
    return code in GRAVITY


def _hold_what_is_to_be_held(session: Session, ids: Sequence[int]) -> None:
    move(
        session,
        DeliveryRow,
        DeliveryState.DUE,
        DeliveryState.HELD,
        DeliveryRow.id.in_(ids),
        DeliveryRow.code.in_(GRAVITY),
        cause=Cause("held while it was being sent", "courier"),
    )


def _tried(session: Session, dispatch: Dispatch, reason: Reason, status: int | None) -> None:
    session.execute(
        insert(DeliveryAttemptRow).values(
            delivery_id=dispatch.delivery_id,
            status=status,
            code=reason.code,
            sentence=reason.sentence,
        )
    )


def _end(
    session: Session,
    dispatch: Dispatch,
    state: DeliveryState,
    cause: Cause,
    values: Mapping[str, object],
) -> None:
    # An older fence changes nothing: another courier has the delivery, and its word counts.
    move(
        session,
        DeliveryRow,
        DeliveryState.SENDING,
        state,
        DeliveryRow.id == dispatch.delivery_id,
        DeliveryRow.fence == dispatch.fence,
        cause=cause,
        values=values,
    )
