"""Quiet periods are rows; a study is decided on when nothing of it is still arriving."""

import pytest

from fontanelle.errors import Code, Refused
from fontanelle.lifecycle import SeriesState
from fontanelle.records import intake, series
from fontanelle.records.database import Records
from fontanelle.records.series import SeriesDecision
from tests.integration.records.builders import (
    BETTER,
    arrive,
    change,
    close,
    decide,
    events,
    in_background,
    queued,
    received,
    selected,
    series_id,
    series_uid,
    study_id,
    wait_for,
    waiting,
)


def quiet(records: Records) -> list[int]:
    with records.begin() as session:
        return series.quiet_studies(session)


def state(records: Records, number: int = 1) -> SeriesState:
    with records.begin() as session:
        return series.by_uid(session, series_uid(number))[0].state


def test_a_series_is_open_until_its_sources_quiet_period_has_passed(records: Records) -> None:
    arrive(records, 1, quiet_period_s=3600.0, source="SLOW")
    arrive(records, 2, series=2, quiet_period_s=0.0, source="FAST")

    assert close(records) == [series_id(records, 2)]
    assert state(records, 1) is SeriesState.RECEIVING

    change(records, "UPDATE series SET due_at = now() WHERE state = 'receiving'")
    assert close(records) == [series_id(records, 1)]


def test_an_instance_puts_off_the_end(records: Records) -> None:
    arrive(records, 1, quiet_period_s=0.0)
    arrive(records, 2, quiet_period_s=3600.0)

    assert close(records) == []


def test_a_series_that_is_just_being_written_is_not_closed_nor_waited_for(
    records: Records,
) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2, study=2)
    with records.begin() as session:
        intake.index(session, [received(3)])
        assert close(records) == [series_id(records, 2)]


def test_a_study_waits_while_any_of_its_series_is_arriving(records: Records) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2, quiet_period_s=3600.0)
    close(records)
    assert quiet(records) == []

    change(records, "UPDATE series SET due_at = now() WHERE state = 'receiving'")
    close(records)
    assert quiet(records) == [study_id(records)]


def test_another_study_that_is_arriving_does_not_matter(records: Records) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2, study=2, quiet_period_s=3600.0)
    close(records)

    assert quiet(records) == [study_id(records, 1)]


def test_a_study_that_was_decided_on_is_not_quiet_again(records: Records) -> None:
    selected(records)

    assert quiet(records) == []


def test_the_study_that_has_waited_longest_comes_first(records: Records) -> None:
    for number in (3, 1, 2):
        arrive(records, number, series=number, study=number)
    close(records)

    assert quiet(records) == [study_id(records, number) for number in (3, 1, 2)]
    with records.begin() as session:
        assert series.quiet_studies(session, limit=1) == [study_id(records, 3)]


def test_each_series_gets_its_state_and_its_reasons(records: Records) -> None:
    arrive(records, 1)
    arrive(records, 2, series=2)
    close(records)

    assert decide(records, 2)

    with records.begin() as session:
        first, second = series.of_study(session, study_id(records))
    assert (first.state, first.reasons) == (SeriesState.NOT_SELECTED, (BETTER,))
    assert (second.state, second.reasons) == (SeriesState.SELECTED, ())
    assert events(records, "series", first.series_id)[-1] == ("complete", "not_selected")


def test_a_better_series_that_comes_late_changes_the_choice(records: Records) -> None:
    selected(records, 1)
    arrive(records, 9, series=2)
    close(records)

    assert decide(records, 2)

    assert (state(records, 1), state(records, 2)) == (
        SeriesState.NOT_SELECTED,
        SeriesState.SELECTED,
    )
    assert events(records, "series", series_id(records, 1))[-1] == ("selected", "not_selected")

    arrive(records, 10, series=3)
    close(records)
    assert decide(records, 1)
    assert state(records, 1) is SeriesState.SELECTED
    assert events(records, "series", series_id(records, 1))[-1] == ("not_selected", "selected")


def test_the_same_choice_again_moves_nothing_but_renews_the_reasons(records: Records) -> None:
    series_row = selected(records)
    before = events(records, "series", series_row)
    arrive(records, 9, series=2)
    close(records)

    assert decide(records, 1)

    assert events(records, "series", series_row) == before


def decisions(records: Records) -> list[SeriesDecision]:
    with records.begin() as session:
        return [
            SeriesDecision(each.series_id, each.revision, selected=True, reasons=())
            for each in series.complete_series(session, study_id(records))
        ]


def decided(records: Records, made: list[SeriesDecision]) -> bool:
    with records.begin() as session:
        return series.decide(session, study_id(records), made)


def test_a_decision_does_not_hold_if_a_late_instance_came_in_between(records: Records) -> None:
    arrive(records, 1)
    close(records)
    made = decisions(records)

    arrive(records, 2)
    assert not decided(records, made)
    assert state(records) is SeriesState.RECEIVING

    close(records)
    assert not decided(records, made), "it was made of revision 1"
    assert state(records) is SeriesState.COMPLETE


def test_a_decision_does_not_hold_if_a_further_series_came_in_between(records: Records) -> None:
    arrive(records, 1)
    close(records)
    made = decisions(records)

    arrive(records, 2, series=2)
    close(records)

    assert not decided(records, made)
    assert state(records, 1) is SeriesState.COMPLETE


def test_a_decision_waits_for_what_is_just_being_indexed_and_then_does_not_hold(
    records: Records,
) -> None:
    arrive(records, 1)
    close(records)
    made = decisions(records)

    with records.begin() as session:
        intake.index(session, [received(2, series=2)])
        with in_background(lambda: decided(records, made)) as decision:
            wait_for(lambda: waiting(records) == 1 or decision.done())
            session.commit()

    assert decision.result() is False


def test_the_same_series_uid_in_two_studies_is_two_series(records: Records) -> None:
    arrive(records, 1, series=1, study=1)
    arrive(records, 2, series=1, study=2)

    with records.begin() as session:
        found = series.by_uid(session, series_uid(1))
    assert {each.study_instance_uid for each in found} == {"1.2.1", "1.2.2"}


def test_the_study_of_an_analysis_is_found(records: Records) -> None:
    analysis_id = queued(records)

    with records.begin() as session:
        assert series.study_of_analysis(session, analysis_id) == study_id(records)
        with pytest.raises(Refused) as caught:
            series.study_of_analysis(session, 99)
    assert caught.value.reason.code is Code.NOT_FOUND


def test_pages_walk_from_the_newest_to_the_oldest(records: Records) -> None:
    for number in range(1, 6):
        arrive(records, number, series=number, study=number)

    with records.begin() as session:
        first = series.page(session, limit=2)
        second = series.page(session, before_id=first[-1].series_id, limit=2)
        third = series.page(session, before_id=second[-1].series_id, limit=2)
    assert [each.series_number for each in (*first, *second, *third)] == ["5", "4", "3", "2", "1"]


def test_reasons_survive_the_way_into_the_database_and_back() -> None:
    reasons = (BETTER,)

    assert series.reasons_from(list(series.reasons_to(reasons))) == reasons
    assert reasons[0].code is Code.SELECTION_BETTER
