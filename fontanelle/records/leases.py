"""How a worker takes, holds and ends an analysis: leases with fences, attempts counted first.

What a worker writes carries its fence. An older fence is refused, so a message delivered twice, a
worker that slept through its lease, or two workers at once leave one result.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Reason, Unavailable
from fontanelle.lifecycle import ENDED, AnalysisState, SeriesState
from fontanelle.records import deliveries
from fontanelle.records.analyses import OPEN, announce, replaced_by
from fontanelle.records.deliveries import Plan
from fontanelle.records.locks import lock_study_of
from fontanelle.records.moves import Cause, move
from fontanelle.records.series import (
    SeriesSeen,
    StoredInstance,
    instances_of,
    is_patient_in_doubt,
    of_study,
)
from fontanelle.records.tables import (
    AnalysisRow,
    DeliveryRow,
    ObjectRow,
    SeriesRow,
    StudyRow,
)
from fontanelle.records.times import after, ago, now

WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an analysis, for as long as no higher fence exists."""

    analysis_id: int
    fence: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker has to do: these instances, with this package and reference."""

    lease: Lease
    series_id: int
    series_revision: int
    package_sha256: str
    reference_version: str
    instances: tuple[StoredInstance, ...]
    series: tuple[SeriesSeen, ...]
    gestational_age_weeks: int | None = None
    head_circumference_cm: float | None = None


@dataclass(frozen=True, slots=True)
class NewObject:
    """A file that a worker has put into the store."""

    kind: str
    name: str
    sop_instance_uid: str | None
    store_key: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How an analysis ended.

    Attributes
    ----------
    state
        Succeeded or rejected.
    reasons
        Every limitation, the worst first.
    report_json
        The analysis object.
    """

    state: AnalysisState
    fitness: str | None
    reasons: tuple[Reason, ...]
    report_json: str
    objects: tuple[NewObject, ...]


def claim(session: Session, analysis_id: int, *, owner: str, lease_s: float) -> Work | None:
    """Take a queued analysis; None where somebody has it or it has ended.

    The attempt is counted here, before work begins: a worker that dies has used one.
    """
    taken = move(
        session,
        AnalysisRow,
        AnalysisState.QUEUED,
        AnalysisState.RUNNING,
        AnalysisRow.id == analysis_id,
        cause=Cause("taken", owner),
        values={
            "attempts": AnalysisRow.attempts + 1,
            "fence": AnalysisRow.fence + 1,
            "owner": owner,
            "lease_until": after(lease_s),
            "started_at": now(),
        },
    )
    if not taken:
        return None
    row, series = session.execute(
        select(AnalysisRow, SeriesRow)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .where(AnalysisRow.id == analysis_id)
    ).one()
    return Work(
        lease=Lease(row.id, row.fence, row.attempts),
        series_id=series.id,
        series_revision=row.series_revision,
        package_sha256=row.package_sha256,
        reference_version=row.reference_version,
        instances=instances_of(session, series.id, row.series_revision),
        series=tuple(of_study(session, series.study_id)),
        gestational_age_weeks=row.gestational_age_weeks,
        head_circumference_cm=row.head_circumference_cm,
    )


def renew(session: Session, lease: Lease, *, lease_s: float, wall_limit_s: float) -> None:
    """Hold a lease for longer, but no attempt beyond the wall limit.

    Raises
    ------
    Unavailable
        LEASE_LOST.
    """
    renewed = session.scalar(
        update(AnalysisRow)
        .where(*_mine(lease), AnalysisRow.started_at > ago(wall_limit_s))
        .values(lease_until=after(lease_s))
        .returning(AnalysisRow.id)
    )
    if renewed is None:
        raise _lost(lease)


def finish(session: Session, lease: Lease, ending: Ending, plans: Sequence[Plan]) -> AnalysisState:
    """Write a result with its objects and deliveries, and supersede what it replaces.

    Returns
    -------
    AnalysisState
        How it ended: cancelled where a newer analysis had taken its place.

    Raises
    ------
    Unavailable
        LEASE_LOST: another worker has the analysis, or a person cancelled it. Nothing is written.
    """
    row, series = _locked(session, lease)
    if _has_newer(session, row, series, ENDED):
        _cancel_outdated(session, lease)
        return AnalysisState.CANCELLED
    _supersede(session, row, series)
    reason = ending.reasons[0] if ending.reasons else None
    _end(
        session,
        lease,
        ending.state,
        reason,
        values={"fitness": ending.fitness, "report": json.loads(ending.report_json)},
    )
    dicom = _add_objects(session, lease.analysis_id, ending.objects)
    hold = _hold(session, series, row, ending)
    deliveries.plan(session, lease.analysis_id, dicom, plans, hold)
    return ending.state


def give_up(session: Session, lease: Lease, reason: Reason, *, attempts: int) -> AnalysisState:
    """End an attempt that failed by our fault: queued again, or failed after the last one.

    Where a newer analysis is to take its place, it is cancelled instead.

    Raises
    ------
    Unavailable
        LEASE_LOST.
    """
    return _give_up(session, *_locked(session, lease), reason, attempts)


def sweep(session: Session, *, attempts: int) -> list[tuple[int, AnalysisState]]:
    """Take analyses from workers that gave no sign: queued again, or failed after the last try."""
    # Index ix_analysis_open.
    found = session.execute(
        select(AnalysisRow, StudyRow.study_instance_uid)
        .join(SeriesRow, SeriesRow.id == AnalysisRow.series_id)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .where(AnalysisRow.state == AnalysisState.RUNNING, AnalysisRow.lease_until < now())
    )
    leases = [
        Lease(row.id, row.fence, row.attempts)
        for row, _uid in sorted(found, key=lambda pair: (pair[1], pair[0].id))
    ]
    swept = []
    for lease in leases:
        # Ended or renewed meanwhile: not ours to take.
        if held := _lock(session, lease, AnalysisRow.lease_until < now()):
            said = f"The worker died or stalled, at attempt {lease.attempt} of {attempts}."
            died = Reason(Code.WORKER_DIED, said)
            swept.append((lease.analysis_id, _give_up(session, *held, died, attempts)))
    return swept


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        AnalysisRow.id == lease.analysis_id,
        AnalysisRow.fence == lease.fence,
        AnalysisRow.state == AnalysisState.RUNNING,
    )


def _lost(lease: Lease) -> Unavailable:
    return Unavailable(
        Code.LEASE_LOST,
        f"Analysis {lease.analysis_id} was taken over or cancelled (fence {lease.fence}).",
    )


def _locked(session: Session, lease: Lease) -> tuple[AnalysisRow, SeriesRow]:
    held = _lock(session, lease)
    if held is None:
        raise _lost(lease)
    return held


def _lock(
    session: Session, lease: Lease, *conditions: ColumnElement[bool]
) -> tuple[AnalysisRow, SeriesRow] | None:
    """Lock the study, then the analysis: what ends at once ends one after the other."""
    series_id = session.scalar(
        select(AnalysisRow.series_id).where(AnalysisRow.id == lease.analysis_id)
    )
    if series_id is None:
        return None
    lock_study_of(session, series_id)
    row = session.scalars(
        select(AnalysisRow).where(*_mine(lease), *conditions).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    return row, session.scalars(select(SeriesRow).where(SeriesRow.id == series_id)).one()


def _give_up(
    session: Session, row: AnalysisRow, series: SeriesRow, reason: Reason, attempts: int
) -> AnalysisState:
    lease = Lease(row.id, row.fence, row.attempts)
    if _has_newer(session, row, series, ENDED | {*OPEN}):
        _cancel_outdated(session, lease)
        return AnalysisState.CANCELLED
    if lease.attempt < attempts:
        _end(session, lease, AnalysisState.QUEUED, reason, values={"queued_at": now()})
        announce(session, [lease.analysis_id])
        return AnalysisState.QUEUED
    _supersede(session, row, series)
    _end(session, lease, AnalysisState.FAILED, reason)
    return AnalysisState.FAILED


def _has_newer(
    session: Session, row: AnalysisRow, series: SeriesRow, states: Collection[AnalysisState]
) -> bool:
    """Tell whether a newer analysis in one of these states takes this one's place."""
    rivals = AnalysisRow.series_id == series.id
    if series.state == SeriesState.NOT_SELECTED:
        choice = select(SeriesRow.id).where(
            SeriesRow.study_id == series.study_id, SeriesRow.state == SeriesState.SELECTED
        )
        rivals |= AnalysisRow.series_id.in_(choice)
    newer = select(AnalysisRow.id).where(
        rivals, AnalysisRow.id > row.id, AnalysisRow.state.in_(states)
    )
    return session.scalar(newer.limit(1)) is not None


def _cancel_outdated(session: Session, lease: Lease) -> None:
    _end(
        session,
        lease,
        AnalysisState.CANCELLED,
        Reason(Code.SUPERSEDED, Code.SUPERSEDED.meaning),
    )


def _end(
    session: Session,
    lease: Lease,
    state: AnalysisState,
    reason: Reason | None,
    values: dict[str, object] | None = None,
) -> None:
    moved = move(
        session,
        AnalysisRow,
        AnalysisState.RUNNING,
        state,
        *_mine(lease),
        cause=Cause(reason.code if reason else "measured", WORKER),
        values={
            "owner": None,
            "lease_until": None,
            "ended_at": None if state is AnalysisState.QUEUED else now(),
            "code": reason.code if reason else None,
            "sentence": reason.sentence if reason else None,
        }
        | (values or {}),
    )
    if not moved:
        raise _lost(lease)


def _supersede(session: Session, row: AnalysisRow, series: SeriesRow) -> None:
    """Put earlier analyses aside: of this series, and of what the study's selection dropped."""
    for state in sorted(ENDED):
        ids = move(
            session,
            AnalysisRow,
            state,
            AnalysisState.SUPERSEDED,
            AnalysisRow.id < row.id,
            replaced_by(series),
            cause=Cause(f"analysis {row.id} took its place", WORKER),
        )
        if ids:
            deliveries.hold(
                session, DeliveryRow.analysis_id.in_(ids), code=Code.SUPERSEDED, by=WORKER
            )


def _add_objects(
    session: Session, analysis_id: int, objects: Sequence[NewObject]
) -> dict[int, str]:
    """Write the rows of the files; return id and kind of those that are DICOM."""
    dicom = {}
    for each in objects:
        object_id = session.scalars(
            insert(ObjectRow)
            .values(
                analysis_id=analysis_id,
                kind=each.kind,
                name=each.name,
                sop_instance_uid=each.sop_instance_uid,
                store_key=each.store_key,
                sha256=each.sha256,
                size_bytes=each.size_bytes,
            )
            .returning(ObjectRow.id)
        ).one()
        if each.sop_instance_uid is not None:
            dicom[object_id] = each.kind
    return dicom


def _hold(session: Session, series: SeriesRow, row: AnalysisRow, ending: Ending) -> Code | None:
    """Return why the result waits for a person, the gravest reason first."""
    if is_patient_in_doubt(session, series.study_id):
        return Code.PATIENT_CORRECTION
    if series.revision > row.series_revision or _has_newer(session, row, series, OPEN):
        return Code.SUPERSEDED
    codes = {reason.code for reason in ending.reasons}
    for code in (Code.OUTSIDE_INTENDED_USE, Code.IMPLAUSIBLE):
        if code in codes:
            return code
    return None
