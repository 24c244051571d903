"""The OpenAPI description: whole, closed, and with examples that are taken as they stand."""

from typing import Any

import pytest

from fontanelle.norms.reference import shipped
from fontanelle.records.keys import Role
from tests.integration.api.house import House
from tests.integration.records import builders as rows

# architecture.md 6, those of this version.
CONTRACT = {
    ("get", "/api/v1/series"),
    ("get", "/api/v1/series/{series_instance_uid}"),
    ("post", "/api/v1/analyses"),
    ("get", "/api/v1/analyses"),
    ("post", "/api/v1/analyses/search"),
    ("get", "/api/v1/analyses/{analysis_id}"),
    ("get", "/api/v1/analyses/{analysis_id}/{name}"),
    ("post", "/api/v1/analyses/{analysis_id}/review"),
    ("post", "/api/v1/analyses/{analysis_id}/retry"),
    ("post", "/api/v1/analyses/{analysis_id}/cancel"),
    ("get", "/api/v1/references"),
    ("get", "/api/v1/references/{reference_id}"),
    ("post", "/api/v1/references"),
    ("post", "/api/v1/compare"),
    ("get", "/api/v1/deliveries"),
    ("post", "/api/v1/deliveries/{delivery_id}/resend"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


def description(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.as_(Role.READ).get("/api/v1/openapi.json").json()
    return found


def test_the_description_holds_the_contract_and_no_page(house: House) -> None:
    paths = description(house)["paths"]

    assert {(method, path) for path, methods in paths.items() for method in methods} == CONTRACT


def test_every_route_says_how_it_answers_and_how_to_enter(house: House) -> None:
    found = description(house)

    for path, methods in found["paths"].items():
        for said in methods.values():
            assert said["summary"] and said["description"]
            if path not in {"/healthz", "/readyz"}:
                assert said["security"], path
                assert "application/problem+json" in said["responses"]["default"]["content"]
    assert set(found["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("AnalysisIn", "/api/v1/analyses"),
        ("SearchIn", "/api/v1/analyses/search"),
        ("ReviewIn", "/api/v1/analyses/{analysis}/review"),
        ("CompareIn", "/api/v1/compare"),
    ],
)
def test_every_example_is_taken_as_it_stands(house: House, model: str, path: str) -> None:
    house.serve()
    analysis = house.result()
    # The examples' series is here, too.
    rows.arrive(
        house.records,
        91,
        study_instance_uid="1.2.826.0.1.3680043.8.498.5",
        series_instance_uid="1.2.826.0.1.3680043.8.498.6",
        accession_number="A4711",
    )
    rows.close(house.records)
    examples = description(house)["components"]["schemas"][model]["examples"]
    client = house.as_(Role.REVIEW)

    for example in examples:
        answer = client.post(path.format(analysis=analysis), json=example)
        # A study whose series is not chosen yet cannot be asked for by its accession number.
        assert answer.status_code in {200, 202, 409}, answer.text
        assert answer.status_code != 409 or answer.json()["code"] == "records.move"


def test_the_example_of_a_comparison_names_the_shipped_reference(house: House) -> None:
    example = description(house)["components"]["schemas"]["CompareIn"]["examples"][0]

    assert example["protocol"] == shipped("xi2025").label_protocol
    assert set(example["volumes_ml"]) == set(shipped("xi2025").region_names)
