"""Held-out heads as toddlers: volumes, places, confusions, and which regions go wrong."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.evaluation import metrics
from models.evaluation.bench import Bench
from models.evaluation.cases import Case, positioned, scanned, toddlers
from models.evaluation.listings import (
    REAL_TODDLERS,
    confusion_table,
    people_table,
    ventricle_table,
    withheld_tables,
)
from models.evaluation.pictures import draw
from models.evaluation.report import (
    Cell,
    Gate,
    Section,
    Table,
    at_least,
    interval,
    not_measured,
    signed,
    worst_at_most,
)
from models.evaluation.scoring import RegionScore, Scored, scored, usable
from models.evaluation.shapes import drawn

CHILDREN = 6
"""Different children made of each person's brain."""

Rows = list[tuple[str, RegionScore]]
"""One region: the person and the score of each scan."""


def score_case(bench: Bench, person: str, case: Case, *, surfaces: bool = False) -> Scored:
    """Scan a person's head as a case says, measure it, draw it, hold it against the truth."""
    bench.say(f"{person}: {case.name}")
    head = positioned(drawn(person, bench.package), case)
    image, truth = scanned(head, case)
    score, labels = scored(
        bench,
        image,
        truth,
        head.volumes(bench.package.region_set),
        person=person,
        case=case.name,
        surfaces=surfaces,
    )
    if labels is not None:
        draw(bench, f"{person}, {case.name}", image, truth, labels)
    return score


def held_out(bench: Bench) -> Section:
    """Judge the package on children made of people it never saw, slices to 1.25 mm."""
    cases = _children(bench)
    scores = [
        score_case(bench, person, case, surfaces=True) for person in bench.heads for case in cases
    ]
    others = [person for person in REAL_TODDLERS if person not in bench.heads]
    toddlers_too = [
        score_case(bench, person, case)
        for person in others
        for case in cases[: 1 + len(cases) // 2]
    ]
    by_region = _by_region(bench, scores)
    volumes, places = _volume_table(bench, by_region), _place_table(by_region)
    return Section(
        name="accuracy",
        title="Held-out heads as synthetic toddlers, slices to 1.25 mm",
        says=f"{len(scores)} scans of {len(bench.heads)} distinct people "
        f"({', '.join(bench.heads)}), kept from training, protocol weights and registration, and "
        "painted by a painter that training does not know. Intervals are 95 %, drawn anew by "
        "person: with so few people they are rough. Compartments unless said otherwise.",
        tables=(
            volumes,
            places,
            people_table([*scores, *toddlers_too], bench.heads),
            ventricle_table(scores),
            confusion_table(bench, scores),
            *withheld_tables(scores),
        ),
        gates=_gates(bench, by_region, scores),
        values={
            "bias_percent": {
                name: float(np.mean(_errors(rows))) for name, rows in by_region.items()
            },
            "dice": {
                name: float(np.mean([score.dice for _, score in rows]))
                for name, rows in by_region.items()
            },
        },
    )


def _children(bench: Bench) -> tuple[Case, ...]:
    return toddlers(bench.total_spread_percent, 2 if bench.quick else CHILDREN)


def _by_region(bench: Bench, scores: Sequence[Scored]) -> dict[str, Rows]:
    return {
        name: [(score.person, score.regions[index]) for score in usable(scores)]
        for index, name in enumerate(bench.regions)
    }


def _errors(rows: Rows) -> NDArray[np.float64]:
    return np.array([score.error_percent for _, score in rows])


def _pairs(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.array([(score.truth_ml, score.found_ml) for _, score in rows]).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _agreement(rows: Rows, spread: float) -> metrics.Estimate:
    errors, people = _errors(rows), [person for person, _ in rows]
    return metrics.over_people(lambda at: metrics.icc_at_spread(errors[at], spread), people)


def _volume_table(bench: Bench, by_region: dict[str, Rows]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, of_region in by_region.items():
        if not of_region:
            continue
        errors, (truth, found) = _errors(of_region), _pairs(of_region)
        spread = bench.spread_percent[name]
        altman = metrics.bland_altman(truth, found)
        parenchyma = [score.parenchyma_error_percent for _, score in of_region]
        rows.append(
            (
                name,
                signed(float(errors.mean())),
                float(np.median(np.abs(errors))),
                float(np.percentile(np.abs(errors), 90)),
                interval(_agreement(of_region, spread)),
                metrics.reliability_at_spread(errors, spread),
                metrics.icc(np.column_stack((truth, found))),
                metrics.pearson(truth, found),
                metrics.r_squared(truth, found),
                f"{altman.bias:+.2f} ({altman.low:+.2f} to {altman.high:+.2f})",
                f"{np.mean(parenchyma):+.1f} / {np.median(np.abs(parenchyma)):.1f}",
            )
        )
    return Table(
        "Volumes",
        (
            "region",
            "bias, %",
            "median error, %",
            "90th percentile, %",
            "ICC(2,1) at the reference's spread",
            "the same, all error in what was found",
            "ICC(2,1) of these heads",
            "Pearson r",
            "R2 about identity",
            "Bland-Altman, mL",
            "parenchyma: bias / median error, %",
        ),
        tuple(rows),
    )


def _place_table(by_region: dict[str, Rows]) -> Table:
    def mean(rows: Rows, value: Callable[[RegionScore], float | None]) -> float:
        values = [value(score) for _, score in rows]
        return float(np.mean([each for each in values if each is not None] or [np.nan]))

    rows: list[tuple[Cell, ...]] = [
        (
            name,
            mean(of_region, lambda s: s.dice),
            mean(of_region, lambda s: s.parenchyma_dice),
            mean(of_region, lambda s: s.sensitivity),
            mean(of_region, lambda s: s.specificity),
            mean(of_region, lambda s: s.surface_dice_1mm),
            mean(of_region, lambda s: s.surface_dice_2mm),
            mean(of_region, lambda s: s.hausdorff_95_mm),
        )
        for name, of_region in by_region.items()
    ]
    return Table(
        "Places (specificity within the skull)",
        (
            "region",
            "Dice",
            "Dice of parenchyma",
            "sensitivity",
            "specificity",
            "surface Dice 1 mm",
            "surface Dice 2 mm",
            "Hausdorff 95, mm",
        ),
        tuple(rows),
    )


def _gates(bench: Bench, by_region: dict[str, Rows], scores: Sequence[Scored]) -> tuple[Gate, ...]:
    refused = len(scores) - len(usable(scores))
    if not usable(scores):
        return (Gate("scans measured", f"{len(scores)}", "0", holds=False),)
    errors = {name: _errors(rows) for name, rows in by_region.items()}
    medians = {name: float(np.median(np.abs(each))) for name, each in errors.items()}
    tails = {name: float(np.percentile(np.abs(each), 90)) for name, each in errors.items()}
    biases = {name: abs(float(each.mean())) for name, each in errors.items()}
    agreed = {
        name: _agreement(rows, bench.spread_percent[name]) for name, rows in by_region.items()
    }
    icc = min(agreed, key=lambda name: agreed[name].value)
    dice = {
        name: float(np.mean([score.dice for _, score in rows])) for name, rows in by_region.items()
    }
    bare = {
        name: float(np.mean([score.parenchyma_dice for _, score in rows]))
        for name, rows in by_region.items()
    }
    return (
        _unseen(bench),
        Gate("scans refused", "0", str(refused), refused == 0),
        worst_at_most("median volume error of the worst region", 2.5, medians),
        worst_at_most("90th percentile of the worst region", 7.0, tails),
        worst_at_most("largest bias of a region", 2.0, biases),
        at_least(
            "ICC(2,1) at the reference's spread, worst region",
            0.90,
            agreed[icc].value,
            where=f"{icc}; {interval(agreed[icc])}, {agreed[icc].people} people",
        ),
        at_least("mean Dice of ten compartments", 0.94, float(np.mean(list(dice.values())))),
        at_least("Dice of the worst compartment", 0.90, min(dice.values()), where=_least(dice)),
        at_least("mean Dice of ten regions' parenchyma", 0.94, float(np.mean(list(bare.values())))),
        at_least("Dice of the worst parenchyma", 0.90, min(bare.values()), where=_least(bare)),
    )


def _unseen(bench: Bench) -> Gate:
    name, known = "held-out heads that the package was trained on", bench.trained_on
    if known is None:
        return not_measured(name, "none", "the package does not say on which heads it was trained")
    seen = [person for person in bench.heads if person in known]
    return Gate(name, "none", ", ".join(seen) or "none", not seen)


def _least(values: dict[str, float]) -> str:
    return min(values, key=lambda each: values[each])
