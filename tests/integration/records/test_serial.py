"""The same child's earlier analyses: whose are found, and whose never."""

from typing import Any

from sqlalchemy import update

from fontanelle.lifecycle import Verdict
from fontanelle.records import reviews, serial
from fontanelle.records.database import Records
from fontanelle.records.serial import StoredVisit
from fontanelle.records.tables import StudyRow
from tests.integration.records.builders import (
    arrive,
    running,
    series_id,
    succeeded,
)


def measured(records: Records, number: int, **study: Any) -> int:
    """Return an analysis that ended, of a study of its own; `study` changes its row."""
    analysis_id = succeeded(records, series=number, study=number, first=10 * number)
    said(records, number, **study)
    return analysis_id


def said(records: Records, number: int, **study: Any) -> None:
    if study:
        with records.begin() as session:
            session.execute(
                update(StudyRow)
                .where(StudyRow.study_instance_uid == f"1.2.{number}")
                .values(**study)
            )


def earlier(records: Records, number: int) -> list[StoredVisit]:
    with records.begin() as session:
        return list(serial.earlier(session, series_id(records, number)))


def ids(records: Records, number: int) -> list[int]:
    return [visit.analysis_id for visit in earlier(records, number)]


def test_earlier_scans_of_the_child_are_found_the_latest_first(records: Records) -> None:
    first = measured(records, 1, study_date="20240101")
    second = measured(records, 2, study_date="20240601")
    running(records, series=3, study=3, first=30)

    found = earlier(records, 3)

    assert [visit.analysis_id for visit in found] == [second, first]
    assert [visit.study_date for visit in found] == ["20240601", "20240101"]
    assert found[0].report["patient"] == {"age_days": 730}


def test_a_later_scan_is_not_found_and_one_of_the_same_day_is(records: Records) -> None:
    measured(records, 1, study_date="20250103")
    same_day = measured(records, 2, study_date="20250102")
    running(records, series=3, study=3, first=30)

    assert ids(records, 3) == [same_day]


def test_a_like_identifier_of_another_issuer_is_another_child(records: Records) -> None:
    measured(records, 1, study_date="20240101", issuer="OTHER")
    measured(records, 2, study_date="20240101", issuer=None)
    measured(records, 3, study_date="20240101", patient_id="4712")
    running(records, series=4, study=4, first=40)

    assert ids(records, 4) == []


def test_without_an_identifier_nobody_is_the_same_child(records: Records) -> None:
    measured(records, 1, study_date="20240101", patient_id="")
    running(records, series=2, study=2, first=20)
    said(records, 2, patient_id="")

    assert ids(records, 2) == []


def test_what_a_reader_rejected_or_nobody_has_measured_does_not_count(records: Records) -> None:
    rejected = measured(records, 1, study_date="20240101")
    with records.begin() as session:
        reviews.add(session, rejected, Verdict.REJECTED, comment="", person="Dr Ada")
    running(records, series=2, study=2, first=20)
    said(records, 2, study_date="20240201")
    running(records, series=3, study=3, first=30)

    assert ids(records, 3) == []


def test_an_earlier_analysis_of_the_same_series_is_no_earlier_scan(records: Records) -> None:
    succeeded(records)

    assert ids(records, 1) == []


def test_a_patient_in_doubt_is_said(records: Records) -> None:
    measured(records, 1, study_date="20240101")
    arrive(records, 19, series=1, study=1, patient_digest="f" * 64)
    running(records, series=2, study=2, first=20)

    (found,) = earlier(records, 2)

    assert found.is_patient_in_doubt
    with records.begin() as session:
        present = serial.present(session, series_id(records, 2))
    assert (present.study_date, present.is_patient_in_doubt) == ("20250102", False)
