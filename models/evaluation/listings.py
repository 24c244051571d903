"""Accuracy listed: by person, ventricles, confusions, and what was withheld."""

from collections.abc import Sequence

import numpy as np

from models.evaluation.bench import Bench
from models.evaluation.overlap import confusions
from models.evaluation.report import Cell, Table, signed
from models.evaluation.scoring import Scored, usable, withheld

REAL_TODDLERS = ("toddler_12mo", "toddler_24mo")
"""Brains of children; all the other label maps are adults made small."""


def people_table(scores: Sequence[Scored], never_seen: Sequence[str]) -> Table:
    """Return errors by person, the two real toddlers' brains told apart from the adults'."""
    rows: list[tuple[Cell, ...]] = []
    for person in dict.fromkeys(score.person for score in scores):
        mine = [score for score in usable(scores) if score.person == person]
        errors = np.array([r.error_percent for score in mine for r in score.compared] or [np.nan])
        skull = [100 * (s.intracranial_found_ml / s.intracranial_truth_ml - 1) for s in mine]
        rows.append(
            (
                person,
                "a child's" if person in REAL_TODDLERS else "an adult's, made small",
                "kept from it" if person in never_seen else "not kept from it",
                len(mine),
                signed(float(errors.mean())),
                float(np.median(np.abs(errors))),
                float(np.percentile(np.abs(errors), 90)),
                float(np.mean([score.mean_dice for score in mine] or [np.nan])),
                signed(float(np.mean(skull or [np.nan]))),
            )
        )
    return Table(
        "By person; the brains of the two toddlers are real, the skulls around them are not",
        (
            "person",
            "brain",
            "in training",
            "scans",
            "bias, %",
            "median error, %",
            "90th percentile, %",
            "mean Dice",
            "intracranial bias, %",
        ),
        tuple(rows),
    )


def ventricle_table(scores: Sequence[Scored]) -> Table:
    """Return the ventricles of every scan."""
    rows: list[tuple[Cell, ...]] = []
    for score in usable(scores):
        ventricles = score.regions[-1]
        rows.append(
            (
                score.person,
                score.case,
                ventricles.truth_ml,
                ventricles.found_ml,
                signed(ventricles.error_percent),
                ventricles.dice,
            )
        )
    heads = ("person", "case", "true, mL", "found, mL", "error, %", "Dice")
    return Table("Ventricles", heads, tuple(rows))


def confusion_table(bench: Bench, scores: Sequence[Scored]) -> Table:
    """Return which regions were taken for which, over all scans."""
    measured = usable(scores)
    rows: list[tuple[Cell, ...]] = []
    if measured:
        counted = np.sum([score.counted for score in measured], axis=0)
        found = confusions(counted, bench.names_by_code)
        rows = [(one.region, one.taken_for, one.percent) for one in found]
    heads = ("region", "taken for", "% of the region's true volume")
    return Table("Confusions of one per cent and more", heads, tuple(rows))


def withheld_tables(scores: Sequence[Scored]) -> list[Table]:
    """Return the scans of which no number would have left, if there are any."""
    rows = tuple((s.person, s.case, ", ".join(s.withheld)) for s in withheld(scores))
    if not rows:
        return []
    title = f"Withheld or refused: {len(rows)} of {len(scores)} scans (counted above all the same)"
    return [Table(title, ("person", "case", "reasons"), rows)]
