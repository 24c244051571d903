"""Series and studies: when they are complete, which is measured, what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Reason, Refused, code_of
from fontanelle.lifecycle import SeriesState
from fontanelle.records.locks import lock_study
from fontanelle.records.moves import Cause, move
from fontanelle.records.tables import AnalysisRow, ConflictRow, InstanceRow, SeriesRow, StudyRow
from fontanelle.records.times import now

DISPATCHER = "dispatcher"


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance on the spool."""

    spool_key: str
    sop_class_uid: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CompleteSeries:
    """A series of a quiet study, to be selected or not."""

    series_id: int
    series_instance_uid: str
    revision: int
    state: SeriesState
    instances: tuple[StoredInstance, ...]


@dataclass(frozen=True, slots=True)
class SeriesDecision:
    """Whether a series is measured, and why or why not; holds for the revision it was made of."""

    series_id: int
    revision: int
    selected: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class SeriesSeen:
    """A series as API and pages show it."""

    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    issuer: str | None
    accession_number: str | None
    study_date: str | None
    modality: str | None
    series_number: str | None
    description: str | None
    source: str
    state: SeriesState
    revision: int
    instances: int
    created_at: datetime
    received_at: datetime
    due_at: datetime
    reasons: tuple[Reason, ...]
    conflicts: tuple[tuple[Code, int], ...]


def close_quiet(session: Session) -> list[int]:
    """Close every series to which nothing came for its quiet period; return their ids."""
    # Index ix_series_due. What is just being written is not quiet, and is not waited for.
    ids = session.scalars(
        select(SeriesRow.id)
        .where(SeriesRow.state == SeriesState.RECEIVING, SeriesRow.due_at <= now())
        .order_by(SeriesRow.id)
        .with_for_update(skip_locked=True)
    ).all()
    if not ids:
        return []
    return move(
        session,
        SeriesRow,
        SeriesState.RECEIVING,
        SeriesState.COMPLETE,
        SeriesRow.id.in_(ids),
        cause=Cause("nothing came for the quiet period", DISPATCHER),
    )


def quiet_studies(session: Session, limit: int = 20) -> list[int]:
    """Return studies with something to decide and nothing still arriving, the oldest first."""
    receiving = select(SeriesRow.study_id).where(SeriesRow.state == SeriesState.RECEIVING)
    return list(
        session.scalars(
            select(SeriesRow.study_id)
            .where(
                SeriesRow.state == SeriesState.COMPLETE,
                SeriesRow.study_id.not_in(receiving),
            )
            .group_by(SeriesRow.study_id)
            .order_by(func.min(SeriesRow.received_at))
            .limit(limit)
        )
    )


def complete_series(session: Session, study_id: int) -> list[CompleteSeries]:
    """Return the series of a study with their instances."""
    found = session.scalars(
        select(SeriesRow).where(SeriesRow.study_id == study_id).order_by(SeriesRow.id)
    ).all()
    return [
        CompleteSeries(
            row.id,
            row.series_instance_uid,
            row.revision,
            SeriesState(row.state),
            instances_of(session, row.id, row.revision),
        )
        for row in found
    ]


def instances_of(session: Session, series_id: int, revision: int) -> tuple[StoredInstance, ...]:
    """Return the instances of a series up to a revision, in the order in which they came."""
    rows = session.execute(
        select(InstanceRow.spool_key, InstanceRow.sop_class_uid, InstanceRow.sha256)
        .where(InstanceRow.series_id == series_id, InstanceRow.revision <= revision)
        .order_by(InstanceRow.id)
    )
    return tuple(StoredInstance(*row) for row in rows)


def decide(session: Session, study_id: int, decisions: Sequence[SeriesDecision]) -> bool:
    """Write the decisions on all series of a study.

    Returns
    -------
    bool
        False, and nothing is written, where something came in since they were made.
    """
    lock_study(session, study_id)
    rows = {
        row.id: row
        for row in session.scalars(
            select(SeriesRow)
            .where(SeriesRow.study_id == study_id)
            .order_by(SeriesRow.id)
            .with_for_update()
        )
    }
    present = {(row.id, row.revision) for row in rows.values()}
    if present != {(each.series_id, each.revision) for each in decisions} or any(
        row.state == SeriesState.RECEIVING for row in rows.values()
    ):
        return False
    for decision in decisions:
        _decide(session, SeriesState(rows[decision.series_id].state), decision)
    return True


def page(session: Session, *, before_id: int | None = None, limit: int = 50) -> list[SeriesSeen]:
    """Return series, the newest first."""
    statement = _seen().order_by(SeriesRow.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(SeriesRow.id < before_id)
    return _values(session, statement)


def by_uid(session: Session, series_instance_uid: str) -> list[SeriesSeen]:
    """Return the series of a UID: one, unless two studies claim it.

    Raises
    ------
    Refused
        NOT_FOUND.
    """
    found = _values(session, _seen().where(SeriesRow.series_instance_uid == series_instance_uid))
    if not found:
        raise Refused(Code.NOT_FOUND, "There is no series of that UID.")
    return found


def of_study(session: Session, study_id: int) -> list[SeriesSeen]:
    """Return all series of a study."""
    return _values(session, _seen().where(SeriesRow.study_id == study_id).order_by(SeriesRow.id))


def study_of_analysis(session: Session, analysis_id: int) -> int:
    """Return the id of the study that an analysis is of.

    Raises
    ------
    Refused
        NOT_FOUND.
    """
    found = session.scalar(
        select(SeriesRow.study_id)
        .join(AnalysisRow, AnalysisRow.series_id == SeriesRow.id)
        .where(AnalysisRow.id == analysis_id)
    )
    if found is None:
        raise Refused(Code.NOT_FOUND, f"There is no analysis {analysis_id}.")
    return found


def reasons_from(stored: list[Any]) -> tuple[Reason, ...]:
    """Return reasons as values."""
    return tuple(Reason(code_of(each["code"]), each["sentence"]) for each in stored)


def reasons_to(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """Return reasons as they are stored."""
    return [{"code": str(each.code), "sentence": each.sentence} for each in reasons]


def _decide(session: Session, state: SeriesState, decision: SeriesDecision) -> None:
    after = SeriesState.SELECTED if decision.selected else SeriesState.NOT_SELECTED
    values = {"reasons": reasons_to(decision.reasons)}
    if state is after:
        session.execute(update(SeriesRow).where(SeriesRow.id == decision.series_id).values(values))
        return
    why = decision.reasons[0].code if decision.reasons else "the best of its study"
    move(
        session,
        SeriesRow,
        state,
        after,
        SeriesRow.id == decision.series_id,
        cause=Cause(why, DISPATCHER),
        values=values,
    )


def _seen() -> Select[SeriesRow, StudyRow, int]:
    count = (
        select(func.count(InstanceRow.id))
        .where(InstanceRow.series_id == SeriesRow.id)
        .scalar_subquery()
    )
    return select(SeriesRow, StudyRow, count).join(StudyRow, StudyRow.id == SeriesRow.study_id)


def _values(session: Session, statement: Select[SeriesRow, StudyRow, int]) -> list[SeriesSeen]:
    rows = session.execute(statement).all()
    conflicts = _conflicts(session, [series.id for series, _study, _count in rows])
    return [
        SeriesSeen(
            series_id=series.id,
            study_instance_uid=study.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            patient_id=study.patient_id,
            issuer=study.issuer,
            accession_number=study.accession_number,
            study_date=study.study_date,
            modality=series.modality,
            series_number=series.series_number,
            description=series.description,
            source=series.source,
            state=SeriesState(series.state),
            revision=series.revision,
            instances=count,
            created_at=series.created_at,
            received_at=series.received_at,
            due_at=series.due_at,
            reasons=reasons_from(series.reasons),
            conflicts=tuple(conflicts.get(series.id, ())),
        )
        for series, study, count in rows
    ]


def _conflicts(session: Session, series_ids: Sequence[int]) -> dict[int, list[tuple[Code, int]]]:
    found: dict[int, list[tuple[Code, int]]] = {}
    for series_id, code, count in session.execute(
        select(ConflictRow.series_id, ConflictRow.code, func.count())
        .where(ConflictRow.series_id.in_(series_ids))
        .group_by(ConflictRow.series_id, ConflictRow.code)
        .order_by(ConflictRow.code)
    ):
        found.setdefault(series_id or 0, []).append((code_of(code), count))
    return found


def is_patient_in_doubt(session: Session, study_id: int) -> bool:
    """Tell whether a study's patient was corrected, or its instances name more than one."""
    of_study = select(SeriesRow.id).where(SeriesRow.study_id == study_id)
    corrected = session.scalar(
        select(ConflictRow.id)
        .where(ConflictRow.series_id.in_(of_study), ConflictRow.code == Code.PATIENT_CORRECTION)
        .limit(1)
    )
    patients = session.scalar(
        select(func.count(InstanceRow.patient_digest.distinct())).where(
            InstanceRow.series_id.in_(of_study)
        )
    )
    return corrected is not None or (patients or 0) > 1
