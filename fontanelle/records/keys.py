"""API keys, browser sessions and the answers to repeated requests."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Refused
from fontanelle.records.tables import ApiKeyRow, BrowserSessionRow, IdempotentAnswerRow
from fontanelle.records.times import after, now

KEY_BYTES: Final = 32


class Holder(StrEnum):
    """Whose a key is: only a person can review."""

    PERSON = "person"
    SYSTEM = "system"


class Role(StrEnum):
    """What a key may do; each includes the one before."""

    READ = "read"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    key_id: int
    name: str
    holder: Holder
    role: Role
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    request_sha256: str
    status: int
    location: str | None
    body: Mapping[str, Any]


def create(session: Session, name: str, holder: Holder, role: Role) -> str:
    """Make a key and return its secret, the only time that it is known."""
    secret = secrets.token_urlsafe(KEY_BYTES)
    session.execute(
        insert(ApiKeyRow).values(name=name, holder=holder, role=role, digest=digest(secret))
    )
    return secret


def revoke(session: Session, key_id: int) -> None:
    """End a key and its browser sessions.

    Raises
    ------
    Refused
        NOT_FOUND where there is no such key or it was revoked before.
    """
    found = session.scalar(
        update(ApiKeyRow)
        .where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None))
        .values(revoked_at=now())
        .returning(ApiKeyRow.id)
    )
    if found is None:
        raise Refused(Code.NOT_FOUND, f"There is no key {key_id} that could be revoked.")
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.api_key_id == key_id))


def all_keys(session: Session) -> list[ApiKey]:
    """Return all keys, revoked ones too."""
    return [_value(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id))]


def by_secret(session: Session, secret: str) -> ApiKey | None:
    """Return the key that a secret belongs to; None where it is unknown or revoked."""
    row = session.scalars(
        select(ApiKeyRow).where(ApiKeyRow.digest == digest(secret), ApiKeyRow.revoked_at.is_(None))
    ).one_or_none()
    return None if row is None else _value(row)


def open_session(session: Session, key: ApiKey, *, lasts_s: float) -> str:
    """Begin a browser session and return its secret, for the cookie."""
    secret = secrets.token_urlsafe(KEY_BYTES)
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.expires_at < now()))
    session.execute(
        insert(BrowserSessionRow).values(
            digest=digest(secret), api_key_id=key.key_id, expires_at=after(lasts_s)
        )
    )
    return secret


def by_session(session: Session, secret: str) -> ApiKey | None:
    """Return the key of a browser session; None where it has ended."""
    row = session.scalars(
        select(ApiKeyRow)
        .join(BrowserSessionRow, BrowserSessionRow.api_key_id == ApiKeyRow.id)
        .where(
            BrowserSessionRow.digest == digest(secret),
            BrowserSessionRow.expires_at > now(),
            ApiKeyRow.revoked_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else _value(row)


def close_session(session: Session, secret: str) -> None:
    """End a browser session."""
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.digest == digest(secret)))


def wait_for_twin(session: Session, caller: str, key: str) -> None:
    """Hold this transaction until no other of the same caller and Idempotency-Key is open."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{caller} {key}", 0))))


def answered(session: Session, caller: str, key: str) -> Answer | None:
    """Return what a caller's request of this Idempotency-Key was answered before."""
    row = session.scalars(
        select(IdempotentAnswerRow).where(
            IdempotentAnswerRow.caller == caller, IdempotentAnswerRow.key == key
        )
    ).one_or_none()
    return None if row is None else Answer(row.request_sha256, row.status, row.location, row.body)


def remember(session: Session, caller: str, key: str, answer: Answer) -> None:
    """Keep an answer; the first one stays."""
    session.execute(
        upsert(IdempotentAnswerRow)
        .values(
            caller=caller,
            key=key,
            request_sha256=answer.request_sha256,
            status=answer.status,
            location=answer.location,
            body=dict(answer.body),
        )
        .on_conflict_do_nothing(index_elements=["caller", "key"])
    )


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _value(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        row.id, row.name, Holder(row.holder), Role(row.role), row.created_at, row.revoked_at
    )
