"""A compared cohort as CSV: one row a child and line, every row with what it comes from."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from fontanelle.norms.cohorts import CohortComparison
from fontanelle.norms.comparison import Child
from fontanelle.reports.rounding import ML_DECIMALS, PERCENT_DECIMALS, Z_DECIMALS

NUMBERS: Final = {
    "expected": ML_DECIMALS,
    "sd": ML_DECIMALS,
    "low": ML_DECIMALS,
    "high": ML_DECIMALS,
    "z": Z_DECIMALS,
    "z_low": Z_DECIMALS,
    "z_high": Z_DECIMALS,
    "centile": PERCENT_DECIMALS,
    "centile_low": PERCENT_DECIMALS,
    "centile_high": PERCENT_DECIMALS,
    "pooled_z": Z_DECIMALS,
    "pooled_centile": PERCENT_DECIMALS,
}
"""With their decimals, as in the contract."""
COLUMNS: Final = (
    *("child", "age_days", "corrected_age_days", "sex", "kind", "name", "measured", "unit"),
    *NUMBERS,
    *("chronological_z", "flag", "reasons"),
    *("regions_below_5th_centile", "share_of_children_with_as_many"),
    *("reference", "reference_version", "tier", "site_status"),
)


def cohort_csv(names: Sequence[str], children: Sequence[Child], found: CohortComparison) -> str:
    """Return a compared cohort as CSV; what is not known is empty.

    Parameters
    ----------
    names, children
        In the order of the cohort.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    used = (found.reference_id, found.reference_version, found.tier, found.site_status)
    for at, (name, child) in enumerate(zip(names, children, strict=True)):
        who = (name, child.age_days, _cell(found.corrected_age_days[at], 0), child.sex)
        together = (
            _cell(found.below_5th_centile[at], 0),
            _cell(found.share_with_as_many[at], PERCENT_DECIMALS),
        )
        for line in range(len(found.lines)):
            writer.writerow((*who, *_line(found, at, line), *together, *used))
        for pair in range(len(found.pairs)):
            writer.writerow((*who, *_pair(found, at, pair), *together, *used))
    return target.getvalue()


def _line(found: CohortComparison, at: int, line: int) -> Iterator[object]:
    name = found.lines[line]
    yield from ("sum" if name == "total" else "region", name)
    yield from (_cell(found.volumes[at, line], ML_DECIMALS), "mL")
    for number, decimals in NUMBERS.items():
        yield _cell(found.numbers[number][at, line], decimals)
    yield _cell(found.birth_age_z[at, line], Z_DECIMALS)
    yield from (found.flags[at, line], " ".join(found.line_codes[at][line]))


def _pair(found: CohortComparison, at: int, pair: int) -> Iterator[object]:
    yield from ("asymmetry", found.pairs[pair])
    yield from (_cell(found.index[at, pair], PERCENT_DECIMALS), "%")
    for number in NUMBERS:
        yield _cell(found.pair_z[at, pair], Z_DECIMALS) if number == "z" else ""
    yield from ("", found.pair_flags[at, pair], " ".join(found.codes[at]))


def _cell(value: float, decimals: int) -> str:
    return "" if np.isnan(value) else f"{value:.{decimals}f}"
