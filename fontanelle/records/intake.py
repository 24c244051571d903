"""What came in: instances on the spool become rows of study, series and instance.

The spool is the truth of what was received; these rows are its index, and can be made again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.errors import Code, code_of
from fontanelle.lifecycle import SeriesState
from fontanelle.records.deliveries import hold_study
from fontanelle.records.locks import lock_study
from fontanelle.records.moves import Cause, move, record
from fontanelle.records.tables import ConflictRow, InstanceRow, RefusalRow, SeriesRow, StudyRow
from fontanelle.records.times import after

INDEXER = "listener"


@dataclass(frozen=True, slots=True)
class Received:
    """One kept instance as its header says, for the index.

    Attributes
    ----------
    spool_key
        Where its file lies.
    sha256
        Digest of transfer syntax and data set.
    patient_digest
        Digest of all patient attributes (group 0010): another one is another patient, or the
        same one corrected.
    source
        Calling AE title.
    quiet_period_s
        Of this source.
    """

    spool_key: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    sha256: str
    size_bytes: int
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    issuer: str | None
    patient_digest: str
    accession_number: str | None
    study_date: str | None
    modality: str | None
    series_number: str | None
    description: str | None
    source: str
    quiet_period_s: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """An instance that was kept beside the one that has its UID."""

    spool_key: str
    sop_instance_uid: str
    sha256: str
    size_bytes: int
    code: Code
    calling_ae_title: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A peer, or an instance of it, that was refused, and how often since the last report."""

    calling_ae_title: str
    called_ae_title: str
    host: str
    code: Code
    sentence: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """A refusal as the pages show it."""

    refusal: Refusal
    first_at: datetime
    last_at: datetime


def index(session: Session, received: Sequence[Received]) -> int:
    """Write the rows of instances that are not indexed yet; return how many there were.

    An instance that comes after its series was complete opens the series' next revision. An
    instance whose patient differs from the study's holds what the study has still to deliver.
    """
    by_series: dict[tuple[str, str], list[Received]] = {}
    for each in received:
        by_series.setdefault((each.study_instance_uid, each.series_instance_uid), []).append(each)
    # In one order: two processes that index the same studies must not wait for one another.
    return sum(_index_series(session, by_series[key]) for key in sorted(by_series))


def indexed_keys(session: Session) -> set[str]:
    """Return the spool keys that have a row, of instances and of conflicts."""
    keys = set(session.scalars(select(InstanceRow.spool_key)))
    return keys | set(session.scalars(select(ConflictRow.spool_key)))


def add_conflict(session: Session, conflict: Conflict) -> None:
    """Record an instance that was kept beside another; hold what a correction puts in doubt."""
    series_id, study_id = session.execute(
        select(InstanceRow.series_id, SeriesRow.study_id)
        .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
        .where(InstanceRow.sop_instance_uid == conflict.sop_instance_uid)
    ).one_or_none() or (None, None)
    if study_id is not None:
        lock_study(session, study_id)
    made = session.scalar(
        upsert(ConflictRow)
        .values(
            spool_key=conflict.spool_key,
            sop_instance_uid=conflict.sop_instance_uid,
            series_id=series_id,
            code=conflict.code,
            sha256=conflict.sha256,
            size_bytes=conflict.size_bytes,
            calling_ae_title=conflict.calling_ae_title,
        )
        .on_conflict_do_nothing(index_elements=["spool_key"])
        .returning(ConflictRow.id)
    )
    # A sender that tries again and again takes nothing back that a person has let go.
    is_doubt = made is not None and conflict.code is Code.PATIENT_CORRECTION
    if is_doubt and study_id is not None:
        hold_study(session, study_id, Code.PATIENT_CORRECTION, by=INDEXER)


def add_refusals(session: Session, refusals: Iterable[Refusal]) -> None:
    """Count refusals."""
    for refusal in refusals:
        statement = upsert(RefusalRow).values(
            calling_ae_title=refusal.calling_ae_title,
            called_ae_title=refusal.called_ae_title,
            host=refusal.host,
            code=refusal.code,
            sentence=refusal.sentence,
            count=refusal.count,
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["calling_ae_title", "called_ae_title", "host", "code"],
                set_={
                    "count": RefusalRow.count + statement.excluded.count,
                    "sentence": statement.excluded.sentence,
                    "last_at": func.now(),
                },
            )
        )


def refusals(session: Session, limit: int = 100) -> list[RefusalCount]:
    """Return who was refused, the latest first."""
    rows = session.scalars(select(RefusalRow).order_by(RefusalRow.last_at.desc()).limit(limit))
    return [
        RefusalCount(
            Refusal(
                row.calling_ae_title,
                row.called_ae_title,
                row.host,
                code_of(row.code),
                row.sentence,
                row.count,
            ),
            row.first_at,
            row.last_at,
        )
        for row in rows
    ]


def _index_series(session: Session, received: Sequence[Received]) -> int:
    study = _study(session, received[0])
    series = _series(session, study.id, received[0])
    known = set(
        session.scalars(
            select(InstanceRow.sop_instance_uid).where(
                InstanceRow.sop_instance_uid.in_([each.sop_instance_uid for each in received])
            )
        )
    )
    new = {each.sop_instance_uid: each for each in received if each.sop_instance_uid not in known}
    if not new:
        return 0
    revision = _open(session, series, max(each.quiet_period_s for each in new.values()))
    made = session.scalars(
        upsert(InstanceRow).on_conflict_do_nothing().returning(InstanceRow.id),
        [_instance(each, series.id, revision) for each in new.values()],
    ).all()
    is_other = any(each.patient_digest != study.patient_digest for each in new.values())
    if Code.PATIENT_CORRECTION in _adopted(session, series.id, list(new)) or is_other:
        hold_study(session, study.id, Code.PATIENT_CORRECTION, by=INDEXER)
    return len(made)


def _adopted(session: Session, series_id: int, sop_instance_uids: Sequence[str]) -> Sequence[str]:
    """Give a series the conflicts that were recorded before their instances; return their codes."""
    return session.scalars(
        update(ConflictRow)
        .where(ConflictRow.sop_instance_uid.in_(sop_instance_uids), ConflictRow.series_id.is_(None))
        .values(series_id=series_id)
        .returning(ConflictRow.code)
    ).all()


def _study(session: Session, received: Received) -> StudyRow:
    session.execute(
        upsert(StudyRow)
        .values(
            study_instance_uid=received.study_instance_uid,
            patient_id=received.patient_id,
            issuer=received.issuer,
            patient_digest=received.patient_digest,
            accession_number=received.accession_number,
            study_date=received.study_date,
        )
        .on_conflict_do_nothing(index_elements=["study_instance_uid"])
    )
    study = session.scalars(
        select(StudyRow).where(StudyRow.study_instance_uid == received.study_instance_uid)
    ).one()
    lock_study(session, study.id)
    return study


def _series(session: Session, study_id: int, received: Received) -> SeriesRow:
    made = session.scalars(
        upsert(SeriesRow)
        .values(
            study_id=study_id,
            series_instance_uid=received.series_instance_uid,
            state=SeriesState.RECEIVING,
            modality=received.modality,
            series_number=received.series_number,
            description=received.description,
            source=received.source,
            due_at=after(received.quiet_period_s),
        )
        .on_conflict_do_nothing(index_elements=["study_id", "series_instance_uid"])
        .returning(SeriesRow.id)
    ).all()
    record(
        session,
        SeriesRow,
        made,
        None,
        SeriesState.RECEIVING,
        cause=Cause("the first instance came", INDEXER),
    )
    return session.scalars(
        select(SeriesRow)
        .where(
            SeriesRow.study_id == study_id,
            SeriesRow.series_instance_uid == received.series_instance_uid,
        )
        .with_for_update()
    ).one()


def _open(session: Session, series: SeriesRow, quiet_period_s: float) -> int:
    """Put off the end of the series, opening its next revision if it was complete already."""
    values = {"due_at": after(quiet_period_s), "received_at": func.now()}
    state = SeriesState(series.state)
    if state is SeriesState.RECEIVING:
        # Never earlier than another, slower source of the same series was given.
        values["due_at"] = func.greatest(SeriesRow.due_at, values["due_at"])
        session.execute(update(SeriesRow).where(SeriesRow.id == series.id).values(values))
        return series.revision
    move(
        session,
        SeriesRow,
        state,
        SeriesState.RECEIVING,
        SeriesRow.id == series.id,
        cause=Cause("a late instance came", INDEXER),
        values=values | {"revision": series.revision + 1},
    )
    return series.revision + 1


def _instance(received: Received, series_id: int, revision: int) -> dict[str, object]:
    return {
        "series_id": series_id,
        "sop_instance_uid": received.sop_instance_uid,
        "sop_class_uid": received.sop_class_uid,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "spool_key": received.spool_key,
        "sha256": received.sha256,
        "size_bytes": received.size_bytes,
        "revision": revision,
        "patient_digest": received.patient_digest,
    }
