"""API keys, browser sessions, and answers to requests that come twice."""

import pytest

from fontanelle.errors import Code, Refused
from fontanelle.records import keys
from fontanelle.records.database import Records
from fontanelle.records.keys import Answer, ApiKey, Holder, Role
from tests.integration.records.builders import at_once, change, value


def create(records: Records, name: str = "Dr. Cue") -> str:
    with records.begin() as session:
        return keys.create(session, name, Holder.PERSON, Role.REVIEW)


def whose(records: Records, secret: str) -> ApiKey | None:
    with records.begin() as session:
        return keys.by_secret(session, secret)


def revoke(records: Records, key_id: int) -> None:
    with records.begin() as session:
        keys.revoke(session, key_id)


def log_in(records: Records, secret: str, lasts_s: float = 3600.0) -> str:
    key = whose(records, secret)
    assert key is not None
    with records.begin() as session:
        return keys.open_session(session, key, lasts_s=lasts_s)


def logged_in(records: Records, secret: str) -> ApiKey | None:
    with records.begin() as session:
        return keys.by_session(session, secret)


def test_a_secret_opens_its_key_and_nothing_else_does(records: Records) -> None:
    secret = create(records)
    create(records, "other")

    found = whose(records, secret)
    assert found is not None
    assert (found.name, found.holder, found.role) == ("Dr. Cue", Holder.PERSON, Role.REVIEW)
    for wrong in (secret[:-1], secret.swapcase(), "", "\x00", keys.digest(secret)):
        assert whose(records, wrong) is None


def test_the_secret_itself_is_stored_nowhere(records: Records) -> None:
    secret = create(records)
    session = log_in(records, secret)

    stored = value(
        records, "SELECT string_agg(k::text || b::text, '') FROM api_key k, browser_session b"
    )
    assert secret not in stored
    assert session not in stored


def test_two_keys_are_never_the_same(records: Records) -> None:
    assert len({create(records) for _ in range(20)}) == 20


def test_a_revoked_key_opens_nothing_nor_do_its_sessions(records: Records) -> None:
    secret, other = create(records), create(records)
    session, others = log_in(records, secret), log_in(records, other)

    revoke(records, 1)

    assert whose(records, secret) is None
    assert logged_in(records, session) is None
    assert logged_in(records, others) is not None
    with records.begin() as opened:
        assert [each.revoked_at is None for each in keys.all_keys(opened)] == [False, True]


@pytest.mark.parametrize("key_id", [1, 99])
def test_a_key_is_revoked_once(records: Records, key_id: int) -> None:
    create(records)
    revoke(records, 1)

    with pytest.raises(Refused) as caught:
        revoke(records, key_id)

    assert caught.value.reason.code is Code.NOT_FOUND


def test_a_session_lasts_its_time(records: Records) -> None:
    secret = create(records)
    session = log_in(records, secret)
    assert logged_in(records, session) is not None

    change(records, "UPDATE browser_session SET expires_at = now() - interval '1 s'")

    assert logged_in(records, session) is None
    log_in(records, secret)
    assert value(records, "SELECT count(*) FROM browser_session") == 1, "what ended is gone"


def test_a_session_ends_when_its_person_leaves(records: Records) -> None:
    session = log_in(records, create(records))

    with records.begin() as opened:
        keys.close_session(opened, session)

    assert logged_in(records, session) is None


def test_of_twins_the_second_waits_for_the_first_ones_answer(records: Records) -> None:
    """Asked at once with one Idempotency-Key, the work is done once."""
    done: list[str] = []

    def ask() -> None:
        with records.begin() as session:
            keys.wait_for_twin(session, "ris", "k1")
            if keys.answered(session, "ris", "k1") is None:
                done.append("work")
                keys.remember(session, "ris", "k1", Answer("0" * 64, 202, None, {}))

    at_once(*[ask] * 6)

    assert done == ["work"]


def test_requests_of_others_do_not_wait(records: Records) -> None:
    with records.begin() as first, records.begin() as second:
        keys.wait_for_twin(first, "ris", "k1")
        keys.wait_for_twin(second, "ris", "k2")
        keys.wait_for_twin(second, "somebody", "k1")


def test_the_first_answer_to_a_repeated_request_stays(records: Records) -> None:
    def answer(number: int) -> None:
        with records.begin() as session:
            keys.remember(
                session, "ris", "k1", Answer("0" * 64, 200 + number, f"/{number}", {"n": number})
            )

    at_once(*[lambda number=number: answer(number) for number in range(4)])

    with records.begin() as session:
        found = keys.answered(session, "ris", "k1")
        assert found is not None
        assert found.body == {"n": found.status - 200}
        assert found.location == f"/{found.status - 200}"
        assert keys.answered(session, "somebody else", "k1") is None
        assert keys.answered(session, "ris", "k2") is None
