"""The schema, on one page. Rows stay inside `records`; what leaves are frozen values.

Constraints stand here and in the database: two processes race, and Python cannot see it.
Migrations (`migrations/`) make the same schema; a test compares the two.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fontanelle.lifecycle import ENDED, AnalysisState, DeliveryState, SeriesState, Verdict

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Words(TypeDecorator[str]):
    """Text without what PostgreSQL cannot hold, NUL and lone surrogates: a header may have both."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace("\x00", "").encode(errors="replace").decode()


class Base(DeclarativeBase):
    """Root of the mapped classes."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own way)
        datetime: DateTime(timezone=True),
        str: Words(),
        int: BigInteger(),
        float: Double(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }


def _id() -> Mapped[int]:
    return mapped_column(Identity(), primary_key=True)


def _now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


def _one_of(column: str, values: Any) -> CheckConstraint:  # noqa: ANN401 (any enumeration)
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=column)


class StudyRow(Base):
    """A study of which something came in."""

    __tablename__ = "study"
    __table_args__ = (Index(None, "patient_id", "issuer"), Index(None, "accession_number"))

    id: Mapped[int] = _id()
    study_instance_uid: Mapped[str] = mapped_column(unique=True)
    patient_id: Mapped[str]
    issuer: Mapped[str | None]
    patient_digest: Mapped[str]
    accession_number: Mapped[str | None]
    study_date: Mapped[str | None]
    created_at: Mapped[datetime] = _now()


class SeriesRow(Base):
    """A series, from its first instance on."""

    __tablename__ = "series"
    __table_args__ = (
        UniqueConstraint("study_id", "series_instance_uid"),
        Index(None, "series_instance_uid"),
        Index("ix_series_due", "due_at", postgresql_where=text("state = 'receiving'")),
        Index("ix_series_complete", "study_id", postgresql_where=text("state = 'complete'")),
        _one_of("state", SeriesState),
    )

    id: Mapped[int] = _id()
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    series_instance_uid: Mapped[str]
    state: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    modality: Mapped[str | None]
    series_number: Mapped[str | None]
    description: Mapped[str | None]
    source: Mapped[str]
    due_at: Mapped[datetime]
    received_at: Mapped[datetime] = _now()
    created_at: Mapped[datetime] = _now()
    reasons: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))


class InstanceRow(Base):
    """One kept instance: where it lies on the spool."""

    __tablename__ = "instance"

    id: Mapped[int] = _id()
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    sop_instance_uid: Mapped[str] = mapped_column(unique=True)
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
    spool_key: Mapped[str] = mapped_column(unique=True)
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    revision: Mapped[int]
    patient_digest: Mapped[str]
    received_at: Mapped[datetime] = _now()


class ConflictRow(Base):
    """An instance that came under a UID which was here with other content. Both are kept."""

    __tablename__ = "conflict"

    id: Mapped[int] = _id()
    sop_instance_uid: Mapped[str] = mapped_column(index=True)
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"), index=True)
    code: Mapped[str]
    spool_key: Mapped[str] = mapped_column(unique=True)
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    calling_ae_title: Mapped[str]
    received_at: Mapped[datetime] = _now()


class RefusalRow(Base):
    """Who was refused, from where and why; counted, so that a stubborn sender fills nothing."""

    __tablename__ = "refusal"
    __table_args__ = (UniqueConstraint("calling_ae_title", "called_ae_title", "host", "code"),)

    id: Mapped[int] = _id()
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    host: Mapped[str]
    code: Mapped[str]
    sentence: Mapped[str]
    count: Mapped[int]
    first_at: Mapped[datetime] = _now()
    last_at: Mapped[datetime] = _now()


_OPEN: Final = text("state IN ('queued', 'running')")
_ENDED: Final = text(f"state IN ({', '.join(repr(str(state)) for state in sorted(ENDED))})")


class AnalysisRow(Base):
    """One run: one series revision, one package, one reference."""

    __tablename__ = "analysis"
    __table_args__ = (
        # One at a time of the same, and one that counts: whatever is delivered twice.
        Index(
            "uq_analysis_open",
            "series_id",
            "series_revision",
            "package_sha256",
            "reference_version",
            "gestational_age_weeks",
            "head_circumference_cm",
            unique=True,
            postgresql_where=_OPEN,
            postgresql_nulls_not_distinct=True,
        ),
        Index("uq_analysis_current", "series_id", unique=True, postgresql_where=_ENDED),
        Index("ix_analysis_open", "state", "id", postgresql_where=_OPEN),
        Index("ix_analysis_state", "state", "id"),
        Index("ix_analysis_fitness", "fitness", "id"),
        Index("ix_analysis_ended_at", "ended_at"),
        _one_of("state", AnalysisState),
        _one_of("verdict", Verdict),
    )

    id: Mapped[int] = _id()
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id"), index=True)
    series_revision: Mapped[int]
    package_name: Mapped[str]
    package_sha256: Mapped[str]
    reference_id: Mapped[str]
    reference_version: Mapped[str]
    gestational_age_weeks: Mapped[int | None]
    head_circumference_cm: Mapped[float | None]
    requested_by: Mapped[str]
    state: Mapped[str]
    fitness: Mapped[str | None]
    verdict: Mapped[str] = mapped_column(server_default=Verdict.UNREVIEWED)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    fence: Mapped[int] = mapped_column(server_default=text("0"))
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    queued_at: Mapped[datetime] = _now()
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    code: Mapped[str | None]
    sentence: Mapped[str | None]
    report: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)


class ObjectRow(Base):
    """A file rendered from a result."""

    __tablename__ = "object"
    __table_args__ = (UniqueConstraint("analysis_id", "name"),)

    id: Mapped[int] = _id()
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"))
    kind: Mapped[str]
    name: Mapped[str]
    sop_instance_uid: Mapped[str | None] = mapped_column(unique=True)
    store_key: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int]


class OutboxRow(Base):
    """An analysis that has to be announced to the workers."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_unsent", "created_at", postgresql_where=text("sent_at IS NULL")),
    )

    analysis_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"), primary_key=True)
    created_at: Mapped[datetime] = _now()
    sent_at: Mapped[datetime | None]


class DeliveryRow(Base):
    """One object on its way to one destination."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("object_id", "destination"),
        Index(
            "ix_delivery_due",
            "destination",
            "due_at",
            postgresql_where=text("state IN ('due', 'sending')"),
        ),
        _one_of("state", DeliveryState),
    )

    id: Mapped[int] = _id()
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"), index=True)
    object_id: Mapped[int] = mapped_column(ForeignKey("object.id"))
    destination: Mapped[str]
    state: Mapped[str]
    code: Mapped[str | None]
    sentence: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    fence: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = _now()
    lease_until: Mapped[datetime | None]
    status: Mapped[int | None]
    acknowledged_at: Mapped[datetime | None]


class DeliveryAttemptRow(Base):
    """What one attempt at a delivery met: every status is kept."""

    __tablename__ = "delivery_attempt"

    id: Mapped[int] = _id()
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"), index=True)
    at: Mapped[datetime] = _now()
    status: Mapped[int | None]
    code: Mapped[str | None]
    sentence: Mapped[str]


class ReviewRow(Base):
    """A reader's word on a result; a further word is a further row."""

    __tablename__ = "review"
    __table_args__ = (_one_of("verdict", (Verdict.ACCEPTED, Verdict.REJECTED)),)

    id: Mapped[int] = _id()
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analysis.id"), index=True)
    verdict: Mapped[str]
    normal: Mapped[bool | None]
    comment: Mapped[str]
    person: Mapped[str]
    at: Mapped[datetime] = _now()


class EventRow(Base):
    """A move of a series, an analysis or a delivery: when, from, to, why, by whom."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "subject", "subject_id"),)

    id: Mapped[int] = _id()
    subject: Mapped[str]
    subject_id: Mapped[int]
    at: Mapped[datetime] = _now()
    before: Mapped[str | None]
    after: Mapped[str]
    why: Mapped[str]
    by: Mapped[str]


class ApiKeyRow(Base):
    """An API key: a person's or a system's name and what it may do; never the key itself."""

    __tablename__ = "api_key"
    __table_args__ = (
        _one_of("holder", ("person", "system")),
        _one_of("role", ("read", "review", "admin")),
    )

    id: Mapped[int] = _id()
    name: Mapped[str]
    holder: Mapped[str]
    role: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = _now()
    revoked_at: Mapped[datetime | None]


class BrowserSessionRow(Base):
    """A person's session in a browser; the cookie holds what this digest is of."""

    __tablename__ = "browser_session"

    digest: Mapped[str] = mapped_column(primary_key=True)
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id"))
    created_at: Mapped[datetime] = _now()
    expires_at: Mapped[datetime]


class IdempotentAnswerRow(Base):
    """What a POST with an Idempotency-Key was answered, for the second time that it comes."""

    __tablename__ = "idempotent_answer"
    __table_args__ = (UniqueConstraint("caller", "key"),)

    id: Mapped[int] = _id()
    caller: Mapped[str]
    key: Mapped[str]
    request_sha256: Mapped[str]
    status: Mapped[int]
    location: Mapped[str | None]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _now()


class ReferenceRow(Base):
    """A normative reference, sealed by its digest. A trigger keeps every row as it came."""

    __tablename__ = "reference"
    __table_args__ = (_one_of("origin", ("shipped", "imported")),)

    version: Mapped[str] = mapped_column(primary_key=True)
    reference_id: Mapped[str] = mapped_column(index=True)
    document: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default="shipped")
    loaded_by: Mapped[str] = mapped_column(server_default="fontanelle")
    loaded_at: Mapped[datetime] = _now()


class CalibrationRow(Base):
    """A site's offsets from a reference under a package; the latest counts, and none changes."""

    __tablename__ = "calibration"
    __table_args__ = (Index(None, "reference_version", "package_sha256"),)

    version: Mapped[str] = mapped_column(primary_key=True)
    reference_version: Mapped[str] = mapped_column(ForeignKey("reference.version"))
    package_sha256: Mapped[str]
    n: Mapped[int]
    made_at: Mapped[datetime]
    made_by: Mapped[str]
    document: Mapped[str]
    loaded_by: Mapped[str]
    loaded_at: Mapped[datetime] = _now()


class ToolingRow(Base):
    """A package and a reference that a worker serves: what new analyses are made with."""

    __tablename__ = "tooling"

    package_sha256: Mapped[str] = mapped_column(primary_key=True)
    reference_version: Mapped[str] = mapped_column(primary_key=True)
    package_name: Mapped[str]
    reference_id: Mapped[str]
    seen_at: Mapped[datetime] = _now()


class ProcessRow(Base):
    """A running role and its last sign of life."""

    __tablename__ = "process"

    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = _now()
    beat_at: Mapped[datetime] = _now()
    analysis_id: Mapped[int | None]
