"""Deliveries: where each object is on its way, and sending one again."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from fontanelle.lifecycle import DeliveryState
from fontanelle.records import deliveries
from fontanelle.records.database import Transaction
from service.api.auth import ReviewerDep, ServiceDep
from service.api.lists import Cursor, Limit, before, cut, tagged
from service.api.models import DeliveriesPage, DeliveryOut, Id
from service.api.once import Done, OnceDep

reading = APIRouter(prefix="/deliveries", tags=["deliveries"])
acting = APIRouter(prefix="/deliveries", tags=["deliveries"])


@reading.get("", response_model=DeliveriesPage)
def list_deliveries(
    request: Request,
    service: ServiceDep,
    state: DeliveryState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Return deliveries, the newest first."""
    with service.records.begin() as session:
        found = deliveries.page(session, state=state, before_id=before(cursor), limit=limit + 1)
    items, following = cut(found, limit, lambda seen: seen.delivery_id)
    page = DeliveriesPage(items=[DeliveryOut.of(each) for each in items], next=following)
    return tagged(request, page)


@acting.post("/{delivery_id}/resend", response_model=DeliveryOut)
def resend(once: OnceDep, person: ReviewerDep, delivery_id: Annotated[Id, Path()]) -> Response:
    """Have the same bytes sent, or sent again. What is held goes out: so a person has to ask."""

    def act(session: Transaction) -> Done:
        deliveries.resend(session, delivery_id, by=person)
        return Done(200, DeliveryOut.of(deliveries.get(session, delivery_id)))

    return once(None, act)
