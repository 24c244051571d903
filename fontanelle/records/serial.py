"""The same child's earlier analyses, as they were stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.records.series import is_patient_in_doubt
from fontanelle.records.tables import AnalysisRow, SeriesRow, StudyRow

LIMIT: Final = 10
"""Earlier analyses that are looked at, the latest scans first."""


@dataclass(frozen=True, slots=True)
class StoredVisit:
    """An ended analysis of a patient: its report, and the day of its study.

    Attributes
    ----------
    study_date
        As in the header, `YYYYMMDD`; None where absent.
    is_patient_in_doubt
        A person has to look whose study it is.
    """

    analysis_id: int
    study_date: str | None
    report: dict[str, Any]
    is_patient_in_doubt: bool


@dataclass(frozen=True, slots=True)
class Present:
    """The study that is being analysed."""

    study_date: str | None
    is_patient_in_doubt: bool


def present(session: Session, series_id: int) -> Present:
    """Return the day of a series' study, and whether its patient is in doubt."""
    study = _study(session, series_id)
    return Present(study.study_date, is_patient_in_doubt(session, study.id))


def earlier(session: Session, series_id: int) -> Sequence[StoredVisit]:
    """Return the analyses of other series of the same patient, up to this study's day.

    The same patient: identifier and issuer alike. Without an identifier or a study date nothing is
    returned, nor where a person rejected the result.
    """
    study = _study(session, series_id)
    if not study.patient_id or not study.study_date:
        return ()
    # Index ix_study_patient_id_issuer.
    found = session.execute(
        select(AnalysisRow, StudyRow)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(
            StudyRow.patient_id == study.patient_id,
            StudyRow.issuer.is_not_distinct_from(study.issuer),
            StudyRow.study_date <= study.study_date,
            AnalysisRow.series_id != series_id,
            AnalysisRow.state == AnalysisState.SUCCEEDED,
            AnalysisRow.verdict != Verdict.REJECTED,
            AnalysisRow.report.is_not(None),
        )
        .options(undefer(AnalysisRow.report))
        .order_by(StudyRow.study_date.desc(), AnalysisRow.id.desc())
        .limit(LIMIT)
    )
    return [
        StoredVisit(
            row.id, other.study_date, row.report or {}, is_patient_in_doubt(session, other.id)
        )
        for row, other in found
    ]


def _study(session: Session, series_id: int) -> StudyRow:
    return session.scalars(
        select(StudyRow)
        .join(SeriesRow, SeriesRow.study_id == StudyRow.id)
        .where(SeriesRow.id == series_id)
    ).one()
