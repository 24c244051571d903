"""The states and their moves, as the design has them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import pytest

from fontanelle.lifecycle import (
    ANALYSIS_MOVES,
    DELIVERY_MOVES,
    ENDED,
    SERIES_MOVES,
    AnalysisState,
    DeliveryState,
    SeriesState,
    Verdict,
)
from scripts.generate_docs import pages

Moves = Mapping[Any, frozenset[Any]]
BEGINNINGS: dict[str, set[str]] = {
    "series": {SeriesState.RECEIVING},
    "analysis": {AnalysisState.QUEUED},
    "delivery": {DeliveryState.HELD, DeliveryState.DUE},
}
TABLES: dict[str, tuple[type[StrEnum], Moves]] = {
    "series": (SeriesState, SERIES_MOVES),
    "analysis": (AnalysisState, ANALYSIS_MOVES),
    "delivery": (DeliveryState, DELIVERY_MOVES),
}


def reachable(moves: Moves, beginnings: Iterable[str]) -> set[str]:
    found = set(beginnings)
    while more := {after for state in found for after in moves[state]} - found:
        found |= more
    return found


@pytest.mark.parametrize("kind", TABLES)
def test_every_state_has_a_row_of_moves_to_known_states(kind: str) -> None:
    states, moves = TABLES[kind]

    assert set(moves) == set(states)
    assert all(after in set(states) for afters in moves.values() for after in afters)


@pytest.mark.parametrize("kind", TABLES)
def test_every_state_can_be_reached(kind: str) -> None:
    states, moves = TABLES[kind]

    assert reachable(moves, BEGINNINGS[kind]) == set(states)


@pytest.mark.parametrize("kind", TABLES)
def test_no_state_leads_to_itself(kind: str) -> None:
    _states, moves = TABLES[kind]

    assert not [state for state, afters in moves.items() if state in afters]


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("series", set()),
        ("analysis", {AnalysisState.CANCELLED, AnalysisState.SUPERSEDED}),
        ("delivery", {DeliveryState.RETRACTED}),
    ],
)
def test_nothing_leaves_an_end(kind: str, ends: set[str]) -> None:
    _states, moves = TABLES[kind]

    assert {state for state, afters in moves.items() if not afters} == ends


@pytest.mark.parametrize("kind", TABLES)
def test_from_everywhere_there_is_a_way_to_an_end_or_to_rest(kind: str) -> None:
    """Nothing waits for ever: to a decision, to an end of its own, to the destination."""
    rests = {
        "series": {SeriesState.SELECTED, SeriesState.NOT_SELECTED},
        "analysis": ENDED | {AnalysisState.CANCELLED, AnalysisState.SUPERSEDED},
        "delivery": {DeliveryState.ACKNOWLEDGED, DeliveryState.RETRACTED},
    }
    _states, moves = TABLES[kind]

    for state in moves:
        assert reachable(moves, [state]) & rests[kind], state


def test_an_analysis_runs_only_from_the_queue_and_ends_only_from_running() -> None:
    def before(after: AnalysisState) -> set[AnalysisState]:
        return {state for state, afters in ANALYSIS_MOVES.items() if after in afters}

    assert before(AnalysisState.RUNNING) == {AnalysisState.QUEUED}
    for end in ENDED:
        assert before(end) == {AnalysisState.RUNNING}
    assert before(AnalysisState.SUPERSEDED) == ENDED


def test_a_late_instance_is_taken_whatever_became_of_the_series() -> None:
    assert all(
        SeriesState.RECEIVING in SERIES_MOVES[state]
        for state in SeriesState
        if state is not SeriesState.RECEIVING
    )


def test_what_is_held_is_never_sent_without_being_due_first() -> None:
    assert DELIVERY_MOVES[DeliveryState.HELD] == {DeliveryState.DUE}
    assert [
        state for state, afters in DELIVERY_MOVES.items() if DeliveryState.SENDING in afters
    ] == [DeliveryState.DUE]


def test_a_reader_accepts_or_rejects_what_nobody_has_reviewed() -> None:
    assert set(Verdict) == {"unreviewed", "accepted", "rejected"}


@pytest.mark.parametrize("kind", TABLES)
def test_the_page_draws_exactly_the_moves_of_the_table(kind: str) -> None:
    _states, moves = TABLES[kind]
    page = pages()["states.md"].split(f"## {kind.capitalize()}\n")[1].split("\n## ")[0]
    drawn = {tuple(line.strip().split(" --> ")) for line in page.splitlines() if " --> " in line}

    assert drawn == (
        {(before, after) for before, afters in moves.items() for after in afters}
        | {("[*]", beginning) for beginning in BEGINNINGS[kind]}
        | {(state, "[*]") for state, afters in moves.items() if not afters}
    )
