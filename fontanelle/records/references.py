"""The normative references that this installation has, sealed by their digests."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.records.tables import ReferenceRow


@dataclass(frozen=True, slots=True)
class StoredReference:
    """A reference's document as it was loaded."""

    version: str
    reference_id: str
    document: str
    loaded_at: datetime


def load(session: Session, reference_id: str, version: str, document: str) -> bool:
    """Load a reference; True where it was not here. Its version is its digest: it never changes."""
    loaded = session.scalars(
        upsert(ReferenceRow)
        .values(version=version, reference_id=reference_id, document=document)
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(ReferenceRow.version)
    ).all()
    return bool(loaded)


def all_references(session: Session) -> list[StoredReference]:
    """Return all references, in the order of their names and loading."""
    rows = session.scalars(
        select(ReferenceRow).order_by(
            ReferenceRow.reference_id, ReferenceRow.loaded_at, ReferenceRow.version
        )
    )
    return [_value(row) for row in rows]


def latest(session: Session, reference_id: str) -> StoredReference:
    """Return the reference of a name that was loaded last.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN.
    """
    row = session.scalars(
        select(ReferenceRow)
        .where(ReferenceRow.reference_id == reference_id)
        .order_by(ReferenceRow.loaded_at.desc(), ReferenceRow.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        raise Refused(Code.REFERENCE_UNKNOWN, "There is no such reference.")
    return _value(row)


def _value(row: ReferenceRow) -> StoredReference:
    return StoredReference(row.version, row.reference_id, row.document, row.loaded_at)
