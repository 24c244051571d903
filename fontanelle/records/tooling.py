"""With what analyses are made: as the workers say it when they start."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.records.tables import ToolingRow
from fontanelle.records.times import now


@dataclass(frozen=True, slots=True)
class Tooling:
    """Package and reference, by name and digest."""

    package_name: str
    package_sha256: str
    reference_id: str
    reference_version: str


def register(session: Session, tooling: Tooling) -> None:
    """Say that a worker serves this from now on."""
    session.execute(
        upsert(ToolingRow)
        .values(
            package_name=tooling.package_name,
            package_sha256=tooling.package_sha256,
            reference_id=tooling.reference_id,
            reference_version=tooling.reference_version,
        )
        .on_conflict_do_update(
            index_elements=["package_sha256", "reference_version"], set_={"seen_at": now()}
        )
    )


def served(session: Session) -> Tooling | None:
    """Return what the worker that started last serves; None before the first has started."""
    row = session.scalars(select(ToolingRow).order_by(ToolingRow.seen_at.desc()).limit(1)).first()
    if row is None:
        return None
    return Tooling(row.package_name, row.package_sha256, row.reference_id, row.reference_version)
