"""The application: every route closed until it is opened, every error a problem.

Importing this loads no pydicom, Celery or numpy: they come, if at all, with the first comparison.
"""

from importlib.resources import files
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from fontanelle.errors import Code, FontanelleError
from fontanelle.records.database import Records
from fontanelle.records.files import FileStore
from fontanelle.records.keys import Role
from fontanelle.reports.notice import NOTICE
from fontanelle.settings import Settings
from service.api import problems
from service.api.auth import SAFE, Service, needs
from service.api.bodies import Body
from service.api.guard import Guard
from service.api.problems import Problem
from service.api.routes import analyses, deliveries, health, objects, references, series
from service.web import login, pages

API: Final = "/api/v1"
TITLE: Final = "Fontanelle"
MACHINES: Final = (f"{API}/", "/healthz", "/readyz", "/metrics")
"""Where answers are JSON, errors too; everywhere else a person looks at a page."""

_SAID: Final[dict[int | str, dict[str, object]]] = {
    "default": {
        "description": "A problem (RFC 9457) with its `code`.",
        "content": {problems.MEDIA_TYPE: {"schema": {"type": "object"}}},
    }
}


def create_app(settings: Settings, records: Records, store: FileStore) -> FastAPI:
    """Return the application: the API and the pages.

    Parameters
    ----------
    settings
        Its own section is read; what else it needs comes as values.
    records, store
        Where results and their files are.
    """
    app = FastAPI(
        title=TITLE,
        description=NOTICE,
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = Service(settings, records, store)
    app.include_router(health.opened)
    app.include_router(login.opened)
    app.include_router(_closed(app))
    app.mount("/static", StaticFiles(directory=str(files("service.web") / "static")))
    app.add_middleware(Guard, respond=_answer)
    app.add_exception_handler(FontanelleError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_mistakes)
    app.add_exception_handler(HTTPException, _on_refusal)
    return app


def _closed(app: FastAPI) -> APIRouter:
    """Return all that needs a key. A router that is not named as acting may only be read."""
    reading = APIRouter(dependencies=[Depends(needs(Role.READ))], responses=_SAID)
    acting = APIRouter(dependencies=[Depends(needs(Role.REVIEW))], responses=_SAID)
    administering = APIRouter(dependencies=[Depends(needs(Role.ADMIN))], responses=_SAID)
    for router in (
        series.reading,
        analyses.reading,
        objects.reading,
        deliveries.reading,
        references.reading,
        _description(app),
    ):
        reading.include_router(router, prefix=API)
    for router in (analyses.acting, deliveries.acting):
        acting.include_router(router, prefix=API)
    administering.include_router(references.administering, prefix=API)
    reading.include_router(health.reading)
    reading.include_router(pages.reading)
    acting.include_router(pages.acting)
    closed = APIRouter()
    closed.include_router(reading)
    closed.include_router(acting)
    closed.include_router(administering)
    return closed


def _description(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    def openapi() -> dict[str, object]:
        """Return the OpenAPI description."""
        return app.openapi()

    return router


def _answer(scope: Scope, found: Problem) -> Response:
    path, method = str(scope["path"]), str(scope["method"])
    if path.startswith(MACHINES):
        return problems.as_json(found)
    if found.code is Code.KEY_MISSING:
        following = f"?next={quote(path)}" if method in SAFE and path != "/" else ""
        return RedirectResponse(f"/login{following}", 303)
    return pages.problem_page(found)


def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FontanelleError)  # noqa: S101 (registered for it)
    return _answer(request.scope, problems.of_error(error))


def _on_mistakes(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it)
    return _answer(request.scope, problems.of_mistakes(error.errors(), _names()))


def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    return _answer(request.scope, problems.of_status(error.status_code))


def _names() -> frozenset[str]:
    """Return every name that the contract knows; any other in a request is the caller's text."""
    fields = {name for model in _subclasses(Body) for name in model.model_fields}
    return frozenset(fields) | _PLACES


_PLACES: Final = frozenset(
    {"body", "query", "path", "header", "state", "fitness", "since", "cursor", "limit", "by"}
    | {"value", "verdict", "comment", "key", "next", "name", "analysis_id", "delivery_id"}
    | {"reference_id", "series_instance_uid", "Idempotency-Key"}
)


def _subclasses(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [each for child in model.__subclasses__() for each in (child, *_subclasses(child))]
