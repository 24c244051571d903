"""The pages: lists of what came in and what became of it, one report each, forms that act.

Every form works without a script: a POST, then a redirect to where the result is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Path, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.records import analyses, deliveries, intake, processes, reviews, series
from fontanelle.records.analyses import AnalysisSeen
from fontanelle.records.database import Transaction
from fontanelle.records.keys import Role
from service.api import lists
from service.api.analysis_object import assembled
from service.api.auth import Caller, CallerDep, ReviewerDep, ServiceDep, service_of, session_of
from service.api.bodies import Comment, SearchIn
from service.api.models import (
    AnalysisSummary,
    DeliveryOut,
    Id,
    SeriesOut,
    analysis_href,
)
from service.api.problems import Problem, of_mistakes
from service.api.routes.objects import FileName
from service.web.rendering import REFRESH_S, render
from service.web.report_view import UNDER_WAY, view_of

reading = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
acting = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
PAGE_LENGTH: Final = 50
SEE_OTHER: Final = 303
AnalysisId = Annotated[Id, Path()]
_SEARCH_WORDS: Final = frozenset(SearchIn.model_fields) | {"body"}


@dataclass(frozen=True, slots=True)
class Actions:
    """What the reader of a page may do there."""

    may_review: bool
    may_retry: bool
    may_cancel: bool
    may_resend: bool


@reading.get("/")
def home() -> Response:
    """Lead to the analyses."""
    return RedirectResponse("/analyses", SEE_OTHER)


@reading.get("/analyses")
def list_analyses(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    state: AnalysisState | None = None,
    cursor: lists.Cursor = None,
) -> Response:
    """Show the analyses, the newest first."""
    with service.records.begin() as session:
        found = analyses.page(
            session,
            states=[] if state is None else [state],
            before_id=lists.before(cursor),
            limit=PAGE_LENGTH + 1,
        )
        items, following = lists.cut(found, PAGE_LENGTH, lambda seen: seen.analysis_id)
        context = _list_of(session, items)
    chosen = "" if state is None else f"state={state}&"
    return _page(
        request,
        caller,
        "analyses.html",
        **context,
        heading="Analyses",
        chosen=state,
        searched=False,
        following=None if following is None else f"/analyses?{chosen}cursor={following}",
        refresh_s=2 * REFRESH_S if cursor is None and _anything_under_way(context) else None,
    )


@reading.post("/analyses/search")
def search(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    by: Annotated[str, Form(max_length=32)],
    value: Annotated[str, Form(max_length=64)],
) -> Response:
    """Show the analyses of a patient or a study; a POST, as no patient stands in a URL."""
    try:
        asked = SearchIn.model_validate({by: value.strip()})
    except ValidationError as error:
        found = of_mistakes(error.errors(include_input=False, include_url=False), _SEARCH_WORDS)
        return problem_page(found)
    with service.records.begin() as session:
        context = _list_of(session, _found(session, asked))
    return _page(
        request,
        caller,
        "analyses.html",
        **context,
        heading="Found",
        chosen=None,
        searched=True,
        following=None,
    )


@reading.get("/series")
def list_series(
    request: Request, service: ServiceDep, caller: CallerDep, cursor: lists.Cursor = None
) -> Response:
    """Show what came in, what was decided on it, and who was refused."""
    with service.records.begin() as session:
        found = series.page(session, before_id=lists.before(cursor), limit=PAGE_LENGTH + 1)
        items, following = lists.cut(found, PAGE_LENGTH, lambda seen: seen.series_id)
        made = analyses.newest_of(session, [each.series_id for each in items])
        refused = intake.refusals(session)
    return _page(
        request,
        caller,
        "series.html",
        items=[(SeriesOut.of(each), _summary(made.get(each.series_id))) for each in items],
        refused=refused,
        following=None if following is None else f"/series?cursor={following}",
        refresh_s=2 * REFRESH_S if cursor is None else None,
    )


@reading.get("/deliveries")
def list_deliveries(request: Request, service: ServiceDep, caller: CallerDep) -> Response:
    """Show what no destination has acknowledged yet."""
    with service.records.begin() as session:
        found = deliveries.undelivered(session)
    return _page(
        request,
        caller,
        "deliveries.html",
        items=[DeliveryOut.of(each) for each in found],
        may_resend=caller.may_review,
    )


@reading.get("/analyses/{analysis_id}")
def read_analysis(
    request: Request, service: ServiceDep, caller: CallerDep, analysis_id: AnalysisId
) -> Response:
    """Show one report: its numbers, or why there are none."""
    with service.records.begin() as session:
        found = assembled(session, analysis_id)
        study_id = series.study_of_analysis(session, analysis_id)
        of_study = series.of_study(session, study_id)
        in_doubt = series.is_patient_in_doubt(session, study_id)
        study_uid = of_study[0].study_instance_uid
        successor = _successor(session, analysis_id, study_uid, found["state"])
    state = found["state"]
    return _page(
        request,
        caller,
        "report.html",
        page=view_of(found, patient_in_doubt=in_doubt),
        overlay_src=_overlay(found),
        series=[SeriesOut.of(each) for each in of_study],
        successor=successor,
        actions=Actions(
            may_review=caller.may_review and state == AnalysisState.SUCCEEDED,
            may_retry=caller.may(Role.REVIEW) and state == AnalysisState.FAILED,
            may_cancel=caller.may(Role.REVIEW) and state in UNDER_WAY,
            may_resend=caller.may_review,
        ),
        refresh_s=REFRESH_S if state in UNDER_WAY else None,
    )


@acting.post("/analyses/{analysis_id}/review")
def review(
    *,
    service: ServiceDep,
    person: ReviewerDep,
    analysis_id: AnalysisId,
    verdict: Annotated[Literal["accepted", "rejected"], Form()],
    comment: Annotated[Comment, Form()] = "",
    normal: Annotated[Literal["", "yes", "no"], Form()] = "",
) -> Response:
    """Record the reader's word."""
    with service.records.begin() as session:
        reviews.add(
            session,
            analysis_id,
            Verdict(verdict),
            comment=comment.strip(),
            person=person,
            normal={"yes": True, "no": False}.get(normal),
        )
    return RedirectResponse(f"/analyses/{analysis_id}", SEE_OTHER)


@acting.post("/analyses/{analysis_id}/retry")
def retry(service: ServiceDep, caller: CallerDep, analysis_id: AnalysisId) -> Response:
    """Have a failed analysis tried again."""
    with service.records.begin() as session:
        analyses.retry(session, analysis_id, by=caller.name)
    return RedirectResponse(f"/analyses/{analysis_id}", SEE_OTHER)


@acting.post("/analyses/{analysis_id}/cancel")
def cancel(service: ServiceDep, caller: CallerDep, analysis_id: AnalysisId) -> Response:
    """Cancel what waits or runs."""
    with service.records.begin() as session:
        analyses.cancel(session, analysis_id, by=caller.name)
    return RedirectResponse(f"/analyses/{analysis_id}", SEE_OTHER)


@acting.post("/deliveries/{delivery_id}/resend")
def resend(
    service: ServiceDep, person: ReviewerDep, delivery_id: Annotated[Id, Path()]
) -> Response:
    """Have an object sent, or sent again."""
    with service.records.begin() as session:
        deliveries.resend(session, delivery_id, by=person)
        analysis_id = deliveries.get(session, delivery_id).analysis_id
    return RedirectResponse(f"/analyses/{analysis_id}", SEE_OTHER)


def problem_page(found: Problem) -> Response:
    """Return the page of a problem."""
    page = render("problem.html", found=found, caller=None)
    return HTMLResponse(page, found.status, found.headers)


def _page(request: Request, caller: Caller, template: str, **context: object) -> Response:
    here = "/" + request.url.path.strip("/").partition("/")[0]
    keys_are_on = service_of(request).settings.api.require_key
    page = render(
        template,
        caller=caller,
        here=here,
        can_log_out=keys_are_on and session_of(request) is not None,
        **context,
    )
    return HTMLResponse(page)


def _list_of(session: Transaction, found: Sequence[AnalysisSeen]) -> dict[str, Any]:
    counts = processes.overview(session).analyses
    return {
        "items": [AnalysisSummary.of(each) for each in found],
        "ages": analyses.ages(session, [each.analysis_id for each in found]),
        "counts": [(state.value, counts[state]) for state in AnalysisState if counts.get(state)],
    }


def _found(session: Transaction, asked: SearchIn) -> list[AnalysisSeen]:
    # People know an identifier, not its issuer: the list names the issuers.
    if asked.patient_id is not None:
        return analyses.of_patient_id(session, asked.patient_id)
    return analyses.search(
        session,
        accession_number=asked.accession_number,
        study_instance_uid=asked.study_instance_uid,
    )


def _anything_under_way(context: dict[str, Any]) -> bool:
    return any(state in UNDER_WAY for state, _count in context["counts"])


def _summary(seen: AnalysisSeen | None) -> AnalysisSummary | None:
    return None if seen is None else AnalysisSummary.of(seen)


def _overlay(found: dict[str, Any]) -> str | None:
    href = f"{analysis_href(found['id'])}/{FileName.OVERLAY}"
    return href if any(each["href"] == href for each in found["objects"]) else None


def _successor(session: Transaction, analysis_id: int, study: str, state: str) -> int | None:
    """Return the analysis that took the place of one of the same study."""
    if state not in {AnalysisState.SUPERSEDED, AnalysisState.CANCELLED}:
        return None
    newer = [
        each.analysis_id
        for each in analyses.search(session, study_instance_uid=study)
        if each.analysis_id > analysis_id and each.state is not AnalysisState.CANCELLED
    ]
    return max(newer, default=None)
