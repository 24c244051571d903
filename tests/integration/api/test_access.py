"""Who may do what: everything is closed, roles open it, and only a person reviews."""

from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts

from fontanelle.errors import Code
from fontanelle.records import keys
from fontanelle.records.database import Records
from fontanelle.records.keys import Holder, Role
from service.api.auth import COOKIE
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.integration.records import builders as rows

OPEN = {"/healthz", "/readyz", "/login", "/logout"}
VALUES = {
    "analysis_id": "1",
    "delivery_id": "1",
    "reference_id": "xi2025",
    "series_instance_uid": "1.2.0.1",
    "name": "report.json",
}


def routes(house: House) -> Iterator[tuple[str, str]]:
    """Give method and path of every route that there is."""
    for route in iter_route_contexts(house.app.routes):
        for method in sorted(route.methods or ()):
            yield method, (route.path or "").format(**VALUES)


def test_every_route_that_is_not_opened_asks_for_a_key(still_house: House) -> None:
    client = still_house.client()
    closed = [(method, path) for method, path in routes(still_house) if path not in OPEN]

    assert len(closed) >= 25
    for method, path in closed:
        answer = client.request(method, path)
        if path.startswith(("/api/", "/metrics")):
            assert (answer.status_code, answer.json()["code"]) == (401, "http.key_missing"), path
            assert answer.headers["www-authenticate"].startswith("Bearer")
        else:
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login"), path


def test_nothing_is_open_that_is_not_meant_to_be(still_house: House) -> None:
    assert {path for _, path in routes(still_house)} >= OPEN
    for path in ("/docs", "/redoc", "/openapi.json", "/api/v1/openapi.json"):
        assert still_house.client().get(path).status_code in {303, 401, 404}


def test_whoever_only_reads_changes_nothing(house: House) -> None:
    house.serve()
    analysis = house.result()
    client = house.as_(Role.READ)
    acts = [
        (method, path)
        for method, path in routes(house)
        if method == "POST" and path not in OPEN and not path.endswith(("/search", "/compare"))
    ]

    assert len(acts) == 10
    for method, path in acts:
        answer = client.request(method, path, json={})
        assert answer.status_code == 403, path
        if path.startswith("/api/"):
            assert answer.json()["code"] == Code.KEY_INSUFFICIENT
    assert client.get(f"/api/v1/analyses/{analysis}").json()["review"]["verdict"] == "unreviewed"


@pytest.mark.parametrize("role", list(Role))
def test_whoever_may_act_may_also_read(house: House, role: Role) -> None:
    house.serve()
    house.result()
    client = house.as_(role)

    for path in ("/api/v1/series", "/api/v1/analyses/1", "/api/v1/deliveries", "/metrics"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("role", [Role.REVIEW, Role.ADMIN])
def test_a_system_reviews_nothing_and_releases_nothing(house: House, role: Role) -> None:
    analysis = house.result(plans=(rows.AFTER_REVIEW,))
    client = house.as_(role, Holder.SYSTEM, "RIS")
    delivery = client.get("/api/v1/deliveries").json()["items"][0]

    review = client.post(f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted"})
    resend = client.post(f"/api/v1/deliveries/{delivery['id']}/resend")

    for answer in (review, resend):
        assert (answer.status_code, answer.json()["code"]) == (403, "http.person_needed")
    assert client.get("/api/v1/deliveries").json()["items"][0]["state"] == "held"


def test_a_key_is_taken_from_either_header(still_house: House) -> None:
    secret = still_house.key(Role.READ)

    for headers in ({"Authorization": f"Bearer {secret}"}, {"X-API-Key": secret}):
        assert still_house.client().get("/api/v1/analyses", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic d3Jvbmc="},
        {"Authorization": "Bearer"},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": "\x7f;;=;"},
    ],
)
def test_a_key_or_session_that_nobody_gave_is_refused(
    still_house: House, headers: dict[str, str]
) -> None:
    answer = still_house.client().get("/api/v1/analyses", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "http.key_missing")


def test_a_revoked_key_opens_nothing_nor_does_its_session(house: House) -> None:
    secret = house.key(Role.READ)
    client = house.client()
    client.post("/login", data={"key": secret})
    assert client.get("/api/v1/analyses").status_code == 200

    with house.records.begin() as session:
        keys.revoke(session, keys.all_keys(session)[0].key_id)

    assert client.get("/api/v1/analyses").status_code == 401
    assert house.client(secret).get("/api/v1/analyses").status_code == 401


def test_with_keys_off_everybody_may_all_and_the_review_says_that_nobody_was_named(
    records: Records, tmp_path: object
) -> None:
    house = houses.make(records, tmp_path, require_key=False)  # type: ignore[arg-type]
    analysis = house.result()

    answer = house.client().post(
        f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted"}
    )

    assert answer.json()["person"] == "unnamed (keys are off)"


@pytest.mark.parametrize("host", ["evil.example:8765", "", "[2001:db8::1]", "192.0.2.7"])
def test_with_keys_off_on_loopback_no_foreign_name_is_answered(
    records: Records, tmp_path: object, host: str
) -> None:
    house = houses.make(records, tmp_path, require_key=False)  # type: ignore[arg-type]

    answer = house.client().get("/api/v1/analyses", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (403, "http.cross_site")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765"])
def test_with_keys_off_names_of_this_machine_are_answered(
    records: Records, tmp_path: object, host: str
) -> None:
    house = houses.make(records, tmp_path, require_key=False)  # type: ignore[arg-type]

    assert house.client().get("/api/v1/analyses", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8765"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/analyses/1/review", "/api/v1/analyses/1/review", "/logout"])
def test_what_another_site_makes_a_browser_send_is_refused(
    house: House, said: dict[str, str], path: str
) -> None:
    house.result()
    client = house.client()
    client.post("/login", data={"key": house.key(Role.REVIEW)})

    answer = client.post(path, data={"verdict": "accepted"}, headers=said)

    assert answer.status_code == 403
    assert client.get("/api/v1/analyses/1").json()["review"]["verdict"] == "unreviewed"


def test_a_login_by_another_site_is_refused(house: House) -> None:
    answer = house.client().post(
        "/login", data={"key": house.key(Role.READ)}, headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
