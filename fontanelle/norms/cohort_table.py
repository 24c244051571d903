"""A table of children to be compared: read from CSV, refused whole with all that is wrong.

One row a child, comma-separated, UTF-8, the columns in any order:

    child                   a name of its own in every row; nobody's real name
    age_days                whole days from birth to acquisition; may be empty: then no z
    sex                     M or F; may be empty: then no z
    gestational_age_weeks   optional, may be empty: completed weeks at birth
    left_frontal, ...       one column a region of the reference, compartment in mL

Numbers have a decimal point. Nothing is converted, and nothing is left out in silence: an unknown
column is a mistake. An age outside the reference is none; the child is not compared and it is said.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fontanelle.errors import Code
from fontanelle.norms.children_csv import Row, records_of, rows_of, wrong_columns
from fontanelle.norms.cohort_rows import BORN_WEEKS, WEEKS
from fontanelle.norms.comparison import Child, Sex
from fontanelle.norms.expectations import Array
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.norms.units import volume_mistakes
from fontanelle.norms.values import Reference

CHILD, AGE, SEX = "child", "age_days", "sex"
REQUIRED: Final = (CHILD, AGE, SEX)
OLDEST_DAYS: Final = 50_000
"""Nobody is older: 137 years."""
NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?|\.[0-9]+")


@dataclass(frozen=True, slots=True, eq=False)
class CohortTable:
    """Children as a table names them, with their volumes, shape (children, regions), mL."""

    names: tuple[str, ...]
    children: tuple[Child, ...]
    volumes_ml: Array


def read_cohort(text: str, reference: Reference) -> CohortTable:
    """Read a table of children.

    Raises
    ------
    Malformed
        `cohort.invalid`, every mistake with its row (the header is row 1): nothing is compared.
    """
    rows = _rows(text, reference)
    mistakes = [
        *(Mistake("", sentence, row=at) for at, row in rows for sentence in _row(row, reference)),
        *_repeated(rows, reference),
    ]
    if mistakes:
        raise _refusal(mistakes)
    return CohortTable(
        names=tuple(row[CHILD] for _, row in rows),
        children=tuple(_child(row) for _, row in rows),
        volumes_ml=np.array(
            [[float(row[name]) for name in reference.region_names] for _, row in rows]
        ),
    )


def _refusal(mistakes: list[Mistake]) -> Malformed:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return Malformed(Code.COHORT_INVALID, f"The table has {count}; nothing is compared.", mistakes)


def _rows(text: str, reference: Reference) -> list[tuple[int, Row]]:
    records = records_of(text, _refusal)
    if len(records) < 2:
        raise _refusal([Mistake("", "it holds no child.")])
    return rows_of(records, _header(records[0][1], reference), _refusal)


def _header(header: list[str], reference: Reference) -> Iterator[str]:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        yield "cells are separated by commas, not by semicolons or tabulators."
        return
    yield from wrong_columns(header, (*REQUIRED, *reference.region_names), (WEEKS,))


def _row(row: Row, reference: Reference) -> Iterator[str]:
    if not row[CHILD]:
        yield "child is empty."
    yield from _whole(AGE, row[AGE], (0, OLDEST_DAYS), "days")
    yield from _whole(WEEKS, row.get(WEEKS, ""), BORN_WEEKS, "completed weeks")
    if row[SEX] not in {"", *Sex}:
        yield f"sex is '{row[SEX]}'; M, F or nothing is wanted."
    yield from _volumes(row, reference)


def _whole(name: str, cell: str, limits: tuple[int, int], unit: str) -> Iterator[str]:
    if not cell:
        return
    if not re.fullmatch(r"-?[0-9]{1,9}", cell):
        yield f"{name} is '{cell}'; whole {unit} are wanted."
    elif not limits[0] <= int(cell) <= limits[1]:
        yield f"{name} is {cell}, which is impossible: {limits[0]} to {limits[1]} {unit}."


def _volumes(row: Row, reference: Reference) -> Iterator[str]:
    volumes_ml: dict[str, float] = {}
    for name in reference.region_names:
        cell = row[name]
        if NUMBER.fullmatch(cell):
            volumes_ml[name] = float(cell)
        else:
            yield f"{name} is '{cell}'; a volume in mL is wanted, with a decimal point."
    readable = {name: volumes_ml.get(name, 0.0) for name in reference.region_names}
    yield from (f"{sentence}." for sentence in volume_mistakes(readable, reference))


def _repeated(rows: Iterable[tuple[int, Row]], reference: Reference) -> Iterator[Mistake]:
    by_child: dict[str, int] = {}
    by_volumes: dict[tuple[str, ...], int] = {}
    for at, row in rows:
        volumes = tuple(row[name] for name in reference.region_names)
        # Rows are named, never the child: the list may be read by others.
        if row[CHILD] and by_child.setdefault(row[CHILD], at) != at:
            yield Mistake("", f"the child of row {by_child[row[CHILD]]} again.", row=at)
        elif by_volumes.setdefault(volumes, at) != at:
            yield Mistake("", f"the volumes of row {by_volumes[volumes]} again.", row=at)


def _child(row: Row) -> Child:
    weeks = row.get(WEEKS, "")
    return Child(
        age_days=int(row[AGE]) if row[AGE] else None,
        sex=Sex(row[SEX]) if row[SEX] else None,
        gestational_age_weeks=int(weeks) if weeks else None,
    )
