"""Lists and answers: opaque cursors, entity tags, models as JSON."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from fontanelle.errors import Code, Refused

JSON: Final = "application/json"
LARGEST_ID: Final = (1 << 63) - 1
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]
Item = TypeVar("Item")


def cut(
    found: Sequence[Item], limit: int, id_of: Callable[[Item], int]
) -> tuple[Sequence[Item], str | None]:
    """Return the items of a page and the cursor of the next; `found` holds one more if it can."""
    if len(found) <= limit:
        return found, None
    return found[:limit], cursor_of(id_of(found[limit - 1]))


def cursor_of(last_id: int) -> str:
    """Return a cursor that goes on after an id."""
    return urlsafe_b64encode(f"before {last_id}".encode()).decode().rstrip("=")


def before(cursor: str | None) -> int | None:
    """Return the id that a cursor goes on after.

    Raises
    ------
    Refused
        REQUEST_INVALID.
    """
    if cursor is None:
        return None
    try:
        word, number = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split()
        last_id = int(number)
    except ValueError:
        word, last_id = "", 0
    if word != "before" or not 0 < last_id <= LARGEST_ID:
        raise Refused(Code.REQUEST_INVALID, "The cursor is none of ours.")
    return last_id


def as_json(model: BaseModel, status: int = 200, location: str | None = None) -> Response:
    """Answer with a model."""
    headers = {} if location is None else {"Location": location}
    return Response(model.model_dump_json(), status, headers, JSON)


def tagged(request: Request, model: BaseModel) -> Response:
    """Answer with a model, or that it is what the caller has already."""
    content = model.model_dump_json().encode()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if has_already(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, headers={"ETag": tag}, media_type=JSON)


def has_already(request: Request, tag: str) -> bool:
    """Tell whether the caller named this tag as the one that it has."""
    said = request.headers.get("if-none-match", "")
    return said == "*" or tag in {each.strip().removeprefix("W/") for each in said.split(",")}
