"""The order in which rows are locked, so that nobody waits in a circle.

A study first, then its series, then analyses, then deliveries; several studies in the order of
their UIDs. Whoever decides about a study, or plans or holds what it delivers, holds its row:
what another transaction has written but not ended cannot be seen, only waited for.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fontanelle.records.tables import SeriesRow, StudyRow


def lock_study(session: Session, study_id: int) -> None:
    """Hold a study until the transaction ends."""
    _hold(session, study_id)


def lock_study_of(session: Session, series_id: int) -> None:
    """Hold the study of a series until the transaction ends."""
    study_id = session.scalar(select(SeriesRow.study_id).where(SeriesRow.id == series_id))
    if study_id is not None:
        _hold(session, study_id)


def _hold(session: Session, study_id: int) -> None:
    # FOR NO KEY UPDATE: rows that refer to the study can be written meanwhile.
    session.execute(
        select(StudyRow.id).where(StudyRow.id == study_id).with_for_update(key_share=True)
    )
