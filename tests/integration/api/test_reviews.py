"""Reviews and deliveries: what a person's word releases and holds, and what is sent again."""

import pytest

from fontanelle.records import deliveries
from fontanelle.records.keys import Role
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.integration.records import builders as rows


def states(house: House) -> dict[str, str]:
    found = house.as_(Role.READ).get("/api/v1/deliveries").json()["items"]
    return {f"{each['destination']} {each['object']}": each["state"] for each in found}


def test_acceptance_releases_what_waited_for_it(house: House) -> None:
    analysis = house.result(plans=(rows.AFTER_REVIEW,))
    assert states(house) == {"archive segmentation": "held"}

    answer = house.as_(Role.REVIEW).post(
        f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted", "comment": "Fine."}
    )

    assert answer.status_code == 200
    assert states(house) == {"archive segmentation": "due"}


def test_rejection_holds_what_was_not_sent_yet(house: House) -> None:
    analysis = house.result(plans=(rows.AT_ONCE,))

    house.as_(Role.REVIEW).post(
        f"/api/v1/analyses/{analysis}/review", json={"verdict": "rejected", "comment": "Cut."}
    )

    assert set(states(house).values()) == {"held"}
    held = house.as_(Role.READ).get("/api/v1/deliveries").json()["items"][0]
    assert held["reason"]["code"] == "delivery.review_rejected"


def test_all_words_on_a_result_are_kept_and_the_last_one_counts(house: House) -> None:
    analysis = house.result()
    for name, verdict in (("Dr Ada", "accepted"), ("Dr Bob", "rejected")):
        house.as_(Role.REVIEW, name=name).post(
            f"/api/v1/analyses/{analysis}/review", json={"verdict": verdict}
        )

    found = house.as_(Role.READ).get(f"/api/v1/analyses/{analysis}").json()

    assert (found["review"]["verdict"], found["review"]["person"]) == ("rejected", "Dr Bob")
    assert [each["person"] for each in found["reviews"]] == ["Dr Bob", "Dr Ada"]


@pytest.mark.parametrize("normal", [True, False, None])
def test_a_reader_says_whether_the_head_is_normal(house: House, normal: bool | None) -> None:
    analysis = house.result()
    client = house.as_(Role.REVIEW)
    path = f"/api/v1/analyses/{analysis}"
    assert client.get(path).json()["review"]["normal"] is None

    answer = client.post(f"{path}/review", json={"verdict": "accepted", "normal": normal})

    assert answer.json()["normal"] is normal
    found = client.get(path).json()
    assert found["review"]["normal"] is normal
    assert [each["normal"] for each in found["reviews"]] == [normal]
    unknown = {each["path"]: each["sentence"] for each in found["unknown"]}
    said = ("review.normal" in unknown, "reviews[0].normal" in unknown)
    assert said == (normal is None, normal is None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"verdict": "accepted", "normal": "yes"},
        {"verdict": "accepted", "normal": 1},
        {"normal": True},
        {"verdict": "unreviewed"},
        {"verdict": "maybe"},
        {"verdict": "accepted", "comment": "x" * 4001},
        {"verdict": "accepted", "comment": "a\x00b"},
        {"verdict": "accepted", "person": "Dr Bob"},
        ["accepted"],
        None,
    ],
)
def test_a_word_that_is_none_is_refused_and_changes_nothing(house: House, body: object) -> None:
    analysis = house.result()
    client = house.as_(Role.REVIEW)

    answer = client.post(f"/api/v1/analyses/{analysis}/review", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")
    assert client.get(f"/api/v1/analyses/{analysis}").json()["reviews"] == []


def test_what_has_no_result_cannot_be_reviewed(house: House) -> None:
    client = house.as_(Role.REVIEW)
    waiting = rows.queued(house.records, 1, 1, 10)
    rejected = house.result(houses.rejected(), series=2)

    for analysis, status, code in (
        (waiting, 409, "records.move"),
        (rejected, 409, "records.move"),
        (999, 404, "records.not_found"),
    ):
        answer = client.post(f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_person_has_a_dead_delivery_sent_again_with_all_its_attempts(house: House) -> None:
    house.result(plans=(rows.AT_ONCE,))
    with house.records.begin() as session:
        for dispatch in deliveries.claim(session, "pacs", lease_s=60):
            deliveries.failed(session, dispatch, rows.AWAY, status=0xA700, again_in_s=None)
    client = house.as_(Role.REVIEW)
    dead = client.get("/api/v1/deliveries", params={"state": "dead"}).json()["items"]
    assert dead[0]["status"] == "0xA700" and dead[0]["attempts"] == 1

    answer = client.post(f"/api/v1/deliveries/{dead[0]['id']}/resend")
    again = client.post(f"/api/v1/deliveries/{dead[0]['id']}/resend")

    assert (answer.status_code, answer.json()["state"], answer.json()["attempts"]) == (
        200,
        "due",
        0,
    )
    assert (again.status_code, again.json()["code"]) == (409, "records.move")


def test_a_delivery_that_is_not_there_cannot_be_sent(house: House) -> None:
    answer = house.as_(Role.REVIEW).post("/api/v1/deliveries/7/resend")

    assert (answer.status_code, answer.json()["code"]) == (404, "records.not_found")
