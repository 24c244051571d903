"""No shrinkage: losses planted in held-out heads, and how much of each is found again.

Every region of a head is changed at once, each by its own level: the levels are permuted for each
region, so that they are independent of one another, and every region meets every level once in
each head. What counts is what was really planted, read off the drawn head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.evaluation import metrics
from models.evaluation.bench import Bench
from models.evaluation.cases import PLAIN, positioned, scanned
from models.evaluation.pictures import draw
from models.evaluation.report import Cell, Gate, Section, Table, between, interval
from models.evaluation.scoring import RegionScore, Scored, scored
from models.evaluation.shapes import Shape, drawn, resized, thinned, widened

COMPARTMENT_SDS = (-4.0, -3.0, -2.5, -2.0, 0.0, 2.0, 3.0)
PARENCHYMA_SDS = (-4.0, -3.0, -2.5, -2.0, 0.0)
"""Tissue can only be lost in a skull that stays."""
VENTRICLE_FACTORS = (1.0, 2.0, 5.0, 12.0)
"""From a healthy child's to a marked hydrocephalus."""
LOW, HIGH = 0.95, 1.05
DETECT_SD = -2.5
LIMITS_Z = (-1.645, -2.0)

Change = Callable[[Shape, Mapping[str, float]], Shape]


class Kind(StrEnum):
    """What is planted, and judged."""

    COMPARTMENT = "compartment"
    PARENCHYMA = "parenchyma"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was planted in one region of one head, and what was found of it.

    Attributes
    ----------
    level
        Wanted, in SD.
    planted, measured
        In SD of the reference's residual spread, both against the head's own true volume before.
    """

    person: str
    region: str
    level: float
    planted: float
    measured: float


def planted(bench: Bench) -> Section:
    """Plant losses two ways, and ventricles, and fit what was found against what was planted."""
    answers = {
        Kind.COMPARTMENT: _compartments(bench),
        Kind.PARENCHYMA: _parenchyma(bench),
    }
    ventricles = _ventricles(bench)
    return Section(
        name="planted",
        title="No shrinkage: measured against planted",
        says="Compartments made smaller and larger (the head bends around them), and parenchyma "
        "replaced by CSF at the surface of each region in a skull that stays. SD are the "
        f"reference's residual ones. {len(bench.heads)} distinct people; intervals drawn anew by "
        "person. A slope below 1 pulls every child towards the mean.",
        tables=(
            *(_slope_table(bench, name, found) for name, found in answers.items()),
            _detection_table(answers),
            _ventricle_table(ventricles),
        ),
        gates=(
            *(gate for name, found in answers.items() for gate in _slope_gates(bench, name, found)),
            _ventricle_gate(ventricles),
        ),
        values={
            f"slope_{name}": {
                region: _slope(_of(found, region)).value for region in _measured_regions(found)
            }
            for name, found in answers.items()
        },
    )


def _compartments(bench: Bench) -> list[Answer]:
    def change(shape: Shape, sds: Mapping[str, float]) -> Shape:
        factors = {bench.codes[name]: 1.0 + _share(bench, name, sd) for name, sd in sds.items()}
        return resized(shape, factors, bench.package.region_set)

    levels = (-4.0, 0.0, 3.0) if bench.quick else COMPARTMENT_SDS
    return _answers(bench, Kind.COMPARTMENT, levels, change)


def _parenchyma(bench: Bench) -> list[Answer]:
    def change(shape: Shape, sds: Mapping[str, float]) -> Shape:
        shares = {bench.codes[name]: -_share(bench, name, sd) for name, sd in sds.items()}
        return thinned(shape, shares, bench.package.region_set, bench.package.outer_csf)

    levels = (-4.0, 0.0) if bench.quick else PARENCHYMA_SDS
    return _answers(bench, Kind.PARENCHYMA, levels, change)


def _share(bench: Bench, region: str, sd: float) -> float:
    return sd * bench.spread_percent[region] / 100.0


def levels_by_region(
    levels: tuple[float, ...], regions: tuple[str, ...], seed: int
) -> list[dict[str, float]]:
    """Return one mapping for each scan: every region meets every level once, in its own order."""
    random = np.random.default_rng(seed)
    orders = [random.permutation(levels) for _ in regions]
    return [
        {name: float(order[scan]) for name, order in zip(regions, orders, strict=True)}
        for scan in range(len(levels))
    ]


def _answers(bench: Bench, kind: Kind, levels: tuple[float, ...], change: Change) -> list[Answer]:
    answers = []
    for index, person in enumerate(bench.heads):
        before = _true_ml(bench, drawn(person, bench.package), kind)
        for scan, sds in enumerate(levels_by_region(levels, bench.regions, seed=index)):
            shape = change(drawn(person, bench.package), sds)
            score = _scored(bench, shape, f"{kind} planted, {scan + 1}", picture=scan == 0)
            for region in score.compared:
                true_ml, found_ml = _true_and_found_ml(region, kind)
                sd_ml = before[region.region] * bench.spread_percent[region.region] / 100.0
                answers.append(
                    Answer(
                        person,
                        region.region,
                        sds[region.region],
                        (true_ml - before[region.region]) / sd_ml,
                        (found_ml - before[region.region]) / sd_ml,
                    )
                )
    return answers


def _scored(bench: Bench, shape: Shape, name: str, *, picture: bool) -> Scored:
    bench.say(f"{shape.person}: {name}")
    image, truth = scanned(positioned(shape, PLAIN), PLAIN)
    volumes = shape.volumes(bench.package.region_set)
    score, labels = scored(bench, image, truth, volumes, person=shape.person, case=name)
    if picture and labels is not None:
        draw(bench, f"{shape.person}, {name}", image, truth, labels)
    return score


def _true_ml(bench: Bench, shape: Shape, kind: Kind) -> dict[str, float]:
    regions = shape.volumes(bench.package.region_set).regions
    if kind is Kind.COMPARTMENT:
        return {region.region: region.compartment_ml for region in regions}
    return {region.region: region.parenchyma_ml for region in regions}


def _true_and_found_ml(score: RegionScore, kind: Kind) -> tuple[float, float]:
    if kind is Kind.COMPARTMENT:
        return score.truth_ml, score.found_ml
    return score.parenchyma_truth_ml, score.parenchyma_found_ml


def _of(answers: list[Answer], region: str) -> list[Answer]:
    return [answer for answer in answers if answer.region == region]


def _measured_regions(answers: list[Answer]) -> list[str]:
    return list(dict.fromkeys(answer.region for answer in answers))


def _slope(answers: list[Answer]) -> metrics.Estimate:
    """Return the slope of measured on planted; every region of every head has its own level."""
    x = np.array([answer.planted for answer in answers])
    y = np.array([answer.measured for answer in answers])
    groups = np.array([f"{answer.person} {answer.region}" for answer in answers])

    def statistic(at: NDArray[np.intp]) -> float:
        return metrics.slope_within(x[at], y[at], groups[at].tolist())

    return metrics.over_people(statistic, [answer.person for answer in answers])


def _slope_table(bench: Bench, kind: Kind, answers: list[Answer]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for region in _measured_regions(answers):
        mine = _of(answers, region)
        errors = np.array([a.measured - a.planted for a in mine])
        at_minus_4 = [a.measured - a.planted for a in mine if a.level == -4.0]
        rows.append(
            (
                region,
                interval(_slope(mine)),
                f"{errors.mean():+.2f}",
                float(np.median(np.abs(errors))),
                f"{np.mean(at_minus_4):+.2f}",
                bench.spread_percent[region],
            )
        )
    if answers:
        rows.append(("all together", interval(_slope(answers)), None, None, None, None))
    return Table(
        f"{kind.capitalize()}: {len({a.person for a in answers})} people, "
        f"{len(answers)} planted changes",
        (
            "region",
            "slope",
            "mean of found - planted, SD",
            "median error, SD",
            "found - planted where -4 SD were planted, SD",
            "one SD, %",
        ),
        tuple(rows),
    )


def _slope_gates(bench: Bench, kind: Kind, answers: list[Answer]) -> list[Gate]:
    name = f"slope of {kind}"
    if len(answers) < len(bench.heads) * len(bench.regions) * 2:
        return [Gate(name, f"{LOW:g} to {HIGH:g}", "scans were refused", holds=False)]
    slopes = {region: _slope(_of(answers, region)) for region in _measured_regions(answers)}
    furthest = max(slopes, key=lambda region: abs(slopes[region].value - 1.0))
    pooled = _slope(answers)
    return [
        between(f"{name}, all regions", LOW, HIGH, pooled.value, f"{interval(pooled)}"),
        between(
            f"{name}, region furthest from 1",
            LOW,
            HIGH,
            slopes[furthest].value,
            f"{furthest}; {interval(slopes[furthest])}",
        ),
    ]


def _detection_table(answers: Mapping[Kind, list[Answer]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind, found in answers.items():
        small = [a.measured for a in found if a.level == DETECT_SD]
        normal = [a.measured for a in found if a.level == 0.0]
        for limit in LIMITS_Z:
            seen = float(np.mean(np.array(small) < limit)) if small else float("nan")
            false = float(np.mean(np.array(normal) < limit)) if normal else float("nan")
            rows.append((kind, f"z < {limit:g}", seen, len(small), false, len(normal)))
    return Table(
        f"Sensitivity where {DETECT_SD:g} SD were planted (against the head's own true volume)",
        (
            "planted in",
            "called small where",
            "found",
            "of planted",
            "called small at 0 SD",
            "of normal",
        ),
        tuple(rows),
    )


def _ventricles(bench: Bench) -> list[tuple[str, float, float, float]]:
    """Return person, true and found millilitres, and the regions' mean error beside them."""
    found = []
    for person in bench.heads:
        for factor in (1.0, 4.0) if bench.quick else VENTRICLE_FACTORS:
            shape = drawn(person, bench.package)
            if factor > 1.0:
                shape = widened(shape, factor, bench.package.region_set)
            score = _scored(bench, shape, f"ventricles times {factor:g}", picture=True)
            if score.regions:
                errors = [abs(region.error_percent) for region in score.compared]
                ventricles = score.regions[-1]
                found.append(
                    (person, ventricles.truth_ml, ventricles.found_ml, float(np.mean(errors)))
                )
    return found


def _ventricle_slope(rows: list[tuple[str, float, float, float]]) -> metrics.Estimate:
    people = [row[0] for row in rows]
    true, seen = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    return metrics.over_people(
        lambda at: metrics.slope_within(true[at], seen[at], [people[i] for i in at]), people
    )


def _ventricle_table(rows: list[tuple[str, float, float, float]]) -> Table:
    return Table(
        "Ventricles, from normal to hydrocephalus",
        ("person", "planted, mL", "found, mL", "error, %", "mean error of the ten regions, %"),
        tuple(
            (person, true, seen, f"{100 * (seen / true - 1):+.1f}", others)
            for person, true, seen, others in rows
        ),
    )


def _ventricle_gate(rows: list[tuple[str, float, float, float]]) -> Gate:
    if not rows:
        return Gate("slope of ventricles", f"{LOW:g} to {HIGH:g}", "scans were refused", False)
    slope = _ventricle_slope(rows)
    return between("slope of ventricles", LOW, HIGH, slope.value, interval(slope))
