"""Signs of life of the roles, and what is due: what a supervisor and a person look at."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.lifecycle import AnalysisState, DeliveryState, SeriesState
from fontanelle.records.tables import (
    AnalysisRow,
    ConflictRow,
    DeliveryRow,
    OutboxRow,
    ProcessRow,
    SeriesRow,
)
from fontanelle.records.times import ago, now

FORGOTTEN_S = 3600.0
"""A process that gave no sign for so long is gone from the table."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A process of a role, how long ago it gave a sign, and since when it works on what."""

    name: str
    role: str
    pid: int
    silent_s: float
    analysis_id: int | None
    working_s: float | None


@dataclass(frozen=True, slots=True)
class Overdue:
    """What nobody has taken although it was due, in seconds since it was; None where nothing is."""

    series_s: float | None
    outbox_s: float | None
    analysis_s: float | None
    delivery_s: float | None


@dataclass(frozen=True, slots=True)
class Overview:
    """How many rows are in which state."""

    series: dict[str, int]
    analyses: dict[str, int]
    deliveries: dict[str, int]
    conflicts: int


def process_name(role: str) -> str:
    """Return the name of this process: role, machine and process id."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def beat(session: Session, role: str, *, analysis_id: int | None = None) -> None:
    """Give a sign of life."""
    statement = upsert(ProcessRow).values(
        name=process_name(role), role=role, pid=os.getpid(), analysis_id=analysis_id
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"beat_at": now(), "analysis_id": analysis_id}
        )
    )


def leave(session: Session, role: str) -> None:
    """Take this process, and all that were silent for long, from the table."""
    session.execute(
        delete(ProcessRow).where(
            (ProcessRow.name == process_name(role)) | (ProcessRow.beat_at < ago(FORGOTTEN_S))
        )
    )


def beats(session: Session) -> list[Beat]:
    """Return all processes that gave a sign lately."""
    rows = session.execute(
        select(ProcessRow, AnalysisRow.started_at, now())
        .outerjoin(AnalysisRow, AnalysisRow.id == ProcessRow.analysis_id)
        .where(ProcessRow.beat_at > ago(FORGOTTEN_S))
        .order_by(ProcessRow.role, ProcessRow.name)
    )
    return [
        Beat(
            row.name,
            row.role,
            row.pid,
            (at - row.beat_at).total_seconds(),
            row.analysis_id,
            None if started is None else (at - started).total_seconds(),
        )
        for row, started, at in rows
    ]


def overdue(session: Session) -> Overdue:
    """Return for how long the oldest due work of each kind has waited.

    A queued analysis waits its turn behind a running one: it counts from when the last one ended,
    and from when the last worker came.
    """
    at = session.scalars(select(now())).one()
    running = session.scalar(select(func.count()).where(AnalysisRow.state == AnalysisState.RUNNING))
    queued = (
        select(
            func.greatest(
                func.min(AnalysisRow.queued_at),
                select(func.max(AnalysisRow.ended_at)).scalar_subquery(),
                select(func.max(ProcessRow.started_at))
                .where(ProcessRow.role == "worker")
                .scalar_subquery(),
            )
        )
        .where(AnalysisRow.state == AnalysisState.QUEUED)
        .having(func.count() > 0)
    )
    unsent = (
        select(func.min(OutboxRow.created_at))
        .join(AnalysisRow, AnalysisRow.id == OutboxRow.analysis_id)
        .where(AnalysisRow.state == AnalysisState.QUEUED, OutboxRow.sent_at.is_(None))
    )
    return Overdue(
        series_s=_since(
            at,
            session.scalar(
                select(func.min(SeriesRow.due_at)).where(SeriesRow.state == SeriesState.RECEIVING)
            ),
        ),
        outbox_s=_since(at, session.scalar(unsent)),
        analysis_s=None if running else _since(at, session.scalar(queued)),
        delivery_s=_since(
            at,
            session.scalar(
                select(func.min(DeliveryRow.due_at)).where(DeliveryRow.state == DeliveryState.DUE)
            ),
        ),
    )


def overview(session: Session) -> Overview:
    """Count what is where."""
    return Overview(
        series=_counts(session, SeriesRow),
        analyses=_counts(session, AnalysisRow),
        deliveries=_counts(session, DeliveryRow),
        conflicts=session.scalar(select(func.count(ConflictRow.id))) or 0,
    )


def _since(at: datetime, since: datetime | None) -> float | None:
    if since is None or since > at:
        return None
    return (at - since) / timedelta(seconds=1)


def _counts(
    session: Session, row: type[SeriesRow] | type[AnalysisRow] | type[DeliveryRow]
) -> dict[str, int]:
    counted = session.execute(select(row.state, func.count()).group_by(row.state))
    return dict(iter(counted))
