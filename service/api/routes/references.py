"""References, and the comparison of volumes that were measured elsewhere."""

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from fontanelle.errors import Code, Refused
from fontanelle.records import importing, references
from fontanelle.records.database import Transaction
from fontanelle.records.references import StoredCalibration, StoredReference
from service.api.auth import CallerDep, ServiceDep
from service.api.bodies import Body
from service.api.comparing import CompareIn, CompareOut, ReferenceName, compared_here
from service.api.lists import JSON, as_json, tagged
from service.api.models import (
    CalibrationOut,
    ReferenceDocument,
    ReferenceOut,
    ReferencesOut,
    TakenOut,
)
from service.api.once import Done, OnceDep

reading = APIRouter(tags=["references"])
administering = APIRouter(tags=["references"])

_FILE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "object", "title": "fontanelle.reference/1"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


class _Import(Body):
    text: str
    dry_run: bool


async def _text(request: Request) -> str:
    """Return the body as it stands: a digest is over numbers as they are written."""
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(Code.REQUEST_INVALID, "The body is no UTF-8 text.") from error


@reading.get("/references", response_model=ReferencesOut)
def list_references(request: Request, service: ServiceDep) -> Response:
    """Return the references of the product and those that were imported."""
    with service.records.begin() as session:
        found = references.with_shipped(references.all_references(session))
    return tagged(request, ReferencesOut(items=[_reference(each) for each in found]))


@reading.get("/references/{reference_id}", response_model=ReferenceDocument)
def read_reference(
    request: Request, service: ServiceDep, reference_id: Annotated[ReferenceName, Path()]
) -> Response:
    """Return a reference by its name (the one loaded last) or version, with all that it says."""
    with service.records.begin() as session:
        found = references.chosen(session, reference_id)
        calibrations = references.calibrations(session, found.version)
    answer = ReferenceDocument(
        **_reference(found).model_dump(),
        document=json.loads(found.document),
        calibrations=[_calibration(each) for each in calibrations],
    )
    return tagged(request, answer)


@administering.post("/references", status_code=201, response_model=TakenOut, openapi_extra=_FILE)
def import_reference(
    once: OnceDep,
    caller: CallerDep,
    text: Annotated[str, Depends(_text)],
    *,
    dry_run: bool = False,
) -> Response:
    """Take a reference (JSON or CSV) or a calibration (JSON); all mistakes are named at once.

    201 where it is new, 200 where it was here already or for a dry run, which keeps nothing.
    """

    def act(session: Transaction) -> Done:
        taken = importing.take(session, text, by=caller.name, dry_run=dry_run)
        status = 201 if taken.is_new and not dry_run else 200
        answer = TakenOut(
            kind=taken.kind,
            id=taken.name,
            version=taken.version,
            is_new=taken.is_new,
            dry_run=dry_run,
        )
        return Done(status, answer, f"/api/v1/references/{taken.name}")

    return once(_Import(text=text, dry_run=dry_run), act)


@reading.post("/compare", response_model=CompareOut)
def compare(service: ServiceDep, asked: CompareIn) -> Response:
    """Compare a child's volumes with a reference. Nothing is stored."""
    return as_json(compared_here(service, asked))


def _reference(stored: StoredReference) -> ReferenceOut:
    return ReferenceOut(
        id=stored.reference_id,
        version=stored.version,
        title=json.loads(stored.document).get("title"),
        origin=stored.origin,
        loaded_by=stored.loaded_by,
        loaded_at=stored.loaded_at,
    )


def _calibration(stored: StoredCalibration) -> CalibrationOut:
    return CalibrationOut(
        version=stored.version,
        package_sha256=stored.package_sha256,
        children=stored.n,
        made_at=stored.made_at,
        made_by=stored.made_by,
        loaded_by=stored.loaded_by,
        loaded_at=stored.loaded_at,
    )
