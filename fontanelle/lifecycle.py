"""The states and their allowed moves, as data. Standard library only.

`records` is the one door through which a state changes; a move that is not in these tables is an
error. `docs/states.md` is drawn from them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class SeriesState(StrEnum):
    """What became of a series that was sent to us."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    SELECTED = "selected"
    NOT_SELECTED = "not_selected"


class AnalysisState(StrEnum):
    """What became of an analysis."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class DeliveryState(StrEnum):
    """Where one object is on its way to one destination."""

    HELD = "held"
    DUE = "due"
    SENDING = "sending"
    ACKNOWLEDGED = "acknowledged"
    COMMITTED = "committed"
    DEAD = "dead"
    RETRACTING = "retracting"
    RETRACTED = "retracted"


class Verdict(StrEnum):
    """A reader's word on a result."""

    UNREVIEWED = "unreviewed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


SERIES_MOVES: Final[Mapping[SeriesState, frozenset[SeriesState]]] = {
    SeriesState.RECEIVING: frozenset({SeriesState.COMPLETE}),
    SeriesState.COMPLETE: frozenset(
        {SeriesState.SELECTED, SeriesState.NOT_SELECTED, SeriesState.RECEIVING}
    ),
    # A late instance opens the next revision; a better series of the study changes the choice.
    SeriesState.SELECTED: frozenset({SeriesState.RECEIVING, SeriesState.NOT_SELECTED}),
    SeriesState.NOT_SELECTED: frozenset({SeriesState.RECEIVING, SeriesState.SELECTED}),
}

ENDED: Final = frozenset({AnalysisState.SUCCEEDED, AnalysisState.REJECTED, AnalysisState.FAILED})
"""An analysis that came to an end of its own and still counts."""

ANALYSIS_MOVES: Final[Mapping[AnalysisState, frozenset[AnalysisState]]] = {
    AnalysisState.QUEUED: frozenset({AnalysisState.RUNNING, AnalysisState.CANCELLED}),
    AnalysisState.RUNNING: frozenset(
        {
            AnalysisState.SUCCEEDED,
            AnalysisState.REJECTED,
            AnalysisState.FAILED,
            AnalysisState.QUEUED,
            AnalysisState.CANCELLED,
        }
    ),
    AnalysisState.SUCCEEDED: frozenset({AnalysisState.SUPERSEDED}),
    AnalysisState.REJECTED: frozenset({AnalysisState.SUPERSEDED}),
    # A person may have a failed one tried again.
    AnalysisState.FAILED: frozenset({AnalysisState.SUPERSEDED, AnalysisState.QUEUED}),
    AnalysisState.CANCELLED: frozenset(),
    AnalysisState.SUPERSEDED: frozenset(),
}

DELIVERY_MOVES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.HELD: frozenset({DeliveryState.DUE}),
    DeliveryState.DUE: frozenset({DeliveryState.SENDING, DeliveryState.HELD}),
    DeliveryState.SENDING: frozenset(
        {DeliveryState.ACKNOWLEDGED, DeliveryState.DUE, DeliveryState.DEAD}
    ),
    # A person may have the same bytes sent again.
    DeliveryState.ACKNOWLEDGED: frozenset(
        {DeliveryState.COMMITTED, DeliveryState.RETRACTING, DeliveryState.DUE}
    ),
    DeliveryState.COMMITTED: frozenset({DeliveryState.RETRACTING, DeliveryState.DUE}),
    DeliveryState.DEAD: frozenset({DeliveryState.DUE}),
    DeliveryState.RETRACTING: frozenset({DeliveryState.RETRACTED, DeliveryState.DEAD}),
    DeliveryState.RETRACTED: frozenset(),
}
