"""Idempotency-Key: a request that comes twice acts once and is answered alike.

What was refused is not kept: it changed nothing, and may succeed the next time.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from fontanelle.errors import Code, Refused
from fontanelle.records import keys
from fontanelle.records.database import Transaction
from service.api.auth import CallerDep, ServiceDep
from service.api.lists import JSON

HEADER: Final = "Idempotency-Key"
Key = Annotated[str | None, Header(alias=HEADER, pattern=r"^[\x21-\x7e]{1,200}$")]


@dataclass(frozen=True, slots=True)
class Done:
    """What an act is answered with."""

    status: int
    model: BaseModel
    location: str | None = None


class Once:
    """Acts in one transaction, and only the first time."""

    def __init__(
        self, request: Request, service: ServiceDep, caller: CallerDep, key: Key = None
    ) -> None:
        self._records = service.records
        self._account = caller.account
        self._path = request.url.path
        self._key = key

    def __call__(self, asked: BaseModel | None, act: Callable[[Transaction], Done]) -> Response:
        """Act, or answer as before.

        Raises
        ------
        Refused
            IDEMPOTENCY where the key came with another request before; what `act` refuses.
        """
        with self._records.begin() as session:
            if self._key is None:
                return _response(_answer("", act(session)))
            keys.wait_for_twin(session, self._account, self._key)
            digest = self._digest(asked)
            known = keys.answered(session, self._account, self._key)
            if known is None:
                known = _answer(digest, act(session))
                keys.remember(session, self._account, self._key, known)
            elif known.request_sha256 != digest:
                raise Refused(Code.IDEMPOTENCY, Code.IDEMPOTENCY.meaning)
            return _response(known)

    def _digest(self, asked: BaseModel | None) -> str:
        body = "" if asked is None else asked.model_dump_json()
        return hashlib.sha256(f"{self._path}\n{body}".encode()).hexdigest()


OnceDep = Annotated[Once, Depends(Once)]


def _answer(digest: str, done: Done) -> keys.Answer:
    return keys.Answer(digest, done.status, done.location, done.model.model_dump(mode="json"))


def _response(answer: keys.Answer) -> Response:
    headers = {} if answer.location is None else {"Location": answer.location}
    return Response(json.dumps(answer.body), answer.status, headers, JSON)
