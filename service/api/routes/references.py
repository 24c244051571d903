"""References, and the comparison of volumes that were measured elsewhere."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from fontanelle.records import references
from fontanelle.records.references import StoredReference
from service.api.auth import ServiceDep
from service.api.comparing import CompareIn, CompareOut, compared
from service.api.lists import as_json, tagged
from service.api.models import Name, ReferenceDocument, ReferenceOut, ReferencesOut

reading = APIRouter(tags=["references"])


@reading.get("/references", response_model=ReferencesOut)
def list_references(request: Request, service: ServiceDep) -> Response:
    """Return the references that this installation has."""
    with service.records.begin() as session:
        found = references.all_references(session)
    return tagged(request, ReferencesOut(items=[_reference(each) for each in found]))


@reading.get("/references/{reference_id}", response_model=ReferenceDocument)
def read_reference(
    request: Request, service: ServiceDep, reference_id: Annotated[Name, Path()]
) -> Response:
    """Return the reference of a name that was loaded last, with all that it says."""
    with service.records.begin() as session:
        found = references.latest(session, reference_id)
    document = json.loads(found.document)
    return tagged(request, ReferenceDocument(**_reference(found).model_dump(), document=document))


@reading.post("/compare", response_model=CompareOut)
def compare(service: ServiceDep, asked: CompareIn) -> Response:
    """Compare a child's volumes with a reference. Nothing is stored."""
    with service.records.begin() as session:
        found = references.latest(session, asked.reference)
    return as_json(compared(asked, found.document))


def _reference(stored: StoredReference) -> ReferenceOut:
    return ReferenceOut(
        id=stored.reference_id,
        version=stored.version,
        title=json.loads(stored.document).get("title"),
        loaded_at=stored.loaded_at,
    )
