"""The one door by which a reference or a calibration comes in: read, checked whole, then stored."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.norms.comparison import Tier
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.records import references

if TYPE_CHECKING:
    from fontanelle.norms.calibration import Calibration
    from fontanelle.norms.values import Reference

REFERENCE: Final = "reference"
CALIBRATION: Final = "calibration"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came in, or would have.

    Attributes
    ----------
    kind
        `reference` or `calibration`.
    name
        Of the reference; of a calibration, that of its reference.
    version
        Of what came in.
    is_new
        False where it was here already.
    """

    kind: str
    name: str
    version: str
    is_new: bool


def take(session: Session, text: str, *, by: str, dry_run: bool = False) -> Taken:
    """Store a reference (JSON or CSV) or a calibration (JSON), if nothing is wrong with it.

    Parameters
    ----------
    text
        Of the file.
    by
        Who brings it in.
    dry_run
        Do all but keep it.

    Raises
    ------
    Refused
        With everything that is wrong; REFERENCE_TAKEN where another version has the name.
    """
    act = _take_calibration if _is_calibration(text) else _take_reference
    savepoint = session.begin_nested()
    taken = act(session, text, by)
    if dry_run:
        savepoint.rollback()
    else:
        savepoint.commit()
    return taken


def checked(text: str) -> Taken:
    """Return what a file would be, where there are no records yet.

    Raises
    ------
    Refused
        As `take`; a calibration is not taken apart from the references that are here.
    """
    if _is_calibration(text):
        raise Refused(Code.REFERENCE_UNKNOWN, "There are no records to find its reference in.")
    from fontanelle.norms.table import read

    reference, _ = read(text)
    _refuse_name_of_product(reference)
    return Taken(REFERENCE, reference.id, reference.version, is_new=True)


def _is_calibration(text: str) -> bool:
    from fontanelle.norms.calibration import SCHEMA

    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(members, dict) and members.get("schema") == SCHEMA


def _take_reference(session: Session, text: str, by: str) -> Taken:
    from fontanelle.norms.table import read

    reference, document = read(text)
    _refuse_taken(session, reference)
    is_new = references.load(
        session, reference.id, reference.version, document, origin=references.IMPORTED, by=by
    )
    return Taken(REFERENCE, reference.id, reference.version, is_new)


def _refuse_taken(session: Session, reference: "Reference") -> None:
    """Refuse a reference whose name would mean another one from now on, in silence."""
    from fontanelle.norms.reference import load

    _refuse_name_of_product(reference)
    references.hold(session)
    for each in references.all_references(session):
        if each.reference_id != reference.id or each.version == reference.version:
            continue
        revision = load(each.document).revision
        if revision >= reference.revision:
            raise Refused(
                Code.REFERENCE_TAKEN,
                f"{reference.id} is here in revision {revision}, and this is another of revision "
                f"{reference.revision}: give it a higher one.",
            )


def _refuse_name_of_product(reference: "Reference") -> None:
    from fontanelle.norms.reference import shipped, shipped_ids

    if reference.id in shipped_ids() and shipped(reference.id).version != reference.version:
        raise Refused(
            Code.REFERENCE_TAKEN,
            f"{reference.id} is a reference of the product; give this one an id of its own.",
        )


def _take_calibration(session: Session, text: str, by: str) -> Taken:
    from fontanelle.norms.calibration import parse
    from fontanelle.norms.reference import load

    calibration = parse(text)
    stored = references.chosen(session, calibration.reference_version)
    reference = load(stored.document)
    if found := _misfits(calibration, reference):
        raise Malformed(
            Code.CALIBRATION_INVALID, "The calibration does not fit its reference.", found
        )
    # One of the product's may not have been loaded by a worker yet.
    references.load(session, stored.reference_id, stored.version, stored.document)
    version = f"{references.VERSION}{json.loads(text)['digest']['value']}"
    is_new = references.load_calibration(session, calibration, version, text, by=by)
    return Taken(CALIBRATION, reference.id, version, is_new)


def _misfits(calibration: "Calibration", reference: "Reference") -> list[Mistake]:
    least = reference.calibration.n_min_offset
    found = []
    if calibration.protocol != reference.label_protocol:
        found.append(Mistake("protocol", f"is not {reference.label_protocol}."))
    if [each.region for each in calibration.offsets] != list(reference.region_names):
        found.append(Mistake("offsets", "are not of the reference's regions, in their order."))
    if calibration.n < least:
        found.append(Mistake("n", f"is below {least}, the least that the reference asks for."))
    if Tier.LOCAL in reference.tiers:
        found.append(Mistake("reference_version", "is of a site's own children."))
    return found
