"""The same heads scanned otherwise: slices, pose, noise, kernel, field and size, one at a time."""

from collections.abc import Sequence

import numpy as np

from models.evaluation.accuracy import score_case
from models.evaluation.bench import Bench
from models.evaluation.cases import CONDITIONS, PLAIN, STRICT, Case
from models.evaluation.report import Cell, Gate, Section, Table, at_most, signed
from models.evaluation.scoring import Scored, usable, withheld

QUICK = ("5 mm", "pitched by 20 degrees", "noise doubled")
POINTS, DICE_FALL, THICK_DICE_FALL = 1.0, 0.02, 0.05


def conditions(bench: Bench) -> Section:
    """Scan each held-out head in every condition, and hold it against the plain scan."""
    chosen = [case for case in CONDITIONS if not bench.quick or case.name in QUICK]
    plain = [score_case(bench, person, PLAIN) for person in bench.heads]
    scores = {case: [score_case(bench, person, case) for person in bench.heads] for case in chosen}
    rows = [_row(PLAIN, plain, plain), *(_row(case, of, plain) for case, of in scores.items())]
    return Section(
        name="conditions",
        title="The same heads scanned otherwise",
        says="Each condition differs from the plain scan in one thing; all held-out heads, all "
        "ten regions. Thick slices are means of thin ones. What was refused has no numbers and "
        "fails its gate.",
        tables=(
            Table(
                "By condition",
                (
                    "varied",
                    "condition",
                    "bias, %",
                    "mean error, %",
                    "rise, points",
                    "mean Dice",
                    "fall",
                    "withheld",
                    "refused",
                ),
                tuple(rows),
            ),
        ),
        gates=tuple(gate for case, of in scores.items() for gate in _gates(case, of, plain)),
    )


def _row(case: Case, scores: Sequence[Scored], plain: Sequence[Scored]) -> tuple[Cell, ...]:
    return (
        case.group,
        case.name,
        signed(_bias(scores)),
        _error(scores),
        _error(scores) - _error(plain),
        _dice(scores),
        _dice(plain) - _dice(scores),
        len([score for score in withheld(scores) if score.regions]),
        len(scores) - len(usable(scores)),
    )


def _gates(case: Case, scores: Sequence[Scored], plain: Sequence[Scored]) -> list[Gate]:
    thick = case.name == "5 mm"
    if not (thick or case.group == "pose" or case.name in STRICT):
        return []
    limit = THICK_DICE_FALL if thick else DICE_FALL
    if len(usable(scores)) < len(scores):
        return [Gate(case.name, "measured", "refused", holds=False)]
    fall = at_most(f"{case.name}: fall of Dice", limit, _dice(plain) - _dice(scores), unit="")
    if thick:
        return [fall]
    rise = _error(scores) - _error(plain)
    return [at_most(f"{case.name}: rise of mean error", POINTS, rise, unit=" points"), fall]


def _errors(scores: Sequence[Scored]) -> list[float]:
    return [region.error_percent for s in usable(scores) for region in s.compared] or [np.nan]


def _bias(scores: Sequence[Scored]) -> float:
    return float(np.mean(_errors(scores)))


def _error(scores: Sequence[Scored]) -> float:
    return float(np.mean(np.abs(_errors(scores))))


def _dice(scores: Sequence[Scored]) -> float:
    return float(np.mean([score.mean_dice for score in usable(scores)] or [np.nan]))
