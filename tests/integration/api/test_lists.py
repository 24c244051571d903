"""Lists: every row once, filters, entity tags, and what a series is told of."""

import re

import pytest
from starlette.testclient import TestClient

from fontanelle.errors import Code
from fontanelle.records import intake
from fontanelle.records.keys import Role
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.integration.records import builders as rows
from tests.unit.reports.builders import MEASURED


def walk(client: TestClient, path: str, **query: object) -> list[dict[str, object]]:
    """Return all items of a list, page by page."""
    items: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        asked = query if cursor is None else {**query, "cursor": cursor}
        page = client.get(path, params=asked).json()  # type: ignore[arg-type]
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_pages_hold_every_analysis_once_the_newest_first(house: House) -> None:
    made = [rows.queued(house.records, n, n, 10 * n) for n in range(1, 8)]
    client = house.as_(Role.READ)

    for limit in (1, 2, 3, 7, 50):
        found = walk(client, "/api/v1/analyses", limit=limit)
        assert [each["id"] for each in found] == made[::-1]


def test_what_comes_while_one_pages_moves_nothing(house: House) -> None:
    made = [rows.queued(house.records, n, n, 10 * n) for n in range(1, 5)]
    client = house.as_(Role.READ)
    first = client.get("/api/v1/analyses?limit=2").json()

    rows.queued(house.records, 9, 9, 90)
    second = client.get("/api/v1/analyses", params={"limit": 2, "cursor": first["next"]}).json()

    assert [each["id"] for each in first["items"] + second["items"]] == made[::-1]


def test_analyses_are_found_by_state_fitness_and_time(house: House) -> None:
    limited, failed = house.result(series=1), house.fail(series=2)
    withheld = house.result(houses.withheld(), series=3)
    queued = rows.queued(house.records, 4, 4, 40)
    client = house.as_(Role.READ)

    def ids(**query: object) -> list[object]:
        return [each["id"] for each in walk(client, "/api/v1/analyses", **query)]

    assert ids(state="failed") == [failed]
    assert ids(state=["queued", "failed"]) == [queued, failed]
    assert ids(fitness="limited") == [limited]
    assert ids(fitness="withheld") == [withheld]
    assert ids(since="2020-01-01T00:00:00Z") == [queued, withheld, failed, limited]
    assert ids(since="2120-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize("path", ["/api/v1/analyses", "/api/v1/series", "/api/v1/deliveries"])
def test_a_list_that_has_not_changed_is_not_sent_again(house: House, path: str) -> None:
    house.result()
    client = house.as_(Role.READ)
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    house.result(series=2)
    changed = client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_series_says_its_state_its_decision_its_reasons_and_its_analyses(house: House) -> None:
    analysis = house.result(series=1)
    rows.arrive(house.records, 901, series=9, study=1)
    rows.close(house.records)
    rows.decide(house.records, 1, study=1)
    client = house.as_(Role.READ)

    (chosen,) = client.get(f"/api/v1/series/{rows.series_uid(1)}").json()["items"]
    (other,) = client.get(f"/api/v1/series/{rows.series_uid(9)}").json()["items"]

    assert (chosen["state"], chosen["instances"], chosen["source"]) == ("selected", 2, "SCANNER")
    assert [each["id"] for each in chosen["analyses"]] == [analysis]
    assert other["state"] == "not_selected" and other["analyses"] == []
    assert other["reasons"] == [
        {"code": "selection.better_series", "sentence": "Series 2 has thinner slices."}
    ]
    assert [each["series_instance_uid"] for each in walk(client, "/api/v1/series", limit=1)] == [
        rows.series_uid(9),
        rows.series_uid(1),
    ]


def test_conflicts_stand_beside_their_series(house: House) -> None:
    rows.arrive(house.records, 1, 2)
    with house.records.begin() as session:
        intake.add_conflict(session, rows.conflict(1, Code.INSTANCE_CONFLICT))
        intake.add_conflict(session, rows.conflict(2, Code.INSTANCE_CONFLICT))

    (found,) = house.as_(Role.READ).get("/api/v1/series").json()["items"]

    assert [(each["code"], each["instances"]) for each in found["conflicts"]] == [
        ("intake.conflict", 2)
    ]


def test_a_withheld_result_shows_no_number_in_any_list(house: House) -> None:
    house.result(houses.withheld())
    client = house.as_(Role.READ)

    for path in ("/api/v1/analyses", "/api/v1/analyses/1", "/analyses", "/analyses/1"):
        text = client.get(path).text
        assert "quality.brain_cut" in text
        # The seconds of a timestamp may hold the same digits.
        assert not [each for each in MEASURED if re.search(rf"(?<!\d){re.escape(each)}", text)]


def test_a_search_finds_a_patient_by_identifier_and_issuer_and_a_study_by_its_own(
    house: House,
) -> None:
    rows.arrive(house.records, 1, series=1, study=1, patient_id="7", issuer=None)
    rows.arrive(house.records, 2, series=2, study=2, patient_id="7", issuer="ELSEWHERE")
    rows.close(house.records)
    made = []
    for number in (1, 2):
        rows.decide(house.records, number, study=number)
        made.append(rows.queue(house.records, rows.series_id(house.records, number)))
    client = house.as_(Role.READ)

    def found(**asked: str) -> list[int]:
        answer = client.post("/api/v1/analyses/search", json=asked)
        return [each["id"] for each in answer.json()["items"]]

    assert found(patient_id="7") == [made[0]]
    assert found(patient_id="7", issuer="ELSEWHERE") == [made[1]]
    assert found(accession_number="A2") == [made[1]]
    assert found(study_instance_uid=rows.study_uid(1)) == [made[0]]
    assert found(patient_id="8") == []


def test_an_accession_number_of_two_studies_is_no_answer(house: House) -> None:
    for number in (1, 2):
        rows.arrive(house.records, number, series=number, study=number, accession_number="SAME")

    answer = house.as_(Role.READ).post("/api/v1/analyses/search", json={"accession_number": "SAME"})

    assert (answer.status_code, answer.json()["code"]) == (409, "http.ambiguous")


def test_deliveries_are_listed_by_state_with_what_holds_them(house: House) -> None:
    analysis = house.result()
    client = house.as_(Role.READ)

    held = walk(client, "/api/v1/deliveries", state="held", limit=1)
    due = walk(client, "/api/v1/deliveries", state="due", limit=1)

    assert [(each["destination"], each["object"]) for each in held] == [("archive", "segmentation")]
    assert held[0]["reason"]["code"] == "delivery.awaiting_review"  # type: ignore[index]
    assert {each["destination"] for each in due} == {"pacs"}
    assert {each["analysis_id"] for each in held + due} == {analysis}
