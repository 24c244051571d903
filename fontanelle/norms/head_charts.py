"""Tables of head size: a chart of circumferences with L, M and S, and mean curves without an SD.

Origin and licences: `references/head_size.md`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from fontanelle.norms.comparison import Sex
from fontanelle.norms.lms import Lms, LmsRow, between_rows

DAYS_PER_MONTH: Final = 30.4375
"""Of the CDC's chart."""
DAYS_PER_YEAR: Final = 365.25
_TABLES: Final = files("fontanelle.norms.references")


@dataclass(frozen=True, slots=True)
class Chart:
    """Head circumferences of children by sex and age, cm.

    Attributes
    ----------
    name
        Printed beside every number: charts differ by 0.3 SD.
    rows
        By sex, in the order of age.
    """

    name: str
    rows: Mapping[Sex, tuple[LmsRow, ...]]

    def at(self, age_days: float, sex: Sex) -> Lms | None:
        """Return L, M and S, each linear between rows; None where the chart has no such child."""
        rows = self.rows.get(sex, ())
        if not rows or not rows[0].age_days <= age_days <= rows[-1].age_days:
            return None
        power, median, variation = between_rows(rows, np.array([age_days]))
        return Lms(float(power[0]), float(median[0]), float(variation[0]))


def mean_intracranial_ml(age_days: float | None, sex: Sex | None) -> float | None:
    """Return the mean intracranial volume on CT of children, mL; None outside 0 to 10 years."""
    return _mean("icv", "_ml", age_days, sex)


def mean_cephalic_index(age_days: float | None, sex: Sex | None) -> float | None:
    """Return the mean width in percent of length on CT of children; None outside 0 to 10 years."""
    return _mean("cephalic_index", "", age_days, sex)


def _mean(measure: str, unit: str, age_days: float | None, sex: Sex | None) -> float | None:
    if age_days is None or sex is None:
        return None
    table = _cranium()
    years, age_years = table["age_years"], age_days / DAYS_PER_YEAR
    if not years[0] <= age_years <= years[-1]:
        return None
    name = {Sex.MALE: "male", Sex.FEMALE: "female"}[sex]
    # The tables print `icv_male_ml`, and `cephalic_index_male` without a unit.
    return float(np.interp(age_years, years, table[f"{measure}_{name}{unit}"]))


@cache
def _cranium() -> dict[str, tuple[float, ...]]:
    rows = list(_read("cranium_0-10y.csv"))
    return {name: tuple(float(row[name]) for row in rows) for name in rows[0]}


@cache
def cdc_2000() -> Chart:
    """Return the CDC's chart of 2000, birth to 36 months."""
    return chart_from_rows(
        "CDC 2000",
        (
            (Sex(row["sex"]), float(row["age_months"]) * DAYS_PER_MONTH, _lms(row))
            for row in _read("cdc2000_head_circumference.csv")
        ),
    )


def chart_from_rows(name: str, rows: Iterable[tuple[Sex, float, Lms]]) -> Chart:
    """Return a chart of rows (sex, age in days, L M S) in any order.

    Raises
    ------
    ValueError
        If a sex has an age twice, or a row is no distribution.
    """
    by_sex: dict[Sex, dict[float, Lms]] = {}
    for sex, age_days, lms in rows:
        if age_days in by_sex.setdefault(sex, {}):
            raise ValueError(f"{name} has {sex} at {age_days:g} days twice")
        if lms.median <= 0 or lms.variation <= 0:
            raise ValueError(f"{name} has no distribution for {sex} at {age_days:g} days")
        by_sex[sex][age_days] = lms
    return Chart(
        name,
        {
            sex: tuple(LmsRow(age_days, at[age_days]) for age_days in sorted(at))
            for sex, at in by_sex.items()
        },
    )


def _lms(row: Mapping[str, str]) -> Lms:
    return Lms(float(row["L"]), float(row["M"]), float(row["S"]))


def _read(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(_TABLES.joinpath(name).read_text(encoding="utf-8").splitlines())
