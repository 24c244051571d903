"""Who calls, and what that one may do: an API key, or the browser session of one.

Roles stand on routers, not on routes: a new route is closed until somebody opens it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from fontanelle.errors import Code, Refused
from fontanelle.records import keys
from fontanelle.records.database import Records
from fontanelle.records.files import FileStore
from fontanelle.records.keys import ApiKey, Holder, Role
from fontanelle.settings import Settings, is_loopback

COOKIE: Final = "fontanelle_session"
NOBODY: Final = "nobody (keys are off)"
UNNAMED: Final = "unnamed (keys are off)"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_RANK: Final = {role: rank for rank, role in enumerate(Role)}
_SITES: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with."""

    settings: Settings
    records: Records
    store: FileStore


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes
    ----------
    name
        Stands in the records beside what this one does.
    account
        Whose Idempotency-Keys these are.
    person
        The name that a review carries; None for a system.
    """

    name: str
    account: str
    role: Role
    person: str | None

    def may(self, role: Role) -> bool:
        """Tell whether what needs a role is allowed to this one."""
        return _RANK[self.role] >= _RANK[role]

    @property
    def may_review(self) -> bool:
        """Tell whether this one's word on a result counts."""
        return self.person is not None and self.may(Role.REVIEW)


ANONYMOUS: Final = Caller(NOBODY, "anonymous", Role.ADMIN, UNNAMED)


def service_of(request: Request) -> Service:
    """Return what the application was made with."""
    found: Service = request.app.state.service
    return found


ServiceDep = Annotated[Service, Depends(service_of)]
_bearer = HTTPBearer(auto_error=False, description="An API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")


def identified(
    request: Request,
    service: ServiceDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> Caller:
    """Return who calls.

    Raises
    ------
    Refused
        KEY_MISSING; CROSS_SITE where a browser was made to call by another site.
    """
    if not service.settings.api.require_key:
        refuse_other_names(request, service.settings.api.host)
        refuse_other_sites(request)
        return ANONYMOUS
    secret = bearer.credentials if bearer is not None else header
    session = session_of(request)
    if secret is None and session is None:
        raise Refused(Code.KEY_MISSING, Code.KEY_MISSING.meaning)
    if secret is None:
        refuse_other_sites(request)
    with service.records.begin() as transaction:
        key = (
            keys.by_secret(transaction, secret)
            if secret is not None
            else keys.by_session(transaction, session or "")
        )
    if key is None:
        raise Refused(Code.KEY_MISSING, "The key or the session is not known or has ended.")
    return caller_of(key)


CallerDep = Annotated[Caller, Depends(identified)]


def caller_of(key: ApiKey) -> Caller:
    """Return who calls with a key."""
    person = key.name if key.holder is Holder.PERSON else None
    return Caller(key.name, f"key {key.key_id}", key.role, person)


def needs(role: Role) -> Callable[[Caller], None]:
    """Return a dependency that lets in only who has a role, or one that includes it."""

    def check(caller: CallerDep) -> None:
        if not caller.may(role):
            raise Refused(Code.KEY_INSUFFICIENT, f"This needs a key with the role {role}.")

    return check


def reviewer(caller: CallerDep) -> str:
    """Return the name of the person who calls.

    Raises
    ------
    Refused
        PERSON_NEEDED.
    """
    if caller.person is None:
        raise Refused(Code.PERSON_NEEDED, Code.PERSON_NEEDED.meaning)
    return caller.person


ReviewerDep = Annotated[str, Depends(reviewer)]


def session_of(request: Request) -> str | None:
    """Return the secret of the browser session that a cookie carries."""
    return request.cookies.get(COOKIE)


def refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site made a browser send.

    Browsers say where a request comes from; other programs say nothing and bring a key.
    """
    if request.method in SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_ours = site in _SITES
    else:
        is_ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not is_ours:
        raise Refused(Code.CROSS_SITE, Code.CROSS_SITE.meaning)


def refuse_other_names(request: Request, host: str) -> None:
    """Refuse, on loopback without keys, who came by a name that is not of this machine.

    A foreign site can give its own name the address of this machine, and its pages then count as
    ours to the browser.
    """
    if is_loopback(host) and not is_loopback(_without_port(request.headers.get("host", ""))):
        raise Refused(Code.CROSS_SITE, "Without keys only names of this machine are answered.")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
