"""A patient like no other, searched for wherever patients must not be."""

import logging

import pytest

from fontanelle.log import JsonFormatter
from fontanelle.records import intake
from fontanelle.records.keys import Role
from tests.integration.api.house import CANARY, House
from tests.integration.records import builders as rows


def test_a_patient_stands_in_no_address_log_metric_or_problem(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    rows.arrive(
        house.records,
        1,
        patient_id=CANARY,
        issuer=CANARY,
        accession_number=CANARY,
        description=CANARY,
    )
    rows.close(house.records)
    rows.decide(house.records, 1)
    analysis = rows.queue(house.records, rows.series_id(house.records))
    house.serve()
    house.finish(rows.claim(house.records, analysis))
    client = house.as_(Role.REVIEW)
    caplog.set_level(logging.DEBUG)
    addresses: list[str] = []
    problems: list[str] = []

    def call(method: str, path: str, **more: object) -> str:
        answer = client.request(method, path, **more)  # type: ignore[arg-type]
        addresses.append(str(answer.request.url) + answer.headers.get("location", ""))
        if answer.status_code >= 400:
            problems.append(answer.text)
        return answer.text

    shown = [
        call("GET", "/api/v1/series"),
        call("GET", f"/api/v1/analyses/{analysis}"),
        call("POST", "/api/v1/analyses/search", json={"patient_id": CANARY, "issuer": CANARY}),
        call("POST", "/analyses/search", data={"by": "patient_id", "value": CANARY}),
        call("GET", "/analyses"),
        call("GET", "/series"),
    ]
    call("POST", "/api/v1/analyses", json={"accession_number": CANARY})
    call("POST", "/api/v1/analyses", json={"accession_number": CANARY + "2"})
    call("POST", "/api/v1/analyses", json={CANARY: CANARY})
    call("POST", "/api/v1/compare", json={"volumes_ml": {CANARY: 1}})
    call("GET", f"/api/v1/analyses/{analysis}/segmentation.dcm")
    metrics = call("GET", "/metrics")

    # It is shown to those who may see it, and nowhere else.
    assert all(CANARY in text for text in shown[:1] + shown[2:])
    assert len(problems) >= 3
    formatted = "\n".join(JsonFormatter("api").format(record) for record in caplog.records)
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    for text in (*addresses, *problems, metrics, formatted, ours):
        assert CANARY not in text


def test_metrics_count_states_and_name_nobody(house: House) -> None:
    house.result(series=1)
    house.fail(series=2)
    rows.queued(house.records, 3, 3, 30)
    with house.records.begin() as session:
        intake.add_conflict(session, rows.conflict(10, rows.BUG.code))

    answer = house.as_(Role.READ).get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    for line in (
        'fontanelle_analyses{state="succeeded"} 1.0',
        'fontanelle_analyses{state="failed"} 1.0',
        'fontanelle_analyses{state="queued"} 1.0',
        'fontanelle_analyses{state="running"} 0.0',
        'fontanelle_series{state="selected"} 3.0',
        'fontanelle_deliveries{state="held"} 1.0',
        'fontanelle_deliveries{state="due"} 2.0',
        "fontanelle_conflicts 1.0",
    ):
        assert line in lines
    assert not [line for line in lines if "4711" in line or "HOSPITAL" in line]
