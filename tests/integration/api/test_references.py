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


def test_the_units_of_volumes_are_not_guessed(house: House) -> None:
    mm3 = {name: 1000 * ml for name, ml in EXAMPLE["volumes_ml"].items()}

    answer = compare(house, volumes_ml=mm3)

    assert (answer.status_code, answer.json()["code"]) == (422, "http.request")
    assert "mm3" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tier": "published"}, "tier must be one of"),
        ({"measurement_error_percent": {"insula": 2.0}}, "without a volume"),
    ],
)
def test_what_reference_or_volumes_do_not_have_is_refused(
    house: House, changes: dict[str, object], said: str
) -> None:
    answer = compare(house, **changes)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_child_born_preterm_is_compared_at_its_corrected_age(house: House) -> None:
    found = compare(house, gestational_age_weeks=32).json()

    assert found["summary"]["corrected_age_days"] == 674
    assert found["patient"] == {"sex": "F", "age_days": 730, "gestational_age_weeks": 32}
    assert len(found["at_chronological_age"]) == 11
    assert "comparison.age_corrected" in [each["code"] for each in found["reasons"]]


def test_every_number_comes_with_the_reference_that_says_where_it_is_from(house: House) -> None:
    found = compare(house, measurement_error_percent={"brainstem": 2.0}).json()

    used = found["reference"]
    shown = house.as_(Role.READ).get(f"/api/v1/references/{used['id']}").json()
    assert used["version"] == shown["version"] == f"sha256:{shown['document']['digest']['value']}"
    assert used["tier"] == "derived"
    norms = {norm["name"]: norm for norm in shown["document"]["regions"]}
    for measured in found["measurements"]:
        norm = norms[measured["region"]]
        # What z was made of, each number with status and source.
        assert measured["sd_ml"] == pytest.approx(norm["residual_sd"]["value"], abs=1e-3)
        for number in ("mean", "sd", "sex_effect", "age_slope", "residual_sd"):
            assert norm[number]["status"] and norm[number]["source"]
    by_region = {
        each["region"]: each["measurement_error_percent"] for each in found["measurements"]
    }
    assert by_region.pop("brainstem") == 2.0
    assert set(by_region.values()) == {None}
