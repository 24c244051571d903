"""References and toolings: what this installation compares with, and what its workers serve."""

import pytest

from fontanelle.errors import Code, Refused
from fontanelle.records import references, tooling
from fontanelle.records.database import Records
from tests.integration.records.builders import OTHER_TOOLS, TOOLS, at_once, change


def load(records: Records, version: str, document: str = "{}", name: str = "local") -> bool:
    with records.begin() as session:
        return references.load(session, name, version, document)


def test_a_reference_is_loaded_once(records: Records) -> None:
    assert load(records, "v1", "first")
    assert not load(records, "v1", "second")

    with records.begin() as session:
        assert references.chosen(session, "local").document == "first"


def test_many_that_load_it_at_once_load_it_once(records: Records) -> None:
    assert sorted(at_once(*[lambda: load(records, "v1")] * 4)) == [False, False, False, True]


def test_the_latest_of_a_name_is_the_one_that_was_loaded_last(records: Records) -> None:
    for version in ("v2", "v1", "v3"):
        load(records, version)
    load(records, "v9", name="other")

    with records.begin() as session:
        assert references.chosen(session, "local").version == "v3"
        found = [each.version for each in references.all_references(session)]
    assert found == ["v2", "v1", "v3", "v9"]


def test_of_two_that_were_loaded_together_the_latest_is_always_the_same(
    records: Records,
) -> None:
    with records.begin() as session:
        for version in ("v2", "v3", "v1"):
            references.load(session, "local", version, "{}")

    with records.begin() as session:
        assert references.chosen(session, "local").version == "v3"


def test_what_was_not_loaded_is_unknown(records: Records) -> None:
    with records.begin() as session:
        with pytest.raises(Refused) as caught:
            references.chosen(session, "absent")
        assert caught.value.reason.code is Code.REFERENCE_UNKNOWN


def serve(records: Records, *tools: tooling.Tooling) -> None:
    for each in tools:
        with records.begin() as session:
            tooling.register(session, each)


def test_nothing_is_served_before_the_first_worker_has_started(records: Records) -> None:
    with records.begin() as session:
        assert tooling.served(session) is None


def test_what_the_worker_that_started_last_serves_counts(records: Records) -> None:
    serve(records, TOOLS, OTHER_TOOLS)
    with records.begin() as session:
        assert tooling.served(session) == OTHER_TOOLS

    change(records, "UPDATE tooling SET seen_at = seen_at - interval '1 h'")
    serve(records, TOOLS)
    with records.begin() as session:
        assert tooling.served(session) == TOOLS
