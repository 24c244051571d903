"""The only open page: a key comes in by a form, a browser session goes out as a cookie."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fontanelle.records import keys
from service.api.auth import COOKIE, ServiceDep, refuse_other_sites, session_of
from service.web.rendering import render

opened = APIRouter(include_in_schema=False)
SEE_OTHER: Final = 303
HOME: Final = "/analyses"
_SECONDS_PER_HOUR: Final = 3600.0
Following = Annotated[str, Query(alias="next", max_length=200)]


@opened.get("/login")
def ask(service: ServiceDep, following: Following = HOME) -> Response:
    """Show the form."""
    if not service.settings.api.require_key:
        return RedirectResponse(HOME, SEE_OTHER)
    return _form(following)


@opened.post("/login")
def log_in(
    request: Request,
    service: ServiceDep,
    key: Annotated[str, Form(max_length=200)],
    following: Annotated[str, Form(alias="next", max_length=200)] = HOME,
) -> Response:
    """Begin a session."""
    refuse_other_sites(request)
    lasts_s = service.settings.api.session_hours * _SECONDS_PER_HOUR
    with service.records.begin() as session:
        found = keys.by_secret(session, key.strip())
        if found is None:
            return _form(following, wrong="The key is not known, or was revoked.")
        secret = keys.open_session(session, found, lasts_s=lasts_s)
    answer = RedirectResponse(_ours(following), SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(lasts_s),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@opened.post("/logout")
def log_out(request: Request, service: ServiceDep) -> Response:
    """End the session."""
    refuse_other_sites(request)
    secret = session_of(request)
    if secret is not None:
        with service.records.begin() as session:
            keys.close_session(session, secret)
    answer = RedirectResponse("/login", SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _form(following: str, wrong: str | None = None) -> Response:
    page = render("login.html", caller=None, following=_ours(following), wrong=wrong)
    return HTMLResponse(page, 403 if wrong else 200)


def _ours(path: str) -> str:
    """Return a path of ours; nobody is led elsewhere by a link to the login."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_ours and path.isprintable() else HOME
