"""Errors as problem details: every code has a status, and no value of a request leaves."""

import json
from http import HTTPStatus

import pytest

from fontanelle.errors import Code, Refused, Unavailable
from service.api import problems
from service.api.problems import BY_AREA, BY_CODE, problem, status_of

CANARY = "ZZCANARY^QUETZALCOATL"


def test_every_code_has_a_status_that_says_that_something_is_wrong() -> None:
    assert {code for code in Code if 400 <= status_of(code) < 600} == set(Code)


def test_the_table_holds_no_area_that_has_no_code() -> None:
    assert set(BY_AREA) == {code.partition(".")[0] for code in Code}


# RFC 9110: what each status means to a caller.
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.REQUEST_INVALID, 422),
        (Code.KEY_MISSING, 401),
        (Code.KEY_INSUFFICIENT, 403),
        (Code.PERSON_NEEDED, 403),
        (Code.CROSS_SITE, 403),
        (Code.NOT_FOUND, 404),
        (Code.PATH_UNKNOWN, 404),
        (Code.REFERENCE_UNKNOWN, 404),
        (Code.METHOD, 405),
        (Code.MOVE_REFUSED, 409),
        (Code.AMBIGUOUS, 409),
        (Code.IDEMPOTENCY, 409),
        (Code.TOO_LARGE, 413),
        (Code.FILE_MISSING, 500),
        (Code.REQUEST_BUG, 500),
        (Code.DATABASE_AWAY, 503),
        (Code.NOTHING_SERVED, 503),
    ],
)
def test_the_codes_of_http_have_the_statuses_that_callers_know(code: Code, status: int) -> None:
    assert status_of(code) == status
    assert code in BY_CODE


def test_a_problem_names_its_code_its_meaning_and_its_own_sentence() -> None:
    answer = problems.as_json(problems.of_error(Refused(Code.NOT_FOUND, "There is no analysis 7.")))

    assert answer.status_code == 404
    assert answer.media_type == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:fontanelle:problem:records.not_found",
        "title": "There is nothing of that id.",
        "status": 404,
        "detail": "There is no analysis 7.",
        "code": "records.not_found",
    }


def test_what_is_away_says_when_to_come_again_and_what_is_closed_how_to_enter() -> None:
    away = problems.of_error(Unavailable(Code.DATABASE_AWAY, "It does not answer."))

    assert away.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert away.headers == {"Retry-After": "5"}
    assert problem(Code.KEY_MISSING).headers["WWW-Authenticate"].startswith("Bearer")
    assert problem(Code.NOT_FOUND).headers == {}


def test_a_mistake_says_where_and_what_but_neither_the_value_nor_a_name_of_the_callers() -> None:
    found = problems.of_mistakes(
        [
            {"loc": ("body", "verdict"), "msg": "Input should be 'accepted'", "input": CANARY},
            {"loc": ("body", CANARY), "msg": "Extra inputs are not permitted", "input": 1},
            {"loc": ("body", "volumes_ml", 3), "msg": "Input should be a number", "input": CANARY},
        ],
        frozenset({"body", "verdict", "volumes_ml"}),
    )

    assert [each.where for each in found.mistakes] == [
        "body.verdict",
        "body.(unknown)",
        "body.volumes_ml.3",
    ]
    assert CANARY not in bytes(problems.as_json(found).body).decode()


@pytest.mark.parametrize(("status", "code"), [(404, "http.path"), (405, "http.method")])
def test_a_refusal_of_the_framework_gets_a_code_of_ours(status: int, code: str) -> None:
    found = problems.of_status(status)

    assert (found.status, found.code) == (status, code)
