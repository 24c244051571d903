"""Analyses as a person asks for them: queued once, cancelled, tried again, found."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from fontanelle.errors import Code, FontanelleError, Refused
from fontanelle.lifecycle import AnalysisState
from fontanelle.records import analyses, outbox
from fontanelle.records.database import Records
from tests.integration.records.builders import (
    LIMIT,
    OTHER_TOOLS,
    TOOLS,
    arrive,
    at_once,
    claim,
    close,
    decide,
    events,
    failed,
    finish,
    give_up,
    queue,
    queued,
    running,
    seen,
    selected,
    series_id,
    series_uid,
    study_uid,
    succeeded,
    value,
)


def cancel(records: Records, analysis_id: int) -> None:
    with records.begin() as session:
        analyses.cancel(session, analysis_id, by="Dr. Cue")


def retry(records: Records, analysis_id: int) -> None:
    with records.begin() as session:
        analyses.retry(session, analysis_id, by="Dr. Cue")


def ask(records: Records, **identifier: Any) -> int:
    with records.begin() as session:
        return analyses.queue_for(session, TOOLS, by="ris", **identifier)


def code_of_refusal(act: Callable[[], object]) -> Code:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.reason.code


def to_announce(records: Records) -> list[int]:
    with records.begin() as session:
        return outbox.to_send(session, again_s=3600.0, again_limit=4)


def test_queueing_announces_and_leaves_an_event(records: Records) -> None:
    analysis_id = queued(records)

    found = seen(records, analysis_id)
    assert (found.state, found.attempts) == (AnalysisState.QUEUED, 0)
    assert found.requested_by == "dispatcher"
    assert to_announce(records) == [analysis_id]
    assert events(records, "analysis", analysis_id) == [(None, "queued")]


def test_the_same_is_queued_once(records: Records) -> None:
    series_row = selected(records)

    assert queue(records, series_row) == queue(records, series_row)


@pytest.mark.parametrize("make", [running, succeeded, failed])
def test_what_runs_or_has_ended_is_not_queued_again(
    records: Records, make: Callable[[Records], object]
) -> None:
    make(records)

    assert queue(records, series_id(records)) == 1
    assert value(records, "SELECT count(*) FROM analysis") == 1


def test_two_callers_at_once_get_one_analysis(records: Records) -> None:
    series_row = selected(records)

    made = at_once(*[lambda: queue(records, series_row)] * 6)

    assert len(set(made)) == 1
    assert value(records, "SELECT count(*) FROM analysis") == 1


def test_a_newer_revision_cancels_what_still_waits_for_the_older_one(records: Records) -> None:
    older = queued(records)
    arrive(records, 3)
    close(records)
    decide(records, 1)

    newer = queue(records, series_id(records), revision=2)

    assert seen(records, older).state is AnalysisState.CANCELLED
    reason = seen(records, older).reason
    assert reason is not None and reason.code is Code.SUPERSEDED
    assert seen(records, newer).state is AnalysisState.QUEUED


def test_a_newer_revision_leaves_what_runs_to_its_end(records: Records) -> None:
    older = running(records).lease.analysis_id
    arrive(records, 3)
    close(records)
    decide(records, 1)

    queue(records, series_id(records), revision=2)

    assert seen(records, older).state is AnalysisState.RUNNING


def test_a_better_series_cancels_what_still_waits_for_the_one_it_replaces(
    records: Records,
) -> None:
    older = queued(records, 1)
    arrive(records, 9, series=2)
    close(records)
    decide(records, 2)

    queue(records, series_id(records, 2))

    assert seen(records, older).state is AnalysisState.CANCELLED


def test_a_series_that_was_not_chosen_takes_no_others_place(records: Records) -> None:
    """A person may have it measured; the study's own analysis goes on."""
    waiting = queued(records, 1)
    arrive(records, 9, series=2)
    close(records)
    decide(records, 1)

    asked_for = ask(records, series_instance_uid=series_uid(2))

    assert seen(records, waiting).state is AnalysisState.QUEUED
    assert seen(records, asked_for).state is AnalysisState.QUEUED


def test_another_package_or_age_is_another_analysis(records: Records) -> None:
    work = running(records)
    series_row = series_id(records)

    weeks = queue(records, series_row, gestational_age_weeks=30)
    assert weeks != work.lease.analysis_id
    assert queue(records, series_row, gestational_age_weeks=30) == weeks
    package = queue(records, series_row, tools=OTHER_TOOLS)

    assert package not in {weeks, work.lease.analysis_id}
    assert seen(records, weeks).state is AnalysisState.CANCELLED
    assert seen(records, work.lease.analysis_id).state is AnalysisState.RUNNING


def test_the_worker_is_told_the_gestational_age(records: Records) -> None:
    analysis_id = queue(records, selected(records), gestational_age_weeks=30)

    assert claim(records, analysis_id).gestational_age_weeks == 30


def test_what_was_cancelled_may_be_asked_for_again(records: Records) -> None:
    first = queued(records)
    cancel(records, first)

    assert queue(records, series_id(records)) != first


@pytest.mark.parametrize("make", [queued, lambda records: running(records).lease.analysis_id])
def test_what_waits_or_runs_can_be_cancelled(
    records: Records, make: Callable[[Records], int]
) -> None:
    analysis_id = make(records)

    cancel(records, analysis_id)

    found = seen(records, analysis_id)
    assert found.state is AnalysisState.CANCELLED
    assert found.reason is not None and found.reason.code is Code.CANCELLED_BY_PERSON
    assert found.ended_at is not None
    assert to_announce(records) == []


def test_a_worker_whose_analysis_was_cancelled_writes_nothing(records: Records) -> None:
    work = running(records)
    cancel(records, work.lease.analysis_id)

    with pytest.raises(FontanelleError) as caught:
        finish(records, work)

    assert caught.value.reason.code is Code.LEASE_LOST
    assert value(records, "SELECT count(*) FROM object") == 0


def test_what_has_ended_cannot_be_cancelled(records: Records) -> None:
    analysis_id = succeeded(records)

    assert code_of_refusal(lambda: cancel(records, analysis_id)) is Code.MOVE_REFUSED
    assert code_of_refusal(lambda: cancel(records, 99)) is Code.NOT_FOUND


def test_a_failed_one_is_tried_again_with_all_its_attempts(records: Records) -> None:
    analysis_id = failed(records)
    with records.begin() as session:
        outbox.mark_sent(session, [analysis_id])

    retry(records, analysis_id)

    found = seen(records, analysis_id)
    assert (found.state, found.attempts, found.reason) == (AnalysisState.QUEUED, 0, None)
    assert (found.started_at, found.ended_at) == (None, None)
    assert to_announce(records) == [analysis_id]
    for attempt in range(1, LIMIT + 1):
        work = claim(records, analysis_id)
        assert work.lease.attempt == attempt
        ended = give_up(records, work)
    assert ended is AnalysisState.FAILED


@pytest.mark.parametrize("make", [queued, succeeded])
def test_only_a_failed_one_is_tried_again(records: Records, make: Callable[[Records], int]) -> None:
    analysis_id = make(records)

    assert code_of_refusal(lambda: retry(records, analysis_id)) is Code.MOVE_REFUSED


def test_a_failed_one_is_not_tried_again_while_a_newer_one_is_open(records: Records) -> None:
    older = failed(records)
    queue(records, series_id(records), tools=OTHER_TOOLS)

    assert code_of_refusal(lambda: retry(records, older)) is Code.MOVE_REFUSED


def test_a_person_asks_by_series_by_study_or_by_accession_number(records: Records) -> None:
    selected(records)

    asked = {
        ask(records, series_instance_uid=series_uid(1)),
        ask(records, study_instance_uid=study_uid(1)),
        ask(records, accession_number="A1"),
    }

    assert asked == {1}
    assert seen(records, 1).requested_by == "ris"


def test_of_a_study_the_selected_series_is_measured(records: Records) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2)
    close(records)
    decide(records, 2)

    analysis_id = ask(records, study_instance_uid=study_uid(1))

    assert seen(records, analysis_id).series_instance_uid == series_uid(2)


def test_what_nobody_sent_cannot_be_asked_for(records: Records) -> None:
    selected(records)
    for identifier in ("series_instance_uid", "study_instance_uid", "accession_number"):
        assert code_of_refusal(lambda name=identifier: ask(records, **{name: "9.9"})) is (  # type: ignore[misc]
            Code.NOT_FOUND
        )


def test_nothing_is_meant_by_no_identifier(records: Records) -> None:
    arrive(records, 1, accession_number=None)
    close(records)
    decide(records, 1)

    with pytest.raises(ValueError, match="identifier"):
        ask(records)
    with pytest.raises(ValueError, match="identifier"):
        ask(records, study_instance_uid=study_uid(1), accession_number="A1")


def test_an_accession_number_of_two_studies_is_ambiguous(records: Records) -> None:
    selected(records, 1, 1, 1)
    arrive(records, 5, series=2, study=2, accession_number="A1")
    close(records)
    decide(records, 2, study=2)

    assert code_of_refusal(lambda: ask(records, accession_number="A1")) is Code.AMBIGUOUS
    with records.begin() as session:
        assert (
            code_of_refusal(lambda: analyses.search(session, accession_number="A1"))
            is Code.AMBIGUOUS
        )


def test_a_series_uid_that_two_studies_claim_is_ambiguous(records: Records) -> None:
    arrive(records, 1, series=1, study=1)
    arrive(records, 2, series=1, study=2)
    close(records)

    assert (
        code_of_refusal(lambda: ask(records, series_instance_uid=series_uid(1))) is Code.AMBIGUOUS
    )


def test_what_is_still_arriving_cannot_be_asked_for(records: Records) -> None:
    arrive(records, 1, quiet_period_s=3600.0)

    for identifier in (
        {"series_instance_uid": series_uid(1)},
        {"study_instance_uid": study_uid(1)},
    ):
        assert code_of_refusal(lambda it=identifier: ask(records, **it)) is (  # type: ignore[misc]
            Code.MOVE_REFUSED
        )


def several(records: Records) -> list[int]:
    """Return: succeeded (full), succeeded (limited), failed, queued."""
    return [
        succeeded(records, series=1, study=1, first=10),
        succeeded(records, Code.AGE_UNKNOWN, series=2, study=2, first=20),
        failed(records, series=3, study=3, first=30),
        queued(records, 4, 4, 40),
    ]


def listed(
    records: Records, list_them: Callable[[Session], list[analyses.AnalysisSeen]]
) -> list[int]:
    with records.begin() as session:
        return [each.analysis_id for each in list_them(session)]


def test_lists_are_narrowed_by_state_fitness_and_time(records: Records) -> None:
    full, limited, lost, waiting = several(records)

    assert listed(records, analyses.page) == [waiting, lost, limited, full]
    for narrowed, expected in (
        ({"states": [AnalysisState.SUCCEEDED]}, [limited, full]),
        ({"states": [AnalysisState.FAILED, AnalysisState.QUEUED]}, [waiting, lost]),
        ({"fitness": "limited"}, [limited]),
        ({"since": datetime.now(UTC) - timedelta(hours=1)}, [waiting, lost, limited, full]),
        ({"since": datetime.now(UTC) + timedelta(hours=1)}, []),
        ({"limit": 1}, [waiting]),
        ({"before_id": lost, "limit": 1}, [limited]),
        ({"states": [AnalysisState.SUCCEEDED], "fitness": "full", "before_id": lost}, [full]),
    ):
        assert listed(records, lambda s, n=narrowed: analyses.page(s, **n)) == expected  # type: ignore[misc]


def test_a_patient_is_an_identifier_and_its_issuer(records: Records) -> None:
    analysis_id = succeeded(records)

    for patient, issuer, expected in (
        ("4711", "HOSPITAL", [analysis_id]),
        ("4711", None, []),
        ("4711", "ELSEWHERE", []),
        ("471", "HOSPITAL", []),
        ("4711\x00", "HOSPITAL", [analysis_id]),
    ):
        found = listed(
            records,
            lambda s, p=patient, i=issuer: analyses.search(s, patient_id=p, issuer=i),  # type: ignore[misc]
        )
        assert found == expected


def test_the_analyses_of_a_study_are_found_by_its_uid_and_accession_number(
    records: Records,
) -> None:
    _full, limited, _lost, _waiting = several(records)

    assert listed(records, lambda s: analyses.search(s, study_instance_uid=study_uid(2))) == [
        limited
    ]
    assert listed(records, lambda s: analyses.search(s, accession_number="A2")) == [limited]
    assert listed(records, lambda s: analyses.search(s, accession_number="A9")) == []


def test_one_analysis_has_a_report_and_files_once_it_has_ended(records: Records) -> None:
    work = running(records)
    analysis_id = work.lease.analysis_id
    with records.begin() as session:
        assert analyses.report(session, analysis_id) is None
        assert analyses.objects(session, analysis_id) == []

    finish(records, work)

    with records.begin() as session:
        assert analyses.report(session, analysis_id) == {"patient": {"age_days": 730}}
        assert [each.name for each in analyses.objects(session, analysis_id)] == [
            "segmentation.dcm",
            "report.dcm",
            "report.json",
        ]


def test_the_analyses_of_a_series_are_listed_the_newest_first(records: Records) -> None:
    first = succeeded(records)
    second = queue(records, series_id(records), tools=OTHER_TOOLS)

    assert listed(records, lambda s: analyses.of_series(s, series_id(records))) == [second, first]


def test_the_newest_analysis_of_each_series_is_found_at_once(records: Records) -> None:
    older = succeeded(records)
    newer = queue(records, series_id(records), tools=OTHER_TOOLS)
    other = queued(records, 2, 2, 20)
    arrive(records, 30, series=3, study=3)
    ids = [series_id(records, number) for number in (1, 2, 3)]

    with records.begin() as session:
        found = analyses.newest_of(session, ids)
        assert {key: each.analysis_id for key, each in found.items()} == {
            ids[0]: newer,
            ids[1]: other,
        }
        assert analyses.newest_of(session, []) == {}
    assert older < newer


def test_the_childrens_ages_are_those_of_the_reports(records: Records) -> None:
    ended, waiting = succeeded(records), queue(records, series_id(records), tools=OTHER_TOOLS)

    with records.begin() as session:
        assert analyses.ages(session, [ended, waiting]) == {ended: 730}


def test_a_patients_identifier_alone_finds_the_children_of_all_who_issue_it(
    records: Records,
) -> None:
    first = succeeded(records)
    arrive(records, 20, series=2, study=2, issuer="ELSEWHERE")
    arrive(records, 30, series=3, study=3, patient_id="4712")
    close(records)
    second, _third = queue(records, series_id(records, 2)), queue(records, series_id(records, 3))

    assert listed(records, lambda s: analyses.of_patient_id(s, "4711")) == [second, first]


def test_an_unknown_analysis_is_said_to_be_unknown(records: Records) -> None:
    with records.begin() as session:
        assert code_of_refusal(lambda: analyses.get(session, 99)) is Code.NOT_FOUND
        assert analyses.report(session, 99) is None


def queue_selected(records: Records, revision: int = 1) -> int | None:
    with records.begin() as session:
        return analyses.queue_selected(session, series_id(records), revision, TOOLS, by="test")


def test_what_was_selected_is_queued_once(records: Records) -> None:
    selected(records)

    assert queue_selected(records) == 1
    assert queue_selected(records) is None


def test_what_a_person_cancelled_stays_cancelled_until_it_grows_or_a_person_asks(
    records: Records,
) -> None:
    analysis_id = queued(records)
    cancel(records, analysis_id)

    assert queue_selected(records) is None
    assert queue_selected(records, revision=2) is not None
    assert ask(records, series_instance_uid=series_uid(1)) != analysis_id


def test_another_stated_circumference_is_another_analysis(records: Records) -> None:
    series_row = selected(records)
    tape = queue(records, series_row, head_circumference_cm=47.5)

    assert queue(records, series_row, head_circumference_cm=47.5) == tape
    assert queue(records, series_row, head_circumference_cm=48.0) != tape


def test_a_stated_circumference_reaches_the_worker_and_holds_for_later_analyses(
    records: Records,
) -> None:
    first = queue(records, selected(records), head_circumference_cm=47.5)
    assert claim(records, first).head_circumference_cm == 47.5

    later = queue_selected(records, revision=2)

    assert later is not None
    assert claim(records, later).head_circumference_cm == 47.5


def test_a_stated_gestational_age_holds_for_later_analyses_of_the_study(records: Records) -> None:
    queue(records, selected(records), gestational_age_weeks=30)

    later = queue_selected(records, revision=2)

    assert later is not None
    assert claim(records, later).gestational_age_weeks == 30


def test_what_waits_when_the_tools_change_is_made_with_the_new_ones(records: Records) -> None:
    analysis_id = queued(records)

    with records.begin() as session:
        assert analyses.retool(session, OTHER_TOOLS) == [analysis_id]
        assert analyses.retool(session, OTHER_TOOLS) == []

    assert claim(records, analysis_id).package_sha256 == OTHER_TOOLS.package_sha256


def test_what_runs_or_has_ended_keeps_the_tools_that_it_was_made_with(records: Records) -> None:
    running(records)
    succeeded(records, series=2, first=10)

    with records.begin() as session:
        assert analyses.retool(session, OTHER_TOOLS) == []
