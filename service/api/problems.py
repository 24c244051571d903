"""Errors as RFC 9457 problem details: one table from code to status.

A problem holds our own sentence and no value of the request: that could name a patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from fontanelle.errors import Code, FontanelleError
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.mistakes import Mistake as FileMistake

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5

_UNFIT: Final = HTTPStatus.UNPROCESSABLE_ENTITY
_OURS: Final = HTTPStatus.INTERNAL_SERVER_ERROR
_LATER: Final = HTTPStatus.SERVICE_UNAVAILABLE

BY_AREA: Final[Mapping[str, HTTPStatus]] = {
    "admission": _UNFIT,
    "analysis": _OURS,
    "calibration": _UNFIT,
    "cohort": _UNFIT,
    "comparison": _UNFIT,
    "delivery": HTTPStatus.BAD_GATEWAY,
    "engine": _OURS,
    "head_size": _UNFIT,
    "http": HTTPStatus.BAD_REQUEST,
    "imaging": _OURS,
    "input": _UNFIT,
    "intake": HTTPStatus.CONFLICT,
    "labels": _UNFIT,
    "output": _LATER,
    "package": _UNFIT,
    "quality": _UNFIT,
    "queue": _LATER,
    "records": _OURS,
    "reference": _UNFIT,
    "selection": _UNFIT,
    "serial": _UNFIT,
    "servers": _LATER,
    "settings": _OURS,
    "training": _UNFIT,
}
"""What the codes of an area mean to a caller, unless `BY_CODE` says otherwise."""

BY_CODE: Final[Mapping[Code, HTTPStatus]] = {
    Code.REQUEST_INVALID: _UNFIT,
    Code.KEY_MISSING: HTTPStatus.UNAUTHORIZED,
    Code.KEY_INSUFFICIENT: HTTPStatus.FORBIDDEN,
    Code.PERSON_NEEDED: HTTPStatus.FORBIDDEN,
    Code.CROSS_SITE: HTTPStatus.FORBIDDEN,
    Code.PATH_UNKNOWN: HTTPStatus.NOT_FOUND,
    Code.METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.AMBIGUOUS: HTTPStatus.CONFLICT,
    Code.IDEMPOTENCY: HTTPStatus.CONFLICT,
    Code.NOTHING_SERVED: _LATER,
    Code.REQUEST_BUG: _OURS,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.MOVE_REFUSED: HTTPStatus.CONFLICT,
    Code.LEASE_LOST: HTTPStatus.CONFLICT,
    Code.DATABASE_AWAY: _LATER,
    Code.DATABASE_SCHEMA: _LATER,
    Code.FILE_MISSING: _OURS,
    Code.PACKAGE_UNKNOWN: HTTPStatus.NOT_FOUND,
    Code.REFERENCE_UNKNOWN: HTTPStatus.NOT_FOUND,
    Code.REFERENCE_TAKEN: HTTPStatus.CONFLICT,
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one place of a request."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not answered as it wished."""

    code: Code
    sentence: str
    status: HTTPStatus
    mistakes: tuple[Mistake, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the answer."""
        if self.status is HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": 'Bearer realm="fontanelle"'}
        if self.status is HTTPStatus.SERVICE_UNAVAILABLE:
            return {"Retry-After": str(RETRY_AFTER_S)}
        return {}


def status_of(code: Code) -> HTTPStatus:
    """Return the status that a code is answered with."""
    return BY_CODE.get(code) or BY_AREA[code.partition(".")[0]]


def problem(code: Code, sentence: str | None = None) -> Problem:
    """Return the problem of a code, with its meaning unless a sentence says more."""
    return Problem(code, sentence or code.meaning, status_of(code))


def of_error(error: FontanelleError) -> Problem:
    """Return the problem that an error of ours is."""
    code = error.reason.code
    if isinstance(error, Malformed) and error.mistakes:
        found = tuple(_mistake(each) for each in error.mistakes)
        return Problem(code, f"{error.opening} See errors.", status_of(code), found)
    return problem(code, error.reason.sentence)


def _mistake(found: FileMistake) -> Mistake:
    row = "" if found.row is None else f"row {found.row}"
    return Mistake(", ".join(part for part in (row, found.where) if part), found.what)


def of_status(status: int) -> Problem:
    """Return the problem of a refusal by the framework, whose own words are left out."""
    code = {
        HTTPStatus.NOT_FOUND: Code.PATH_UNKNOWN,
        HTTPStatus.METHOD_NOT_ALLOWED: Code.METHOD,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    }.get(HTTPStatus(status))
    if code is not None:
        return problem(code)
    return Problem(Code.REQUEST_INVALID, Code.REQUEST_INVALID.meaning, HTTPStatus(status))


def of_mistakes(errors: Sequence[Mapping[str, Any]], names: frozenset[str]) -> Problem:
    """Return the problem of a request that does not fit its model.

    Parameters
    ----------
    errors
        As pydantic lists them.
    names
        Names that the contract knows. Any other name in a place is the caller's own text.
    """
    mistakes = tuple(Mistake(_place(error["loc"], names), str(error["msg"])) for error in errors)
    sentence = f"The request is malformed in {len(mistakes)} place(s); see errors."
    return Problem(Code.REQUEST_INVALID, sentence, status_of(Code.REQUEST_INVALID), mistakes)


def _place(steps: Sequence[object], names: frozenset[str]) -> str:
    return ".".join(
        str(step) if isinstance(step, int) or step in names else "(unknown)" for step in steps
    )


def as_json(found: Problem) -> Response:
    """Answer with problem details."""
    body: dict[str, object] = {
        "type": f"urn:fontanelle:problem:{found.code}",
        "title": found.code.meaning,
        "status": found.status.value,
        "detail": found.sentence,
        "code": found.code,
    }
    if found.mistakes:
        body["errors"] = [{"where": each.where, "what": each.what} for each in found.mistakes]
    return JSONResponse(body, found.status, found.headers, MEDIA_TYPE)
