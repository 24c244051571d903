"""Whether this process is well, whether it can serve, and how much of what there is."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel
from starlette.responses import Response

from fontanelle.errors import Reason, Unavailable
from fontanelle.lifecycle import AnalysisState, DeliveryState, SeriesState
from fontanelle.records import processes
from fontanelle.records.processes import Beat, Overdue, Overview
from service.api.auth import Service, ServiceDep
from service.api.lists import as_json
from service.api.models import ReasonOut

PROBE = b"fontanelle: the store can be written\n"
"""Always the same bytes, so it is one file whoever asks how often."""

opened = APIRouter(tags=["health"])
reading = APIRouter(tags=["health"])


class Health(BaseModel):
    """Whether all is well, and what is missing."""

    status: str
    missing: list[ReasonOut]


@opened.get("/healthz")
def healthz() -> Health:
    """Say that this process answers; asks nobody else."""
    return Health(status="ok", missing=[])


@opened.get("/readyz", response_model=Health, responses={503: {"model": Health}})
def readyz(service: ServiceDep) -> Response:
    """Say whether requests can be served: database, its schema, the store."""
    missing = [ReasonOut.of(reason) for reason in _missing(service)]
    if missing:
        return as_json(Health(status="not ready", missing=missing), 503)
    return as_json(Health(status="ready", missing=[]))


@reading.get("/metrics", response_class=Response)
def metrics(service: ServiceDep) -> Response:
    """Count what is in which state, for Prometheus. Numbers and names of states, nothing else."""
    with service.records.begin() as session:
        seen = _Seen(
            processes.overview(session), processes.overdue(session), processes.beats(session)
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(seen)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _missing(service: Service) -> Iterator[Reason]:
    from fontanelle.records import migrate

    try:
        url = service.records.engine.url.render_as_string(hide_password=False)
        migrate.check(url)
    except Unavailable as error:
        yield error.reason
    try:
        service.store.put(PROBE)
    except Unavailable as error:
        yield error.reason


class _Seen:
    """What one request saw, as Prometheus collects it."""

    def __init__(self, overview: Overview, overdue: Overdue, beats: list[Beat]) -> None:
        self._overview = overview
        self._overdue = overdue
        self._beats = beats

    def collect(self) -> Iterator[Metric]:
        overview = self._overview
        yield _states("series", SeriesState, overview.series)
        yield _states("analyses", AnalysisState, overview.analyses)
        yield _states("deliveries", DeliveryState, overview.deliveries)
        yield GaugeMetricFamily(
            "fontanelle_conflicts",
            "Instances kept beside one of the same UID",
            value=overview.conflicts,
        )
        yield self._waits()
        yield self._silence()

    def _waits(self) -> Metric:
        found = GaugeMetricFamily(
            "fontanelle_overdue_seconds", "How long the oldest due work has waited", labels=["of"]
        )
        overdue = self._overdue
        for of, seconds in (
            ("series", overdue.series_s),
            ("messages", overdue.outbox_s),
            ("analyses", overdue.analysis_s),
            ("deliveries", overdue.delivery_s),
        ):
            found.add_metric([of], seconds or 0.0)
        return found

    def _silence(self) -> Metric:
        found = GaugeMetricFamily(
            "fontanelle_silent_seconds", "Since the last sign of any process", labels=["role"]
        )
        silent_s: dict[str, float] = {}
        for beat in self._beats:
            silent_s[beat.role] = min(beat.silent_s, silent_s.get(beat.role, beat.silent_s))
        for role, seconds in silent_s.items():
            found.add_metric([role], seconds)
        return found


def _states(of: str, states: type[StrEnum], counts: Mapping[str, int]) -> Metric:
    found = GaugeMetricFamily(f"fontanelle_{of}", f"How many {of} are in a state", labels=["state"])
    for state in states:
        found.add_metric([state.value], counts.get(state, 0))
    return found
