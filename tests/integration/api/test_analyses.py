"""One analysis over HTTP: the object in every state, asking for one, its end and its files."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fontanelle.imaging.selection import Decision
from fontanelle.records import analyses
from fontanelle.records.keys import Holder, Role
from service.api.analysis_object import SUMMARY, assembled
from service.api.report_models import AnalysisOut
from tests.integration.api import house as houses
from tests.integration.api.house import REJECTED, House
from tests.integration.records import builders as rows

# The keys of the analysis object, architecture.md 6 and what `report.json` has besides.
CONTRACT = {
    *("id", "state", "fitness", "patient", "study_instance_uid", "series_instance_uid"),
    *("series_revision", "accession_number", "package", "engine", "reference", "measurements"),
    *("asymmetry", "summary", "quality", "reasons", "objects", "deliveries", "timings_s"),
    *("notice", "scan", "remarks", "series", "digest", "rendered_at", "unknown", "review"),
    *("reviews", "requested_by", "attempts", "queued_at", "started_at", "ended_at"),
    *("total", "at_chronological_age", "head_size", "earlier"),
}


def nulls(value: object, path: str = "") -> Iterator[str]:
    """Give the path of every null that has no reasons of its own beside it."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        reasons = value.get("reasons")
        if reasons and isinstance(reasons[0], str) and "check" not in value:
            return
        for key, inner in value.items():
            yield from nulls(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from nulls(inner, f"{path}[{number}]")


def read(house: House, analysis: int) -> dict[str, Any]:
    answer = house.as_(Role.READ).get(f"/api/v1/analyses/{analysis}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    "state", ["queued", "running", "limited", "outside", "withheld", "rejected", "failed"]
)
def test_the_object_has_one_shape_in_every_state_and_a_reason_for_every_null(
    house: House, state: str
) -> None:
    match state:
        case "queued":
            analysis = rows.queued(house.records)
        case "running":
            analysis = rows.running(house.records).lease.analysis_id
        case "failed":
            analysis = house.fail()
        case _:
            analysis = house.result(getattr(houses, state)())

    found = read(house, analysis)

    assert set(found) == CONTRACT
    assert found["id"] == analysis
    explained = {each["path"] for each in found["unknown"]}
    assert set(nulls(found)) == explained
    assert all(each["sentence"] for each in found["unknown"])


def test_before_the_end_nothing_is_measured_and_the_sentence_says_so(house: House) -> None:
    found = read(house, rows.queued(house.records))

    assert (found["state"], found["measurements"], found["fitness"]) == ("queued", [], None)
    assert set(found["summary"]) == set(SUMMARY)
    assert found["patient"]["id"] == "4711"
    assert {"path": "engine", "sentence": "The analysis waits for a worker."} in found["unknown"]


def test_the_summary_has_the_same_keys_before_and_after_the_end(house: House) -> None:
    assert set(read(house, house.result())["summary"]) == set(SUMMARY)


def test_the_result_is_the_stored_report_number_by_number(house: House) -> None:
    stored = houses.report_of(houses.limited())

    found = read(house, house.result())

    for name in ("measurements", "asymmetry", "summary", "quality", "reasons", "scan", "engine"):
        assert found[name] == stored[name], name
    assert found["package"] == stored["package"]


def test_the_object_holds_its_files_its_deliveries_and_its_review(house: House) -> None:
    analysis = house.result(decisions=(Decision("1.2.3", chosen=False, reasons=(REJECTED,)),))
    client = house.as_(Role.REVIEW)
    client.post(
        f"/api/v1/analyses/{analysis}/review", json={"verdict": "accepted", "comment": "Good."}
    )

    found = read(house, analysis)

    assert [each["kind"] for each in found["objects"]] == [
        *("segmentation", "structured_report", "labels", "overlay", "report")
    ]
    for each in found["objects"]:
        assert hashlib.sha256(client.get(each["href"]).content).hexdigest() == each["sha256"]
    assert {(each["destination"], each["state"]) for each in found["deliveries"]} == {
        ("pacs", "due"),
        ("archive", "due"),
    }
    review = found["review"]
    assert (review["verdict"], review["person"], review["comment"]) == (
        "accepted",
        "Dr Ada",
        "Good.",
    )
    assert found["series"][0]["reasons"][0]["code"] == "admission.localizer"


def test_the_description_of_the_object_loses_nothing_of_it(house: House) -> None:
    analysis = house.result()
    with house.records.begin() as session:
        found = assembled(session, analysis)

    said = AnalysisOut.of(found).model_dump(mode="json")

    assert set(said) == set(found)
    assert said["measurements"] == found["measurements"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("segmentation.dcm", "application/dicom"),
        ("report.dcm", "application/dicom"),
        ("labels.nii.gz", "application/gzip"),
        ("overlay.png", "image/png"),
        ("report.json", "application/json"),
    ],
)
def test_a_file_is_exactly_what_was_stored_under_its_digest(
    house: House, name: str, media_type: str
) -> None:
    analysis = house.result()
    client = house.as_(Role.READ)
    with house.records.begin() as session:
        stored = {each.name: each for each in analyses.objects(session, analysis)}[name]

    answer = client.get(f"/api/v1/analyses/{analysis}/{name}")
    again = client.get(
        f"/api/v1/analyses/{analysis}/{name}", headers={"If-None-Match": answer.headers["etag"]}
    )

    assert answer.content == house.store.read(stored.store_key)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert answer.headers["cache-control"] == "no-store"
    assert f'filename="analysis-{analysis}-{name}"' in answer.headers["content-disposition"]
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_that_was_damaged_or_lost_is_said_to_be_and_not_sent(house: House) -> None:
    analysis = house.result()
    client = house.as_(Role.READ)
    with house.records.begin() as session:
        paths = {
            each.name: house.store.path(each.store_key)
            for each in analyses.objects(session, analysis)
        }
    paths["segmentation.dcm"].write_bytes(b"other bytes")
    paths["report.dcm"].unlink()

    for name in ("segmentation.dcm", "report.dcm"):
        answer = client.get(f"/api/v1/analyses/{analysis}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (500, "records.file_missing")
        assert str(house.folder) not in answer.text


def test_a_withheld_result_has_no_files_but_its_report(house: House) -> None:
    analysis = house.result(houses.withheld())
    client = house.as_(Role.READ)

    for name in ("segmentation.dcm", "labels.nii.gz", "overlay.png"):
        answer = client.get(f"/api/v1/analyses/{analysis}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "records.not_found")
    assert client.get(f"/api/v1/analyses/{analysis}/report.json").status_code == 200


def test_a_series_is_analysed_when_it_is_asked_for(house: House) -> None:
    house.serve()
    rows.selected(house.records)
    client = house.as_(Role.REVIEW, Holder.SYSTEM, "RIS")

    answer = client.post(
        "/api/v1/analyses", json={"series_instance_uid": rows.series_uid(1), "package": "toddler"}
    )

    assert answer.status_code == 202
    analysis = answer.json()["id"]
    assert answer.headers["location"] == f"/api/v1/analyses/{analysis}"
    found = client.get(answer.headers["location"]).json()
    assert (found["state"], found["requested_by"]) == ("queued", "RIS")
    assert found["package"]["sha256"] == rows.TOOLS.package_sha256


@pytest.mark.parametrize(
    "asked",
    [{"study_instance_uid": rows.study_uid(1)}, {"accession_number": "A1"}],
)
def test_a_study_is_analysed_by_its_selected_series(house: House, asked: dict[str, str]) -> None:
    house.serve()
    rows.selected(house.records)

    answer = house.as_(Role.REVIEW).post("/api/v1/analyses", json=asked)

    assert answer.json()["series_instance_uid"] == rows.series_uid(1)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"series_instance_uid": "1.2.9"}, 404, "records.not_found"),
        ({"accession_number": "none"}, 404, "records.not_found"),
        ({"accession_number": "SAME"}, 409, "http.ambiguous"),
        ({"series_instance_uid": rows.series_uid(3)}, 409, "records.move"),
        ({"series_instance_uid": rows.series_uid(1), "package": "x"}, 404, "package.unknown"),
        ({"series_instance_uid": rows.series_uid(1), "reference": "x"}, 404, "reference.unknown"),
        ({}, 422, "http.request"),
        ({"series_instance_uid": "1.2", "accession_number": "A1"}, 422, "http.request"),
        ({"series_instance_uid": "../../etc/passwd"}, 422, "http.request"),
        ({"series_instance_uid": "1.2", "gestational_age_weeks": 50}, 422, "http.request"),
        ({"series_instance_uid": "1.2", "head_circumference_cm": 470}, 422, "http.request"),
        ({"series_instance_uid": "1.2", "name": "x"}, 422, "http.request"),
    ],
)
def test_what_cannot_be_analysed_is_refused_with_its_code(
    house: House, asked: dict[str, object], status: int, code: str
) -> None:
    house.serve()
    rows.selected(house.records)
    rows.arrive(house.records, 31, series=3, study=3, accession_number="SAME", quiet_period_s=999.0)
    rows.arrive(house.records, 41, series=4, study=4, accession_number="SAME")

    answer = house.as_(Role.REVIEW).post("/api/v1/analyses", json=asked)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_before_a_worker_came_nothing_can_be_asked_for_and_one_is_told_to_come_again(
    house: House,
) -> None:
    rows.selected(house.records)

    answer = house.as_(Role.REVIEW).post(
        "/api/v1/analyses", json={"series_instance_uid": rows.series_uid(1)}
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "http.nothing_served")
    assert int(answer.headers["retry-after"]) > 0


def test_a_failed_analysis_is_tried_again_and_one_that_waits_is_cancelled(house: House) -> None:
    analysis = house.fail()
    client = house.as_(Role.REVIEW)

    retried = client.post(f"/api/v1/analyses/{analysis}/retry")
    cancelled = client.post(f"/api/v1/analyses/{analysis}/cancel")
    again = client.post(f"/api/v1/analyses/{analysis}/cancel")

    assert (retried.status_code, retried.json()["state"]) == (200, "queued")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "records.move")


def test_a_later_analysis_supersedes_and_the_older_one_says_so(house: House) -> None:
    first = house.result()
    series = rows.series_id(house.records)
    work = rows.claim(house.records, rows.queue(house.records, series, tools=rows.OTHER_TOOLS))
    second = house.finish(work)

    assert read(house, first)["state"] == "superseded"
    assert read(house, first)["measurements"] == read(house, second)["measurements"]
    assert read(house, second)["state"] == "succeeded"


def test_the_stored_report_leaves_byte_for_byte(house: House) -> None:
    analysis = house.result()

    content = house.as_(Role.READ).get(f"/api/v1/analyses/{analysis}/report.json").content

    assert json.loads(content)["id"] is None  # as the worker wrote it; the service numbers it
