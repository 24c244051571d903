"""A hospital's table of normal children: read from CSV, and refused whole with all its problems.

One row a child, comma-separated, UTF-8, the columns in any order:

    child                   any name that is nobody's own; a child may occur once
    age_days                whole days from birth to acquisition
    sex                     M or F
    gestational_age_weeks   optional, may be empty: at birth; below 37 the child is left out
    protocol                label protocol of the package, the same in all rows
    package_sha256          digest of the package that measured, the same in all rows
    intracranial_ml         optional, then in every row
    left_frontal, ...       one column a region of the reference, compartment in mL

Numbers have a decimal point. Nothing is converted: volumes in mm3 or litres are refused.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code
from fontanelle.norms.children_csv import Row, records_of, rows_of, wrong_columns
from fontanelle.norms.cohort_rows import (
    INTRACRANIAL,
    OPTIONAL,
    REQUIRED,
    TERM_WEEKS,
    WEEKS,
    Rules,
    number_of,
    problems_of,
)
from fontanelle.norms.comparison import Sex
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.norms.values import Reference

LEAST_PER_SEX = 10
LEAST_INTRACRANIAL_SPREAD = 0.001
"""SD after age and sex, as a share of the mean. Heads differ by 70 times as much."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Normal children of one hospital, all measured by one package and born at term.

    Attributes
    ----------
    age_days
        From birth to acquisition, shape (children,).
    sexes
        In the same order.
    volumes_ml
        Compartments, shape (children, regions).
    intracranial_ml
        Shape (children,); None where the table has none.
    rows_read, left_out_preterm
        Rows of the table, and how many of them were of children born before 37 weeks.
    weeks_unknown
        How many children have no gestational age; they count as born at term.
    digest
        SHA-256 of the table's text.
    """

    regions: tuple[str, ...]
    age_days: NDArray[np.int64]
    sexes: tuple[Sex, ...]
    volumes_ml: Floats
    intracranial_ml: Floats | None
    protocol: str
    package_sha256: str
    rows_read: int
    left_out_preterm: int
    weeks_unknown: int
    digest: str

    @property
    def n(self) -> int:
        """Children."""
        return len(self.sexes)

    @property
    def is_boy(self) -> NDArray[np.bool_]:
        """True for boys, shape (children,)."""
        return np.asarray([sex is Sex.MALE for sex in self.sexes])


def rules_of(reference: Reference, *, least: int, least_per_sex: int = 0) -> Rules:
    """Return what a table has to hold to be put beside a reference, which is a regression."""
    return Rules(
        regions=reference.region_names,
        means_ml=tuple(norm.mean.value for norm in reference.linear_regions),
        pairs=tuple((norm.left, norm.right) for norm in reference.asymmetry),
        protocol=reference.label_protocol,
        age_days_min=reference.validity.age_days_min,
        age_days_max=reference.validity.age_days_max,
        least=least,
        least_per_sex=least_per_sex,
    )


def read(text: str, rules: Rules) -> Cohort:
    """Read a table of normal children.

    Raises
    ------
    Malformed
        `cohort.invalid`, every mistake with its row (the header is row 1): nothing is used.
    """
    rows = _rows(text, rules)
    kept = [row for _, row in rows if not _is_preterm(row)]
    mistakes = [
        *(Mistake(*problem, row=at) for at, row in rows for problem in problems_of(row, rules)),
        *_repeated(rows, rules),
        *_mixed(rows),
        *(Mistake("", problem) for problem in _too_few(kept, rules)),
    ]
    # Of cells that can all be read.
    mistakes = mistakes or list(_filled_in(kept))
    if mistakes:
        raise _refusal(mistakes)
    return Cohort(
        regions=rules.regions,
        age_days=np.asarray([int(row["age_days"]) for row in kept]),
        sexes=tuple(Sex(row["sex"]) for row in kept),
        volumes_ml=np.asarray([[float(row[name]) for name in rules.regions] for row in kept]),
        intracranial_ml=_intracranial(kept),
        protocol=kept[0]["protocol"],
        package_sha256=kept[0]["package_sha256"],
        rows_read=len(rows),
        left_out_preterm=len(rows) - len(kept),
        weeks_unknown=sum(not row.get(WEEKS) for row in kept),
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _refusal(mistakes: list[Mistake]) -> Malformed:
    count = "one problem" if len(mistakes) == 1 else f"{len(mistakes)} problems"
    return Malformed(Code.COHORT_INVALID, f"The table has {count}; nothing was computed.", mistakes)


def _rows(text: str, rules: Rules) -> list[tuple[int, Row]]:
    records = records_of(text, _refusal)
    if not records:
        raise _refusal([Mistake("", "it is empty.")])
    return rows_of(records, _header(records[0][1], rules), _refusal)


def _header(header: list[str], rules: Rules) -> Iterator[str]:
    if len(header) == 1 and ";" in header[0]:
        yield "cells are separated by semicolons; commas are wanted."
        return
    yield from wrong_columns(header, (*REQUIRED, *rules.regions), OPTIONAL)


def _repeated(rows: list[tuple[int, Row]], rules: Rules) -> Iterator[Mistake]:
    # Rows are named, never the child: the list may be read by others.
    for what, key in (
        ("are of the same child", lambda row: row["child"]),
        ("hold the same volumes", lambda row: tuple(row[name] for name in rules.regions)),
    ):
        seen: dict[object, list[int]] = {}
        for at, row in rows:
            seen.setdefault(key(row), []).append(at)
        for same in seen.values():
            if len(same) > 1:
                yield Mistake("", f"rows {', '.join(map(str, same))} {what}.")


def _mixed(rows: list[tuple[int, Row]]) -> Iterator[Mistake]:
    for name in ("protocol", "package_sha256"):
        count = len({row[name] for _, row in rows})
        if count > 1:
            yield Mistake(name, f"{name} differs between rows ({count} of them): one is wanted.")


def _too_few(kept: list[Row], rules: Rules) -> Iterator[str]:
    if len(kept) < rules.least:
        yield f"{len(kept)} children born at term; at least {rules.least} are wanted."
    counts = Counter(row["sex"] for row in kept)
    if kept and not all(counts[sex] for sex in Sex):
        yield "all children are of one sex; both are wanted."
    elif any(counts[sex] < rules.least_per_sex for sex in Sex):
        yield (
            f"{counts[Sex.MALE]} boys and {counts[Sex.FEMALE]} girls; at least "
            f"{rules.least_per_sex} of each are wanted."
        )


def _filled_in(kept: list[Row]) -> Iterator[Mistake]:
    """Find an intracranial volume that is one number, or a chart's for age and sex: no measure."""
    head_ml = _intracranial(kept)
    if head_ml is None:
        return
    known = np.asarray([(1.0, row["sex"] == Sex.MALE, float(row["age_days"])) for row in kept])
    coefficients, _, rank, _ = np.linalg.lstsq(known, head_ml)
    left_ml = head_ml - known @ coefficients
    spread_ml = np.sqrt((left_ml**2).sum() / max(len(kept) - rank, 1))
    if len(kept) > rank and spread_ml < LEAST_INTRACRANIAL_SPREAD * head_ml.mean():
        yield Mistake(
            INTRACRANIAL,
            "intracranial_ml is the same in all rows, or follows from age and sex: it was not "
            "measured, and the column has to be left out.",
        )


def _is_preterm(row: Row) -> bool:
    weeks = number_of(row.get(WEEKS, ""))
    return weeks is not None and weeks < TERM_WEEKS


def _intracranial(kept: list[Row]) -> Floats | None:
    if INTRACRANIAL not in kept[0]:
        return None
    return np.asarray([float(row[INTRACRANIAL]) for row in kept])
