"""References as they are stored, and the comparison of volumes measured elsewhere."""

import json
from typing import Any

import pytest

from fontanelle.norms.reference import shipped, shipped_document
from fontanelle.records.keys import Role
from service.api.comparing import CompareIn
from tests.integration.api.house import House

EXAMPLE: dict[str, Any] = CompareIn.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload,assignment]


def compare(house: House, **changes: object) -> Any:
    house.serve()
    return house.as_(Role.READ).post("/api/v1/compare", json=EXAMPLE | changes)


def test_references_are_listed_and_shown_whole(house: House) -> None:
    house.serve()
    client = house.as_(Role.READ)

    (listed,) = client.get("/api/v1/references").json()["items"]
    shown = client.get("/api/v1/references/xi2025").json()

    assert (listed["id"], listed["version"]) == ("xi2025", shipped("xi2025").version)
    assert listed["title"] == shipped("xi2025").title
    assert shown["document"] == json.loads(shipped_document("xi2025"))


def test_volumes_are_compared_as_the_library_compares_them(house: House) -> None:
    found = compare(house, protocol=shipped("xi2025").label_protocol).json()

    norm = {each.name: each for each in shipped("xi2025").regions}["left_frontal"]
    population = shipped("xi2025").population
    # xi2025's regression, by hand: a girl (s = 0) of 730 days.
    age = 730 / shipped("xi2025").validity.days_per_year
    expected_ml = (
        norm.mean.value
        - norm.sex_effect.value * population.male_share.value
        + norm.age_slope.value * (age - population.age_mean.value)
    )
    left = found["measurements"][0]
    assert left["region"] == "left_frontal"
    assert left["expected_ml"] == pytest.approx(expected_ml, abs=1e-3)
    assert left["z"] == pytest.approx((204.5 - expected_ml) / norm.residual_sd.value, abs=1e-4)
    assert found["reference"]["version"] == shipped("xi2025").version
    assert found["reference"]["site_status"] == "none" and left["flag"] == "uncalibrated"
    assert found["notice"].startswith("Research software")
    assert found["asymmetry"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"protocol": "another"}, "comparison.protocol_other"),
        ({"age_days": 20000}, "comparison.age_out_of_range"),
        ({"age_days": None}, "comparison.age_unknown"),
        ({"sex": None}, "comparison.sex_unknown"),
        ({"slice_thickness_mm": 10}, "comparison.not_covered"),
    ],
)
def test_where_nothing_may_be_compared_there_is_a_reason_and_no_z(
    house: House, changes: dict[str, object], code: str
) -> None:
    found = (
        compare(house, protocol=shipped("xi2025").label_protocol, **changes)
        if ("protocol" not in changes)
        else compare(house, **changes)
    )

    assert code in [each["code"] for each in found.json()["reasons"]]
    assert {each["z"] for each in found.json()["measurements"]} == {None}
    assert {each["flag"] for each in found.json()["measurements"]} == {"not_compared"}


def test_unless_said_otherwise_a_protocol_matches_only_approximately(house: House) -> None:
    asked = {key: value for key, value in EXAMPLE.items() if key != "protocol_match"}
    asked["protocol"] = shipped("xi2025").label_protocol
    house.serve()

    found = house.as_(Role.READ).post("/api/v1/compare", json=asked).json()

    assert "comparison.protocol_approximate" in [each["code"] for each in found["reasons"]]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reference": "none"}, 404, "reference.unknown"),
        ({"volumes_ml": {}}, 422, "http.request"),
        ({"volumes_ml": {"left_frontal": 200.0}}, 422, "http.request"),
        ({"volumes_ml": {"left_frontal": -1.0}}, 422, "http.request"),
        ({"volumes_ml": {"ZZCANARY^X": 1.0}}, 422, "http.request"),
        ({"volumes_ml": {f"region_{n}": 1.0 for n in range(101)}}, 422, "http.request"),
        ({"sex": "O"}, 422, "http.request"),
        ({"age_days": -1}, 422, "http.request"),
        ({"age_days": 730.5}, 422, "http.request"),
        ({"patient_id": "7"}, 422, "http.request"),
    ],
)
def test_volumes_that_make_no_sense_are_refused(
    house: House, changes: dict[str, object], status: int, code: str
) -> None:
    answer = compare(house, **({"protocol": shipped("xi2025").label_protocol} | changes))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "ZZCANARY" not in answer.text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(house: House, number: str) -> None:
    house.serve()
    body = json.dumps(EXAMPLE).replace("204.5", number)

    answer = house.as_(Role.READ).post(
        "/api/v1/compare", content=body, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")
