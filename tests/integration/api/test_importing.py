"""POST /references: the whole file, checked as it stands, by an administrator."""

import json
from typing import Any

import pytest

from fontanelle.norms.reference import shipped
from fontanelle.norms.table import to_csv
from fontanelle.records.keys import Role
from tests.integration.api.house import House
from tests.integration.records.test_importing import calibration
from tests.unit.norms import others

PATH = "/api/v1/references"
ABDOMEN = others.text_of(others.mean_sd())
XI = shipped("xi2025")


def post(house: House, file: str, role: Role = Role.ADMIN, **more: Any) -> Any:
    kind = "application/json" if file.startswith("{") else "text/csv"
    headers = {"Content-Type": kind, **more.pop("headers", {})}
    return house.as_(role).post(PATH, content=file.encode(), headers=headers, **more)


def test_an_imported_reference_is_listed_and_shown_as_it_came(house: House) -> None:
    answer = post(house, ABDOMEN)
    client = house.as_(Role.READ)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{PATH}/abdomen-means"
    listed = {each["id"]: each for each in client.get(PATH).json()["items"]}
    assert set(listed) == {"abdomen-means", "xi2025"}
    assert (listed["abdomen-means"]["origin"], listed["xi2025"]["loaded_at"]) == ("imported", None)
    version = answer.json()["version"]
    for name in ("abdomen-means", version):
        shown = client.get(f"{PATH}/{name}")
        assert shown.json()["document"] == json.loads(ABDOMEN)
        assert shown.json()["version"] == version
    tag = shown.headers["etag"]
    assert client.get(f"{PATH}/{name}", headers={"If-None-Match": tag}).status_code == 304


def test_every_number_reaches_the_api_with_its_provenance(house: House) -> None:
    shown = house.as_(Role.READ).get(f"{PATH}/xi2025").json()["document"]

    for region in shown["regions"]:
        for name in ("mean", "sd", "sex_effect", "age_slope", "residual_sd"):
            assert region[name]["status"] in {"published", "derived"}
            assert region[name]["source"] and region[name]["unit"]


def test_a_table_is_taken_too_and_what_is_here_is_no_second_time(house: House) -> None:
    first, second = post(house, to_csv(ABDOMEN)), post(house, ABDOMEN)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["version"] == second.json()["version"]
    assert (first.json()["is_new"], second.json()["is_new"]) == (True, False)


def test_a_dry_run_checks_and_keeps_nothing(house: House) -> None:
    answer = post(house, ABDOMEN, params={"dry_run": True})

    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert house.as_(Role.READ).get(f"{PATH}/abdomen-means").status_code == 404


def test_a_calibration_is_shown_with_its_reference(house: House) -> None:
    answer = post(house, calibration())

    assert (answer.status_code, answer.json()["kind"]) == (201, "calibration")
    (shown,) = house.as_(Role.READ).get(f"{PATH}/xi2025").json()["calibrations"]
    assert (shown["children"], shown["made_by"]) == (24, "Dr Bob")
    assert shown["version"] == answer.json()["version"]


def test_all_mistakes_are_named_in_the_problem(house: House) -> None:
    members = others.mean_sd()
    members["regions"][0]["mean"]["value"] = -1.0
    members["regions"][1]["sd"]["unit"] = "mm3"

    answer = post(house, others.text_of(members))

    assert (answer.status_code, answer.json()["code"]) == (422, "reference.invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["where"] for each in answer.json()["errors"]] == [
        "regions.liver.mean",
        "regions.left_kidney.sd",
    ]


def test_a_digest_is_over_the_text_as_it_was_sent(house: House) -> None:
    # 64 and 64.0 are one number to JSON and two to the digest.
    answer = post(house, ABDOMEN.replace('"value": 64,', '"value": 64.0,'))

    assert (answer.status_code, answer.json()["code"]) == (422, "reference.digest_mismatch")


@pytest.mark.parametrize("role", [Role.READ, Role.REVIEW])
def test_only_an_administrator_brings_references_in(house: House, role: Role) -> None:
    assert post(house, ABDOMEN, role).status_code == 403
    assert house.as_(Role.READ).get(f"{PATH}/abdomen-means").status_code == 404


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (b"\xff\xfe", 422, "http.request"),
        (b"", 422, "reference.invalid"),
        (b"{}", 422, "reference.invalid"),
        (b"[" * 100_000, 422, "reference.invalid"),
    ],
)
def test_what_is_no_file_of_ours_is_a_problem(
    house: House, file: bytes, status: int, code: str
) -> None:
    answer = house.as_(Role.ADMIN).post(PATH, content=file)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_another_version_of_a_name_is_a_conflict(house: House) -> None:
    answer = post(house, others.text_of(others.mean_sd() | {"id": "xi2025"}))

    assert (answer.status_code, answer.json()["code"]) == (409, "reference.taken")


def test_what_comes_twice_under_one_key_acts_once(house: House) -> None:
    secret = house.key(Role.ADMIN)
    headers = {"Idempotency-Key": "a", "Authorization": f"Bearer {secret}"}

    answers = [post(house, ABDOMEN, headers=headers) for _ in range(2)]

    assert [each.status_code for each in answers] == [201, 201]
    other = post(house, others.text_of(others.lms()), headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "http.idempotency")
