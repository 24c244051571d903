"""Readers' words on results; the latest counts, all are kept."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.records import deliveries
from fontanelle.records.tables import AnalysisRow, DeliveryRow, ReviewRow


@dataclass(frozen=True, slots=True)
class Review:
    """One word of one reader.

    Attributes
    ----------
    normal
        Whether the child's head is a normal one; None where the reader did not say.
    """

    verdict: Verdict
    comment: str
    person: str
    at: datetime
    normal: bool | None = None


def add(
    session: Session,
    analysis_id: int,
    verdict: Verdict,
    *,
    comment: str,
    person: str,
    normal: bool | None = None,
) -> None:
    """Record a reader's word; acceptance releases what waited for it, rejection holds the rest.

    Parameters
    ----------
    normal
        Whether the child's head is a normal one: what a site's own reference is made of.

    Raises
    ------
    Refused
        NOT_FOUND; MOVE_REFUSED where there is no result to speak of.
    """
    state = session.scalar(
        select(AnalysisRow.state).where(AnalysisRow.id == analysis_id).with_for_update()
    )
    if state is None:
        raise Refused(Code.NOT_FOUND, f"There is no analysis {analysis_id}.")
    if state != AnalysisState.SUCCEEDED:
        raise Refused(Code.MOVE_REFUSED, f"Analysis {analysis_id} is {state}: nothing to review.")
    session.execute(
        insert(ReviewRow).values(
            analysis_id=analysis_id,
            verdict=verdict,
            normal=normal,
            comment=comment,
            person=person,
        )
    )
    session.execute(
        update(AnalysisRow).where(AnalysisRow.id == analysis_id).values(verdict=verdict)
    )
    if verdict is Verdict.ACCEPTED:
        deliveries.release(session, analysis_id, by=person)
    else:
        deliveries.hold(
            session,
            DeliveryRow.analysis_id == analysis_id,
            code=Code.REVIEW_REJECTED,
            by=person,
        )


def of(session: Session, analysis_id: int) -> list[Review]:
    """Return all words on a result, the latest first."""
    rows = session.scalars(
        select(ReviewRow).where(ReviewRow.analysis_id == analysis_id).order_by(ReviewRow.id.desc())
    )
    return [
        Review(Verdict(row.verdict), row.comment, row.person, row.at, row.normal) for row in rows
    ]
