"""Announcements to the workers: sent until somebody takes the work, whatever a broker loses."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fontanelle.lifecycle import AnalysisState
from fontanelle.records.tables import AnalysisRow, OutboxRow
from fontanelle.records.times import ago, now


def to_send(session: Session, *, again_s: float, again_limit: int, limit: int = 100) -> list[int]:
    """Return analyses to announce: the new ones, and the oldest whose message may be lost.

    Parameters
    ----------
    again_s
        A message that nobody answered for so long may be lost.
    again_limit
        How many of those at most: behind a long queue most messages only wait.
    """
    new = session.scalars(
        select(OutboxRow.analysis_id)
        .join(AnalysisRow, AnalysisRow.id == OutboxRow.analysis_id)
        .where(OutboxRow.sent_at.is_(None), AnalysisRow.state == AnalysisState.QUEUED)
        .order_by(OutboxRow.created_at)
        .limit(limit)
    ).all()
    lost = session.scalars(
        select(AnalysisRow.id)
        .join(OutboxRow, OutboxRow.analysis_id == AnalysisRow.id)
        .where(AnalysisRow.state == AnalysisState.QUEUED)
        .order_by(AnalysisRow.queued_at, AnalysisRow.id)
        .limit(again_limit)
    ).all()
    overdue = session.scalars(
        select(OutboxRow.analysis_id)
        .where(OutboxRow.analysis_id.in_(lost), OutboxRow.sent_at < ago(again_s))
        .order_by(OutboxRow.created_at)
    ).all()
    return [*new, *overdue]


def mark_sent(session: Session, analysis_ids: Sequence[int]) -> None:
    """Note that their messages were handed to the broker."""
    session.execute(
        update(OutboxRow).where(OutboxRow.analysis_id.in_(analysis_ids)).values(sent_at=now())
    )
