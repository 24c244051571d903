"""Wrong bodies, ids, methods and sizes: each a stable code, and nothing of the value returned."""

import json
import logging
from collections.abc import Iterator

import pytest

from fontanelle.errors import Unavailable
from fontanelle.records.database import Records
from fontanelle.records.files import LocalStore
from fontanelle.records.keys import Role
from service.api.guard import BODY_LIMIT_BYTES, HEADERS
from tests.integration.api import house as houses
from tests.integration.api.house import CANARY, House

HUGE = str(1 << 70)
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/analyses/999", 404, "records.not_found"),
        ("GET", f"/api/v1/analyses/{HUGE}", 422, "http.request"),
        ("GET", "/api/v1/analyses/-1", 422, "http.request"),
        ("GET", "/api/v1/analyses/0x1", 422, "http.request"),
        ("GET", "/api/v1/analyses/999/report.json", 404, "records.not_found"),
        ("GET", "/api/v1/analyses/1/passwd", 422, "http.request"),
        ("GET", "/api/v1/analyses/1/..%2f..%2fpasswd", 404, "http.path"),
        ("GET", "/api/v1/series/9.9.9", 404, "records.not_found"),
        ("GET", f"/api/v1/series/{CANARY}", 422, "http.request"),
        ("GET", "/api/v1/references/none", 404, "reference.unknown"),
        ("GET", f"/api/v1/references/{CANARY}", 422, "http.request"),
        ("GET", "/api/v1/nothing", 404, "http.path"),
        ("DELETE", "/api/v1/analyses", 405, "http.method"),
        ("PUT", "/api/v1/analyses/1", 405, "http.method"),
        ("POST", "/healthz", 405, "http.method"),
        ("GET", "/api/v1/analyses?cursor=4711", 422, "http.request"),
        ("GET", f"/api/v1/analyses?cursor={'x' * 65}", 422, "http.request"),
        ("GET", f"/api/v1/analyses?state={CANARY}", 422, "http.request"),
        ("GET", "/api/v1/analyses?fitness=good", 422, "http.request"),
        ("GET", "/api/v1/analyses?since=2025-01-01T00:00:00", 422, "http.request"),
        ("GET", "/api/v1/analyses?since=yesterday", 422, "http.request"),
        ("GET", "/api/v1/analyses?limit=0", 422, "http.request"),
        ("GET", "/api/v1/analyses?limit=100000", 422, "http.request"),
        ("GET", "/api/v1/deliveries?state=lost", 422, "http.request"),
        ("POST", f"/api/v1/analyses/{HUGE}/cancel", 422, "http.request"),
        ("POST", "/api/v1/analyses/999/retry", 404, "records.not_found"),
    ],
)
def test_what_is_not_there_or_makes_no_sense_has_its_code(
    still_house: House, method: str, path: str, status: int, code: str
) -> None:
    answer = still_house.as_(Role.REVIEW).request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] and answer.json()["detail"]
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"patient_id": 7}',
        b'{"patient_id": ""}',
        b'{"patient_id": "a\\u0000b"}',
        b'{"patient_id": "\\ud800"}',
        f'{{"patient_id": ["{CANARY}"]}}'.encode(),
        f'{{"{CANARY}": "x"}}'.encode(),
        f'{{"patient_id": "{CANARY}", "accession_number": "{CANARY}"}}'.encode(),
        f'{{"issuer": "{CANARY}"}}'.encode(),
        f'{{"patient_id": "{CANARY * 9}"}}'.encode(),
        f'{{"study_instance_uid": "{CANARY}"}}'.encode(),
    ],
)
def test_a_body_that_does_not_fit_is_refused_without_being_repeated(
    still_house: House, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = still_house.as_(Role.READ).post(
        "/api/v1/analyses/search", content=content, headers=JSON
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")
    assert CANARY not in answer.text and CANARY not in caplog.text


def test_a_body_that_is_nested_without_end_is_refused(still_house: House) -> None:
    answer = still_house.as_(Role.READ).post(
        "/api/v1/analyses/search", content=b"[" * 100_000, headers=JSON
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "http.request")


def test_a_body_of_another_kind_is_refused(still_house: House) -> None:
    answer = still_house.as_(Role.READ).post(
        "/api/v1/analyses/search", content=b'{"patient_id": "7"}', headers={"Content-Type": "x/y"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(still_house: House) -> None:
    client = still_house.as_(Role.READ)

    def pieces() -> Iterator[bytes]:
        yield from [b"x" * 65536] * 8

    said = client.post("/api/v1/compare", content=b"x" * (BODY_LIMIT_BYTES + 1), headers=JSON)
    unsaid = client.post("/api/v1/compare", content=pieces(), headers=JSON)

    for answer in (said, unsaid):
        assert (answer.status_code, answer.json()["code"]) == (413, "http.too_large")


@pytest.mark.parametrize("path", ["/analyses/999", "/analyses/x", "/nothing", "/analyses?state=x"])
def test_a_person_is_shown_a_page_with_the_sentence_and_the_code(
    still_house: House, path: str
) -> None:
    answer = still_house.as_(Role.READ).get(path)

    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"].startswith("text/html")
    assert "That did not work" in answer.text
    assert '<span class="code">' in answer.text


@pytest.mark.parametrize(
    "path", ["/api/v1/analyses", "/analyses", "/healthz", "/api/v1/nothing", "/login", "/nothing"]
)
def test_every_answer_carries_the_headers_that_close_doors(still_house: House, path: str) -> None:
    for client in (still_house.client(), still_house.as_(Role.READ)):
        headers = client.get(path).headers
        for name, value in HEADERS.items():
            assert headers[name] == value
        assert "script-src" not in headers["content-security-policy"]


def test_only_the_style_sheet_may_be_kept_by_a_browser(still_house: House) -> None:
    answer = still_house.client().get("/static/style.css")

    assert answer.status_code == 200
    assert "no-store" not in answer.headers.get("cache-control", "")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/static/../pages.py", "/static/%2e%2e/pages.py", "/static/none.css"):
        assert still_house.client().get(path).status_code == 404


def test_an_error_of_ours_is_answered_without_its_values_and_logged_with_its_place(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr("fontanelle.records.analyses.page", broken)
    with caplog.at_level(logging.INFO):
        answer = house.as_(Role.READ).get("/api/v1/analyses")

    assert (answer.status_code, answer.json()["code"]) == (500, "http.internal")
    assert answer.headers["cache-control"] == "no-store"
    assert CANARY not in answer.text
    (record,) = [each for each in caplog.records if each.message == "request.failed"]
    assert "KeyError" in record.where[-1] and CANARY not in json.dumps(record.where)  # type: ignore[attr-defined]


@pytest.fixture
def without_database(tmp_path: object) -> Iterator[House]:
    """Give a house whose database is away."""
    with Records.open("postgresql://nobody@127.0.0.1:1/none") as records:
        yield houses.make(records, tmp_path)  # type: ignore[arg-type]


def test_while_the_database_is_away_one_is_told_to_come_again(without_database: House) -> None:
    api = without_database.client("any").get("/api/v1/analyses")
    page = without_database.client("any").get("/analyses")

    assert (api.status_code, api.json()["code"]) == (503, "records.database_away")
    assert page.status_code == 503 and "does not answer" in page.text
    for answer in (api, page):
        assert int(answer.headers["retry-after"]) > 0


def test_without_a_database_the_process_is_well_but_not_ready(without_database: House) -> None:
    client = without_database.client()

    assert client.get("/healthz").json() == {"status": "ok", "missing": []}
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert [each["code"] for each in ready.json()["missing"]] == ["records.database_away"]


def test_a_schema_of_another_version_is_not_ready(
    empty_database_url: str, tmp_path: object
) -> None:
    with Records.open(empty_database_url) as records:
        house = houses.make(records, tmp_path)  # type: ignore[arg-type]
        ready = house.client().get("/readyz")

    assert ready.status_code == 503
    assert [each["code"] for each in ready.json()["missing"]] == ["records.schema"]
    assert "fontanelle db upgrade" in ready.json()["missing"][0]["sentence"]


def test_a_store_that_cannot_be_written_is_not_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.folder / "results").write_text("a file where the folder should be")

    ready = house.client().get("/readyz")

    assert ready.status_code == 503
    assert [each["code"] for each in ready.json()["missing"]] == ["output.unwritable"]
    with pytest.raises(Unavailable):
        LocalStore(house.folder / "results").put(b"x")


def test_with_all_there_it_is_ready(house: House) -> None:
    assert house.client().get("/readyz").json() == {"status": "ready", "missing": []}
