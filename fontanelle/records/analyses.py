"""Analyses as a person asks for them and sees them: queue, cancel, retry, list, search.

How a worker takes and ends one is in `leases`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, Select, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, undefer

from fontanelle.errors import Code, Reason, Refused, code_of
from fontanelle.lifecycle import AnalysisState, SeriesState, Verdict
from fontanelle.records.locks import lock_study_of
from fontanelle.records.moves import Cause, move, move_one, record
from fontanelle.records.tables import AnalysisRow, ObjectRow, OutboxRow, SeriesRow, StudyRow
from fontanelle.records.times import now
from fontanelle.records.tooling import Tooling

OPEN = (AnalysisState.QUEUED, AnalysisState.RUNNING)


@dataclass(frozen=True, slots=True)
class AnalysisSeen:
    """An analysis as lists show it."""

    analysis_id: int
    study_instance_uid: str
    series_instance_uid: str
    series_revision: int
    patient_id: str
    issuer: str | None
    accession_number: str | None
    study_date: str | None
    state: AnalysisState
    fitness: str | None
    verdict: Verdict
    attempts: int
    package_name: str
    package_sha256: str
    reference_id: str
    reference_version: str
    requested_by: str
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A file of a result: where it lies in the store."""

    object_id: int
    kind: str
    name: str
    sop_instance_uid: str | None
    store_key: str
    sha256: str
    size_bytes: int


def queue(
    session: Session,
    series_id: int,
    revision: int,
    tooling: Tooling,
    *,
    by: str,
    gestational_age_weeks: int | None = None,
    head_circumference_cm: float | None = None,
) -> int:
    """Queue an analysis and its announcement; return its id.

    The same series revision with the same package and reference is analysed once: where such an
    analysis waits, runs or has ended, its id is returned. What still waits and would be replaced
    by this one, as that of an earlier revision, is cancelled.
    """
    # One at a time a study: two callers shall not both find nothing.
    lock_study_of(session, series_id)
    series = session.scalars(select(SeriesRow).where(SeriesRow.id == series_id)).one()
    same = (
        AnalysisRow.series_id == series_id,
        AnalysisRow.series_revision == revision,
        AnalysisRow.package_sha256 == tooling.package_sha256,
        AnalysisRow.reference_version == tooling.reference_version,
        AnalysisRow.gestational_age_weeks.is_not_distinct_from(gestational_age_weeks),
        AnalysisRow.head_circumference_cm.is_not_distinct_from(head_circumference_cm),
        AnalysisRow.state.not_in((AnalysisState.CANCELLED, AnalysisState.SUPERSEDED)),
    )
    known = session.scalar(select(AnalysisRow.id).where(*same))
    if known is not None:
        return known
    move(
        session,
        AnalysisRow,
        AnalysisState.QUEUED,
        AnalysisState.CANCELLED,
        replaced_by(series),
        cause=Cause(Code.SUPERSEDED, by),
        values={"ended_at": now(), "code": Code.SUPERSEDED, "sentence": Code.SUPERSEDED.meaning},
    )
    made = session.scalars(
        insert(AnalysisRow)
        .values(
            series_id=series_id,
            series_revision=revision,
            package_name=tooling.package_name,
            package_sha256=tooling.package_sha256,
            reference_id=tooling.reference_id,
            reference_version=tooling.reference_version,
            gestational_age_weeks=gestational_age_weeks,
            head_circumference_cm=head_circumference_cm,
            requested_by=by,
            state=AnalysisState.QUEUED,
        )
        .returning(AnalysisRow.id)
    ).one()
    record(session, AnalysisRow, [made], None, AnalysisState.QUEUED, cause=Cause("asked for", by))
    announce(session, [made])
    return made


def queue_selected(
    session: Session, series_id: int, revision: int, tooling: Tooling, *, by: str
) -> int | None:
    """Queue the analysis of a series that was selected; None where nothing is to be done.

    What a person cancelled stays cancelled, until a person asks again or the series grows. A
    gestational age or head circumference that somebody stated of this study holds for every later
    analysis of it.
    """
    lock_study_of(session, series_id)
    known = select(AnalysisRow.id).where(
        AnalysisRow.series_id == series_id,
        AnalysisRow.series_revision == revision,
        AnalysisRow.package_sha256 == tooling.package_sha256,
        AnalysisRow.reference_version == tooling.reference_version,
        AnalysisRow.state.not_in((AnalysisState.CANCELLED, AnalysisState.SUPERSEDED))
        | (AnalysisRow.code == Code.CANCELLED_BY_PERSON),
    )
    if session.scalar(known.limit(1)) is not None:
        return None
    return queue(session, series_id, revision, tooling, by=by, **_stated(session, series_id))


class _Stated(TypedDict):
    """What an order said of the child."""

    gestational_age_weeks: int | None
    head_circumference_cm: float | None


def _stated(session: Session, series_id: int) -> _Stated:
    """Return what was last said of the child in any analysis of the study."""
    study_id = select(SeriesRow.study_id).where(SeriesRow.id == series_id).scalar_subquery()

    def last(column: InstrumentedAttribute[Any]) -> Any:  # noqa: ANN401 (any column's value)
        return session.scalar(
            select(column)
            .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
            .where(SeriesRow.study_id == study_id, column.is_not(None))
            .order_by(AnalysisRow.id.desc())
            .limit(1)
        )

    return _Stated(
        gestational_age_weeks=last(AnalysisRow.gestational_age_weeks),
        head_circumference_cm=last(AnalysisRow.head_circumference_cm),
    )


def retool(session: Session, tooling: Tooling) -> list[int]:
    """Have what still waits made with what is served now: the tools it was asked with are gone."""
    other = (AnalysisRow.package_sha256 != tooling.package_sha256) | (
        AnalysisRow.reference_version != tooling.reference_version
    )
    # One that waits beside it with the present tools does its work; two would be one too many.
    beside = aliased(AnalysisRow)
    twin = exists().where(
        beside.series_id == AnalysisRow.series_id,
        beside.series_revision == AnalysisRow.series_revision,
        beside.state.in_(OPEN),
        beside.id != AnalysisRow.id,
    )
    return list(
        session.scalars(
            update(AnalysisRow)
            .where(AnalysisRow.state == AnalysisState.QUEUED, other, ~twin)
            .values(
                package_name=tooling.package_name,
                package_sha256=tooling.package_sha256,
                reference_id=tooling.reference_id,
                reference_version=tooling.reference_version,
            )
            .returning(AnalysisRow.id)
            .execution_options(synchronize_session=False)
        )
    )


def queue_for(
    session: Session,
    tooling: Tooling,
    *,
    by: str,
    series_instance_uid: str | None = None,
    study_instance_uid: str | None = None,
    accession_number: str | None = None,
    gestational_age_weeks: int | None = None,
    head_circumference_cm: float | None = None,
) -> int:
    """Queue what a person or a system asks for, by exactly one identifier.

    A series by its UID is taken whatever selection said of it; of a study its selected series.

    Raises
    ------
    Refused
        NOT_FOUND; AMBIGUOUS where an accession number belongs to several studies; MOVE_REFUSED
        where the series is still arriving, or the study has none that was selected.
    """
    if [series_instance_uid, study_instance_uid, accession_number].count(None) != 2:
        raise ValueError("exactly one identifier is needed")
    statement = select(SeriesRow).join(StudyRow, StudyRow.id == SeriesRow.study_id)
    if series_instance_uid is not None:
        statement = statement.where(SeriesRow.series_instance_uid == series_instance_uid)
    elif study_instance_uid is not None:
        statement = statement.where(StudyRow.study_instance_uid == study_instance_uid)
    else:
        statement = statement.where(StudyRow.accession_number == accession_number)
    found = session.scalars(statement.order_by(SeriesRow.id)).all()
    if not found:
        raise Refused(Code.NOT_FOUND, "Nothing of that identifier came in.")
    if len({row.study_id for row in found}) > 1:
        raise Refused(Code.AMBIGUOUS, "The identifier belongs to more than one study.")
    if series_instance_uid is None:
        found = [row for row in found if row.state == SeriesState.SELECTED]
    if not found or found[0].state == SeriesState.RECEIVING:
        raise Refused(
            Code.MOVE_REFUSED, "The series is still arriving, or no series can be measured."
        )
    return queue(
        session,
        found[0].id,
        found[0].revision,
        tooling,
        by=by,
        gestational_age_weeks=gestational_age_weeks,
        head_circumference_cm=head_circumference_cm,
    )


def replaced_by(series: SeriesRow) -> ColumnElement[bool]:
    """Return what an analysis of a series takes the place of.

    Those of the same series, and where it is its study's choice, of series that were dropped.
    """
    same = AnalysisRow.series_id == series.id
    if series.state != SeriesState.SELECTED:
        return same
    dropped = select(SeriesRow.id).where(
        SeriesRow.study_id == series.study_id, SeriesRow.state == SeriesState.NOT_SELECTED
    )
    return same | AnalysisRow.series_id.in_(dropped)


def announce(session: Session, analysis_ids: Sequence[int]) -> None:
    """Put analyses into the outbox, also those that were announced before."""
    for analysis_id in analysis_ids:
        session.execute(
            upsert(OutboxRow)
            .values(analysis_id=analysis_id)
            .on_conflict_do_update(
                index_elements=["analysis_id"], set_={"created_at": now(), "sent_at": None}
            )
        )


def cancel(session: Session, analysis_id: int, *, by: str) -> None:
    """Cancel what waits or runs; a running worker finds its lease gone.

    Raises
    ------
    Refused
        NOT_FOUND; MOVE_REFUSED where it has ended.
    """
    code = Code.CANCELLED_BY_PERSON
    move_one(
        session,
        AnalysisRow,
        analysis_id,
        OPEN,
        AnalysisState.CANCELLED,
        cause=Cause(code, by),
        values={"ended_at": now(), "owner": None, "code": code, "sentence": code.meaning}
        | {"fence": AnalysisRow.fence + 1},
    )


def retry(session: Session, analysis_id: int, *, by: str) -> None:
    """Have a failed analysis tried again, with all its attempts.

    Raises
    ------
    Refused
        NOT_FOUND; MOVE_REFUSED where it has not failed, or a newer one of the series is open.
    """
    series_id = session.scalar(select(AnalysisRow.series_id).where(AnalysisRow.id == analysis_id))
    if series_id is not None:
        lock_study_of(session, series_id)
    newer = select(AnalysisRow.id).where(
        AnalysisRow.series_id == series_id,
        AnalysisRow.id > analysis_id,
        AnalysisRow.state.in_(OPEN),
    )
    if session.scalar(newer.limit(1)) is not None:
        raise Refused(Code.MOVE_REFUSED, "A newer analysis of the series waits or runs.")
    move_one(
        session,
        AnalysisRow,
        analysis_id,
        (AnalysisState.FAILED,),
        AnalysisState.QUEUED,
        cause=Cause("a person asked for another try", by),
        values={"attempts": 0, "ended_at": None, "code": None, "sentence": None}
        | {"queued_at": now(), "started_at": None},
    )
    announce(session, [analysis_id])


def page(
    session: Session,
    *,
    states: Sequence[AnalysisState] = (),
    fitness: str | None = None,
    since: datetime | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[AnalysisSeen]:
    """Return analyses, the newest first. Walks the indices on (state, id) or the primary key."""
    statement = _seen().order_by(AnalysisRow.id.desc()).limit(limit)
    if states:
        statement = statement.where(AnalysisRow.state.in_(states))
    if fitness is not None:
        statement = statement.where(AnalysisRow.fitness == fitness)
    if since is not None:
        statement = statement.where(AnalysisRow.queued_at >= since)
    if before_id is not None:
        statement = statement.where(AnalysisRow.id < before_id)
    return _values(session, statement)


def search(
    session: Session,
    *,
    patient_id: str | None = None,
    issuer: str | None = None,
    accession_number: str | None = None,
    study_instance_uid: str | None = None,
    limit: int = 200,
) -> list[AnalysisSeen]:
    """Return the analyses of a patient (identifier and issuer) or of a study.

    Raises
    ------
    Refused
        AMBIGUOUS where an accession number belongs to several studies.
    """
    statement = _seen().order_by(AnalysisRow.id.desc()).limit(limit)
    if study_instance_uid is not None:
        statement = statement.where(StudyRow.study_instance_uid == study_instance_uid)
    elif accession_number is not None:
        statement = statement.where(StudyRow.accession_number == accession_number)
        studies = session.scalars(
            select(StudyRow.id).where(StudyRow.accession_number == accession_number).limit(2)
        ).all()
        if len(studies) > 1:
            raise Refused(Code.AMBIGUOUS, "The accession number belongs to more than one study.")
    else:
        statement = statement.where(
            StudyRow.patient_id == patient_id, StudyRow.issuer.is_not_distinct_from(issuer)
        )
    return _values(session, statement)


def of_patient_id(session: Session, patient_id: str, limit: int = 200) -> list[AnalysisSeen]:
    """Return the analyses of all patients of an identifier, whoever issued it."""
    statement = _seen().where(StudyRow.patient_id == patient_id)
    return _values(session, statement.order_by(AnalysisRow.id.desc()).limit(limit))


def get(session: Session, analysis_id: int) -> AnalysisSeen:
    """Return one analysis.

    Raises
    ------
    Refused
        NOT_FOUND.
    """
    found = _values(session, _seen().where(AnalysisRow.id == analysis_id))
    if not found:
        raise Refused(Code.NOT_FOUND, f"There is no analysis {analysis_id}.")
    return found[0]


def report(session: Session, analysis_id: int) -> dict[str, Any] | None:
    """Return the analysis object that the worker stored; None where there is none yet."""
    row = session.scalars(
        select(AnalysisRow)
        .where(AnalysisRow.id == analysis_id)
        .options(undefer(AnalysisRow.report))
    ).one_or_none()
    return None if row is None else row.report


def objects(session: Session, analysis_id: int) -> list[StoredObject]:
    """Return the files of a result."""
    rows = session.scalars(
        select(ObjectRow).where(ObjectRow.analysis_id == analysis_id).order_by(ObjectRow.id)
    )
    return [
        StoredObject(
            row.id,
            row.kind,
            row.name,
            row.sop_instance_uid,
            row.store_key,
            row.sha256,
            row.size_bytes,
        )
        for row in rows
    ]


def of_series(session: Session, series_id: int) -> list[AnalysisSeen]:
    """Return the analyses of a series, the newest first."""
    return _values(
        session, _seen().where(AnalysisRow.series_id == series_id).order_by(AnalysisRow.id.desc())
    )


def newest_of(session: Session, series_ids: Sequence[int]) -> dict[int, AnalysisSeen]:
    """Return the newest analysis of each of these series that has one."""
    ids = (
        select(func.max(AnalysisRow.id))
        .where(AnalysisRow.series_id.in_(series_ids))
        .group_by(AnalysisRow.series_id)
    )
    statement = _seen().where(AnalysisRow.id.in_(ids))
    series_of = {row.id: series.id for row, series, _study in session.execute(statement)}
    return {series_of[each.analysis_id]: each for each in _values(session, statement)}


def ages(session: Session, analysis_ids: Sequence[int]) -> dict[int, int | None]:
    """Return the age in days, where it is known, of the child of each analysis that has ended."""
    age = AnalysisRow.report["patient"]["age_days"].as_integer()
    statement = select(AnalysisRow.id, age).where(
        AnalysisRow.id.in_(analysis_ids), AnalysisRow.report.is_not(None)
    )
    return dict(iter(session.execute(statement)))


def _seen() -> Select[AnalysisRow, SeriesRow, StudyRow]:
    return (
        select(AnalysisRow, SeriesRow, StudyRow)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
    )


def _values(
    session: Session, statement: Select[AnalysisRow, SeriesRow, StudyRow]
) -> list[AnalysisSeen]:
    return [
        AnalysisSeen(
            analysis_id=row.id,
            study_instance_uid=study.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            series_revision=row.series_revision,
            patient_id=study.patient_id,
            issuer=study.issuer,
            accession_number=study.accession_number,
            study_date=study.study_date,
            state=AnalysisState(row.state),
            fitness=row.fitness,
            verdict=Verdict(row.verdict),
            attempts=row.attempts,
            package_name=row.package_name,
            package_sha256=row.package_sha256,
            reference_id=row.reference_id,
            reference_version=row.reference_version,
            requested_by=row.requested_by,
            queued_at=row.queued_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            reason=Reason(code_of(row.code), row.sentence or "") if row.code else None,
        )
        for row, series, study in session.execute(statement)
    ]
