"""The references and calibrations that this installation has, sealed by their digests.

A row never changes and never goes (a trigger of the schema sees to it): a result points at the
version that it used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.norms.comparison import Tier
from fontanelle.norms.values import UNKNOWN_SITE, Site
from fontanelle.records.tables import CalibrationRow, ReferenceRow

if TYPE_CHECKING:
    from fontanelle.norms.calibration import Calibration
    from fontanelle.norms.values import Reference

SHIPPED: Final = "shipped"
IMPORTED: Final = "imported"
PRODUCT: Final = "fontanelle"
VERSION: Final = "sha256:"
"""What a version begins with, and no name does."""


@dataclass(frozen=True, slots=True)
class StoredReference:
    """A reference's document as it was loaded.

    Attributes
    ----------
    origin
        `shipped` with the product, or `imported`.
    loaded_by
        Who brought it in.
    loaded_at
        None where it comes with the product and nobody has loaded it yet.
    """

    version: str
    reference_id: str
    document: str
    loaded_at: datetime | None
    origin: str = SHIPPED
    loaded_by: str = PRODUCT


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """A calibration's document as it was loaded, and what is asked of it most."""

    version: str
    reference_version: str
    package_sha256: str
    n: int
    made_at: datetime
    made_by: str
    document: str
    loaded_by: str
    loaded_at: datetime


def load(
    session: Session,
    reference_id: str,
    version: str,
    document: str,
    *,
    origin: str = SHIPPED,
    by: str = PRODUCT,
) -> bool:
    """Load a reference; True where it was not here. Its version is its digest: it never changes."""
    loaded = session.scalars(
        upsert(ReferenceRow)
        .values(
            version=version,
            reference_id=reference_id,
            document=document,
            origin=origin,
            loaded_by=by,
        )
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(ReferenceRow.version)
    ).all()
    return bool(loaded)


def load_calibration(
    session: Session, calibration: "Calibration", version: str, document: str, *, by: str
) -> bool:
    """Load a calibration of a reference that is here; True where it was not here itself."""
    loaded = session.scalars(
        upsert(CalibrationRow)
        .values(
            version=version,
            reference_version=calibration.reference_version,
            package_sha256=calibration.package_sha256,
            n=calibration.n,
            made_at=calibration.made_at,
            made_by=calibration.by,
            document=document,
            loaded_by=by,
        )
        .on_conflict_do_nothing(index_elements=["version"])
        .returning(CalibrationRow.version)
    ).all()
    return bool(loaded)


def hold(session: Session) -> None:
    """Let nobody else load a reference until the transaction ends; reading goes on."""
    session.execute(text("LOCK TABLE reference IN SHARE ROW EXCLUSIVE MODE"))


def all_references(session: Session) -> list[StoredReference]:
    """Return all references, in the order of their names and loading."""
    rows = session.scalars(
        select(ReferenceRow).order_by(
            ReferenceRow.reference_id, ReferenceRow.loaded_at, ReferenceRow.version
        )
    )
    return [_value(row) for row in rows]


def with_shipped(stored: Iterable[StoredReference]) -> list[StoredReference]:
    """Return stored references and those of the product that are not among them, by name."""
    from fontanelle.norms.reference import shipped, shipped_document, shipped_ids

    found = list(stored)
    here = {each.version for each in found}
    for name in shipped_ids():
        version = shipped(name).version
        if version not in here:
            found.append(StoredReference(version, name, shipped_document(name), None))
    return sorted(found, key=lambda each: each.reference_id)


def chosen(session: Session, wanted: str) -> StoredReference:
    """Return the reference that a name or a version means.

    A name of the product's means the one that comes with this version of it; any other the one
    imported last. `sha256:` and a digest mean exactly that one.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN.
    """
    return among(with_shipped(all_references(session)), wanted)


def among(found: Iterable[StoredReference], wanted: str) -> StoredReference:
    """Return the one of these that a name or a version means, as `chosen` does.

    Parameters
    ----------
    found
        As `with_shipped` gives them: of a name, the one loaded last comes last.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN.
    """
    from fontanelle.norms.reference import shipped, shipped_ids

    sought = shipped(wanted).version if wanted in shipped_ids() else wanted
    is_version = sought.startswith(VERSION)
    matching = [
        each for each in found if sought == (each.version if is_version else each.reference_id)
    ]
    if not matching:
        raise Refused(Code.REFERENCE_UNKNOWN, "There is no such reference.")
    return matching[-1]


def calibrations(session: Session, reference_version: str) -> list[StoredCalibration]:
    """Return the calibrations of a reference, the one loaded last first."""
    rows = session.scalars(
        select(CalibrationRow)
        .where(CalibrationRow.reference_version == reference_version)
        .order_by(CalibrationRow.loaded_at.desc(), CalibrationRow.version.desc())
    )
    return [_calibration(row) for row in rows]


def newest_version(session: Session, name: str) -> str | None:
    """Return the version of a name that was imported last; None where there is none."""
    # Index ix_reference_reference_id.
    return session.scalar(
        select(ReferenceRow.version)
        .where(ReferenceRow.reference_id == name)
        .order_by(ReferenceRow.loaded_at.desc(), ReferenceRow.version.desc())
        .limit(1)
    )


def document(session: Session, version: str) -> str | None:
    """Return the document of a version; None where it is not here."""
    return session.scalar(select(ReferenceRow.document).where(ReferenceRow.version == version))


def own_site(reference: "Reference") -> Site:
    """Return how well a site is known that knows nothing beside a reference."""
    from fontanelle.norms.calibration import status_of

    if Tier.LOCAL not in reference.tiers:
        return UNKNOWN_SITE
    # Made of the site's own children: nothing is left to be measured.
    n = int(reference.population.n.value)
    return Site(status_of(n, reference), n=n)


def site(session: Session, reference: "Reference", package_sha256: str) -> Site:
    """Return how well this site is known for a package and a reference."""
    from fontanelle.norms.calibration import parse, status_of

    if Tier.LOCAL in reference.tiers:
        return own_site(reference)
    # Index ix_calibration_reference_version_package_sha256.
    newest = session.scalars(
        select(CalibrationRow)
        .where(
            CalibrationRow.reference_version == reference.version,
            CalibrationRow.package_sha256 == package_sha256,
        )
        .order_by(CalibrationRow.loaded_at.desc(), CalibrationRow.version.desc())
        .limit(1)
    ).first()
    if newest is None:
        return UNKNOWN_SITE
    offsets = parse(newest.document).offsets
    return Site(status_of(newest.n, reference), offsets, newest.n, newest.version)


def _value(row: ReferenceRow) -> StoredReference:
    return StoredReference(
        row.version, row.reference_id, row.document, row.loaded_at, row.origin, row.loaded_by
    )


def _calibration(row: CalibrationRow) -> StoredCalibration:
    return StoredCalibration(
        version=row.version,
        reference_version=row.reference_version,
        package_sha256=row.package_sha256,
        n=row.n,
        made_at=row.made_at,
        made_by=row.made_by,
        document=row.document,
        loaded_by=row.loaded_by,
        loaded_at=row.loaded_at,
    )
