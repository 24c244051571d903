"""What comes in stays as it came: references and calibrations on a real PostgreSQL."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from fontanelle.errors import Code, Refused
from fontanelle.norms.calibration import Calibration, serialise
from fontanelle.norms.comparison import SiteOffset, SiteStatus
from fontanelle.norms.mistakes import Malformed
from fontanelle.norms.reference import load, shipped, shipped_document
from fontanelle.norms.table import to_csv
from fontanelle.norms.values import UNKNOWN_SITE, Site
from fontanelle.records import importing, references
from fontanelle.records.database import Records
from tests.integration.records.builders import at_once
from tests.unit.norms import others

XI = shipped("xi2025")
PACKAGE = "ab" * 32
MADE_AT = datetime(2025, 6, 1, tzinfo=UTC)


def take(records: Records, file: str, *, dry_run: bool = False) -> importing.Taken:
    with records.begin() as session:
        return importing.take(session, file, by="Dr Ada", dry_run=dry_run)


def refusal(records: Records, file: str) -> Refused:
    with pytest.raises(Refused) as caught:
        take(records, file)
    return caught.value


def versions(records: Records) -> list[str]:
    with records.begin() as session:
        return [each.version for each in references.all_references(session)]


def abdomen(**members: Any) -> str:
    return others.text_of(others.mean_sd() | members)


def calibration(n: int = 24, **changes: Any) -> str:
    offsets = tuple(SiteOffset(name, 1.5, 0.5) for name in XI.region_names)
    made = {
        "reference_version": XI.version,
        "package_sha256": PACKAGE,
        "protocol": XI.label_protocol,
        "n": n,
        "offsets": offsets,
        "made_at": MADE_AT,
        "by": "Dr Bob",
    }
    return serialise(Calibration(**(made | changes)))


def test_a_reference_comes_in_once_with_who_brought_it(records: Records) -> None:
    taken = take(records, abdomen())
    again = take(records, abdomen())

    assert (taken.kind, taken.name, taken.is_new) == ("reference", "abdomen-means", True)
    assert (again.version, again.is_new) == (taken.version, False)
    with records.begin() as session:
        stored = references.chosen(session, "abdomen-means")
    assert (stored.origin, stored.loaded_by) == ("imported", "Dr Ada")
    assert stored.document == abdomen()
    assert load(stored.document).version == taken.version


def test_a_table_and_its_json_are_the_same_reference(records: Records) -> None:
    taken = take(records, abdomen())

    assert not take(records, to_csv(abdomen())).is_new
    assert versions(records) == [taken.version]


def test_a_dry_run_keeps_nothing(records: Records) -> None:
    assert take(records, abdomen(), dry_run=True).is_new
    assert take(records, calibration(), dry_run=True).is_new

    assert versions(records) == []


def test_of_a_file_with_mistakes_nothing_is_taken_and_all_are_named(records: Records) -> None:
    members = others.mean_sd()
    members["regions"][0]["mean"]["value"] = -1.0
    members["colour"] = "red"
    members["regions"][1]["sd"]["unit"] = "mm3"

    error = refusal(records, others.text_of(members))

    assert isinstance(error, Malformed) and error.reason.code is Code.REFERENCE_INVALID
    assert versions(records) == []


@pytest.mark.parametrize(
    "file", ["", "{}", "[]", "where\n", '{"schema": "fontanelle.calibration/1"}']
)
def test_what_is_neither_is_refused(records: Records, file: str) -> None:
    assert refusal(records, file).reason.code in {
        Code.REFERENCE_INVALID,
        Code.CALIBRATION_INVALID,
    }


def test_a_name_of_the_product_is_not_given_to_another(records: Records) -> None:
    error = refusal(records, abdomen(id="xi2025"))

    assert error.reason.code is Code.REFERENCE_TAKEN
    assert take(records, shipped_document("xi2025")).name == "xi2025"


def test_another_version_of_a_name_needs_a_higher_revision(records: Records) -> None:
    first = take(records, abdomen())

    assert refusal(records, abdomen(title="x")).reason.code is Code.REFERENCE_TAKEN

    second = take(records, abdomen(title="x", revision=2))
    with records.begin() as session:
        assert references.chosen(session, "abdomen-means").version == second.version
        assert references.chosen(session, first.version).version == first.version


def test_of_two_that_take_a_name_at_once_one_wins(records: Records) -> None:
    def attempt(title: str) -> str:
        try:
            return take(records, abdomen(title=title)).version
        except Refused as error:
            return error.reason.code

    found = at_once(lambda: attempt("a"), lambda: attempt("b"))

    assert sorted(each == Code.REFERENCE_TAKEN for each in found) == [False, True]
    assert len(versions(records)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reference SET document = '{}'",
        "UPDATE reference SET loaded_at = now()",
        "DELETE FROM reference",
        "TRUNCATE reference CASCADE",
        "UPDATE calibration SET n = 100",
        "DELETE FROM calibration",
    ],
)
def test_the_database_itself_refuses_to_change_what_results_point_at(
    records: Records, statement: str
) -> None:
    take(records, calibration())

    with pytest.raises(IntegrityError, match="kept as it came"), records.begin() as session:
        session.execute(text(statement))

    assert versions(records) == [XI.version]


def test_the_products_reference_can_be_chosen_before_any_worker_has_loaded_it(
    records: Records,
) -> None:
    with records.begin() as session:
        found = references.chosen(session, "xi2025")
        by_version = references.chosen(session, XI.version)

    assert (found.version, found.loaded_at, found.origin) == (XI.version, None, "shipped")
    assert by_version == found


@pytest.mark.parametrize("wanted", ["absent", "sha256:" + "0" * 64, "", XI.version[7:]])
def test_what_nobody_has_cannot_be_chosen(records: Records, wanted: str) -> None:
    with records.begin() as session, pytest.raises(Refused) as caught:
        references.chosen(session, wanted)

    assert caught.value.reason.code is Code.REFERENCE_UNKNOWN


def site(records: Records, package: str = PACKAGE) -> Site:
    with records.begin() as session:
        return references.site(session, XI, package)


def test_a_site_is_known_by_its_latest_calibration_of_package_and_reference(
    records: Records,
) -> None:
    assert site(records) == UNKNOWN_SITE

    taken = take(records, calibration())
    assert taken.kind == "calibration"
    found = site(records)
    assert (found.status, found.n) == (SiteStatus.PROVISIONAL, 24)
    assert found.offsets[0] == SiteOffset("left_frontal", 1.5, 0.5)
    assert found.calibration == taken.version

    take(records, calibration(n=100))
    assert site(records).status is SiteStatus.QUALIFIED
    assert site(records, package="cd" * 32).status is SiteStatus.NONE


def test_a_reference_of_the_sites_own_children_needs_no_calibration(records: Records) -> None:
    own = load(abdomen())

    with records.begin() as session:
        assert references.site(session, own, PACKAGE).status is SiteStatus.PROVISIONAL


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"n": 19}, Code.CALIBRATION_INVALID, "below 20"),
        ({"protocol": "other"}, Code.CALIBRATION_INVALID, "is not xi2025-matched"),
        (
            {"offsets": (SiteOffset("liver", 1.0, 1.0),)},
            Code.CALIBRATION_INVALID,
            "are not of the reference's regions",
        ),
        ({"reference_version": "sha256:" + "0" * 64}, Code.REFERENCE_UNKNOWN, "no such"),
    ],
)
def test_a_calibration_that_does_not_fit_its_reference_is_refused(
    records: Records, changes: dict[str, Any], code: Code, words: str
) -> None:
    error = refusal(records, calibration(**changes))

    assert error.reason.code is code
    assert words in error.reason.sentence
    assert versions(records) == []


def test_an_altered_calibration_is_refused(records: Records) -> None:
    altered = copy.copy(calibration()).replace('"n": 24', '"n": 120')

    assert refusal(records, altered).reason.code is Code.CALIBRATION_INVALID
