"""What stands before every route: a bounded body, headers that close doors, no error unseen."""

import logging
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fontanelle import log
from fontanelle.errors import Code
from service.api.problems import Problem, problem

BODY_LIMIT_BYTES: Final = 256 * 1024
"""More than any request of the contract needs."""
STATIC: Final = "/static/"

_log = logging.getLogger(__name__)

HEADERS: Final = {
    # No script anywhere: the pages work without, and none of somebody else's can run.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Respond = Callable[[Scope, Problem], Response]
"""Makes the answer to a problem: JSON, or a page."""


class Guard:
    """Wraps the application.

    Parameters
    ----------
    app
        What answers.
    respond
        Makes the answer to a problem.
    """

    def __init__(self, app: ASGIApp, respond: Respond) -> None:
        self._app = app
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        body = await _bounded(scope, receive)
        if body is None:
            await self._say(problem(Code.TOO_LARGE), scope, receive, answer)
            return
        try:
            await self._app(scope, _again(body, receive), answer)
        except Exception as error:  # noqa: BLE001 (outermost of a request: logged, then answered)
            log.failure(_log, "request.failed", error, code=Code.REQUEST_BUG)
            if not answer.has_begun:
                await self._say(problem(Code.REQUEST_BUG), scope, receive, answer)

    async def _say(self, found: Problem, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        await self._respond(scope, found)(scope, receive, answer)


class _Answer:
    """Sends on, with the headers that every answer has."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.has_begun = False
        self._is_static = str(scope["path"]).startswith(STATIC)
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                if name != "Cache-Control" or not self._is_static:
                    headers[name] = value
        await self._send(message)


async def _bounded(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body; None where it is larger than any request needs."""
    said = Headers(scope=scope).get("content-length", "")
    if said.isdecimal() and int(said) > BODY_LIMIT_BYTES:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then what comes from outside."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
