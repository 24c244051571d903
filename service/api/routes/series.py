"""What came in: series with their state, decision and reasons."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from fontanelle.records import analyses, series
from service.api.auth import ServiceDep
from service.api.lists import Cursor, Limit, before, cut, tagged
from service.api.models import (
    SeriesFound,
    SeriesOut,
    SeriesPage,
    SeriesWithAnalyses,
    Uid,
)

reading = APIRouter(prefix="/series", tags=["series"])


@reading.get("", response_model=SeriesPage)
def list_series(
    request: Request, service: ServiceDep, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Return what came in, the newest first."""
    with service.records.begin() as session:
        found = series.page(session, before_id=before(cursor), limit=limit + 1)
    items, following = cut(found, limit, lambda seen: seen.series_id)
    return tagged(request, SeriesPage(items=[SeriesOut.of(each) for each in items], next=following))


@reading.get("/{series_instance_uid}", response_model=SeriesFound)
def read_series(
    request: Request, service: ServiceDep, series_instance_uid: Annotated[Uid, Path()]
) -> Response:
    """Return the series of a UID with what was made of it."""
    with service.records.begin() as session:
        found = [
            SeriesWithAnalyses.with_analyses(each, analyses.of_series(session, each.series_id))
            for each in series.by_uid(session, series_instance_uid)
        ]
    return tagged(request, SeriesFound(items=found))
