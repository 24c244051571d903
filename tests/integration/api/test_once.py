"""Idempotency-Key: twice sent is once done, also when both come at once."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from fontanelle.records.keys import Role
from tests.integration.api.house import House
from tests.integration.records import builders as rows

TWICE = {"Idempotency-Key": "order-4711"}


def words(house: House) -> int:
    with house.records.begin() as session:
        return session.execute(text("SELECT count(*) FROM review")).scalar_one()


def test_a_request_that_comes_twice_is_done_once_and_answered_alike(house: House) -> None:
    house.serve()
    rows.selected(house.records)
    client = house.as_(Role.REVIEW)
    asked = {"series_instance_uid": rows.series_uid(1)}

    first = client.post("/api/v1/analyses", json=asked, headers=TWICE)
    client.post(f"{first.headers['location']}/cancel")
    second = client.post("/api/v1/analyses", json=asked, headers=TWICE)

    # Without the key a cancelled analysis would be followed by a new one.
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert len(client.get("/api/v1/analyses").json()["items"]) == 1


def test_a_key_that_came_with_another_request_is_refused(house: House) -> None:
    analysis = house.result()
    client = house.as_(Role.REVIEW)
    path = f"/api/v1/analyses/{analysis}/review"
    client.post(path, json={"verdict": "accepted"}, headers=TWICE)

    other_body = client.post(path, json={"verdict": "rejected"}, headers=TWICE)
    other_path = client.post(f"/api/v1/analyses/{analysis}/cancel", headers=TWICE)

    for answer in (other_body, other_path):
        assert (answer.status_code, answer.json()["code"]) == (409, "http.idempotency")
    assert words(house) == 1


def test_the_keys_of_two_callers_are_two_keys(house: House) -> None:
    analysis = house.result()
    for name in ("Dr Ada", "Dr Bob"):
        answer = house.as_(Role.REVIEW, name=name).post(
            f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted"}, headers=TWICE
        )
        assert answer.json()["person"] == name
    assert words(house) == 2


def test_two_at_once_are_one(house: House) -> None:
    analysis = house.result()
    secret = house.key(Role.REVIEW)

    def review(_: int) -> int:
        return (
            house.client(secret)
            .post(
                f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted"}, headers=TWICE
            )
            .status_code
        )

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(review, range(8))) == {200}
    assert words(house) == 1


def test_what_was_refused_may_be_tried_again_with_the_same_key(house: House) -> None:
    client = house.as_(Role.REVIEW)
    work = rows.running(house.records)
    path = f"/api/v1/analyses/{work.lease.analysis_id}/review"

    refused = client.post(path, json={"verdict": "accepted"}, headers=TWICE)
    house.finish(work)
    taken = client.post(path, json={"verdict": "accepted"}, headers=TWICE)

    assert (refused.status_code, taken.status_code) == (409, 200)


def test_a_key_that_is_no_text_is_refused(house: House) -> None:
    answer = house.as_(Role.REVIEW).post(
        "/api/v1/analyses/1/retry", headers={"Idempotency-Key": "x" * 201}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")
