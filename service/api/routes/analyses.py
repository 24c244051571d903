"""Analyses: ask for one, find them, read one, say a word on its result."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from fontanelle.errors import Code, Refused, Unavailable
from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.records import analyses, reviews, tooling
from fontanelle.records.database import Transaction
from fontanelle.records.tooling import Tooling
from service.api.analysis_object import assembled
from service.api.auth import CallerDep, ReviewerDep, ServiceDep
from service.api.bodies import AnalysisIn, ReviewIn, SearchIn
from service.api.lists import Cursor, Limit, as_json, before, cut, tagged
from service.api.models import (
    AnalysesFound,
    AnalysesPage,
    AnalysisSummary,
    Fitness,
    Id,
    ReviewOut,
    Since,
    analysis_href,
)
from service.api.once import Done, OnceDep
from service.api.report_models import AnalysisOut

reading = APIRouter(prefix="/analyses", tags=["analyses"])
acting = APIRouter(prefix="/analyses", tags=["analyses"])
AnalysisId = Annotated[Id, Path()]


@reading.get("", response_model=AnalysesPage)
def list_analyses(
    request: Request,
    service: ServiceDep,
    *,
    state: Annotated[list[AnalysisState], Query()] = [],  # noqa: B006 (FastAPI copies it)
    fitness: Fitness | None = None,
    since: Since | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Return analyses, the newest first; `state` may be given more than once."""
    with service.records.begin() as session:
        found = analyses.page(
            session,
            states=state,
            fitness=fitness,
            since=since,
            before_id=before(cursor),
            limit=limit + 1,
        )
    items, following = cut(found, limit, lambda seen: seen.analysis_id)
    page = AnalysesPage(items=[AnalysisSummary.of(each) for each in items], next=following)
    return tagged(request, page)


@reading.post("/search", response_model=AnalysesFound)
def search(service: ServiceDep, asked: SearchIn) -> Response:
    """Return the analyses of a patient or a study. A POST: no patient stands in a URL."""
    with service.records.begin() as session:
        found = analyses.search(
            session,
            patient_id=asked.patient_id,
            issuer=asked.issuer,
            accession_number=asked.accession_number,
            study_instance_uid=asked.study_instance_uid,
        )
    return as_json(AnalysesFound(items=[AnalysisSummary.of(each) for each in found]))


@reading.get("/{analysis_id}", response_model=AnalysisOut)
def read_analysis(request: Request, service: ServiceDep, analysis_id: AnalysisId) -> Response:
    """Return one analysis with its measurements, or the reason why there are none."""
    with service.records.begin() as session:
        found = assembled(session, analysis_id)
    return tagged(request, AnalysisOut.of(found))


@acting.post("", status_code=202, response_model=AnalysisSummary)
def ask(service: ServiceDep, caller: CallerDep, once: OnceDep, asked: AnalysisIn) -> Response:
    """Have a series or a study analysed that is here already."""

    def act(session: Transaction) -> Done:
        analysis_id = analyses.queue_for(
            session,
            _served(session, asked),
            by=caller.name,
            series_instance_uid=asked.series_instance_uid,
            study_instance_uid=asked.study_instance_uid,
            accession_number=asked.accession_number,
            gestational_age_weeks=asked.gestational_age_weeks,
            head_circumference_cm=asked.head_circumference_cm,
        )
        return Done(202, _summary(session, analysis_id), analysis_href(analysis_id))

    return once(asked, act)


@acting.post("/{analysis_id}/review", response_model=ReviewOut)
def review(
    once: OnceDep, person: ReviewerDep, analysis_id: AnalysisId, asked: ReviewIn
) -> Response:
    """Record a person's word on a result: accepted or rejected, and whether the head is normal."""

    def act(session: Transaction) -> Done:
        verdict = Verdict(asked.verdict)
        reviews.add(
            session,
            analysis_id,
            verdict,
            comment=asked.comment,
            person=person,
            normal=asked.normal,
        )
        return Done(200, ReviewOut.of(reviews.of(session, analysis_id)[0]))

    return once(asked, act)


@acting.post("/{analysis_id}/retry", response_model=AnalysisSummary)
def retry(once: OnceDep, caller: CallerDep, analysis_id: AnalysisId) -> Response:
    """Have a failed analysis tried again."""

    def act(session: Transaction) -> Done:
        analyses.retry(session, analysis_id, by=caller.name)
        return Done(200, _summary(session, analysis_id))

    return once(None, act)


@acting.post("/{analysis_id}/cancel", response_model=AnalysisSummary)
def cancel(once: OnceDep, caller: CallerDep, analysis_id: AnalysisId) -> Response:
    """Cancel an analysis that waits or runs."""

    def act(session: Transaction) -> Done:
        analyses.cancel(session, analysis_id, by=caller.name)
        return Done(200, _summary(session, analysis_id))

    return once(None, act)


def _summary(session: Transaction, analysis_id: int) -> AnalysisSummary:
    return AnalysisSummary.of(analyses.get(session, analysis_id))


def _served(session: Transaction, asked: AnalysisIn) -> Tooling:
    """Return what the workers measure with, where it is what was asked for."""
    served = tooling.served(session)
    if served is None:
        raise Unavailable(Code.NOTHING_SERVED, Code.NOTHING_SERVED.meaning)
    if asked.package not in {None, served.package_name}:
        raise Refused(
            Code.PACKAGE_UNKNOWN, f"No worker serves that package; {served.package_name} is served."
        )
    if asked.reference not in {None, served.reference_id}:
        raise Refused(
            Code.REFERENCE_UNKNOWN,
            f"No worker compares with that reference; {served.reference_id} is served.",
        )
    return served
