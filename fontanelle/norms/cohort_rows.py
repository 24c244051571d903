"""One row of a hospital's table: what it has to hold, and all that may be wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan

from fontanelle.norms.children_csv import Row
from fontanelle.norms.comparison import Sex
from fontanelle.norms.judging import IMPLAUSIBLE_RATIO
from fontanelle.norms.units import other_unit

REQUIRED = ("child", "age_days", "sex", "protocol", "package_sha256")
WEEKS, INTRACRANIAL = "gestational_age_weeks", "intracranial_ml"
OPTIONAL = (WEEKS, INTRACRANIAL)
TERM_WEEKS = 37
BORN_WEEKS = (20, 45)
LARGEST_RATIO = 3.0
"""To the reference's mean. No normal head of these ages is so large, or so small by its inverse."""
INTRACRANIAL_ML = (300.0, 2500.0)

Problem = tuple[str, str]
"""Column and sentence."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a table has to hold.

    Attributes
    ----------
    regions, means_ml
        Names in order, and about what volume is expected of each.
    pairs
        Left and right regions.
    protocol
        Label protocol that is asked for.
    age_days_min, age_days_max
        Both ends included.
    least, least_per_sex
        Children; those born preterm do not count.
    """

    regions: tuple[str, ...]
    means_ml: tuple[float, ...]
    pairs: tuple[tuple[str, str], ...]
    protocol: str
    age_days_min: int
    age_days_max: int
    least: int
    least_per_sex: int


def problems_of(row: Row, rules: Rules) -> Iterator[Problem]:
    """Yield everything that is wrong with one row, by itself."""
    if not row["child"]:
        yield "child", "child is empty."
    yield from _age(row["age_days"], rules)
    if row["sex"] not in set(Sex):
        yield "sex", f"sex is '{row['sex']}'; M or F is wanted."
    yield from _weeks(row.get(WEEKS, ""))
    yield from _package(row, rules)
    if INTRACRANIAL in row:
        yield from _between(INTRACRANIAL, row[INTRACRANIAL], INTRACRANIAL_ML, "mL")
    yield from _volumes(row, rules)


def _age(cell: str, rules: Rules) -> Iterator[Problem]:
    low, high = rules.age_days_min, rules.age_days_max
    if not re.fullmatch(r"[0-9]{1,6}", cell):
        yield "age_days", f"age_days is '{cell}'; whole days are wanted, such as {low}."
    elif not low <= int(cell) <= high:
        yield "age_days", f"age_days is {int(cell)}, outside {low} to {high} days."


def _weeks(cell: str) -> Iterator[Problem]:
    if cell:
        yield from _between(WEEKS, cell, BORN_WEEKS, "weeks")


def _package(row: Row, rules: Rules) -> Iterator[Problem]:
    if row["protocol"] != rules.protocol:
        yield "protocol", f"protocol is '{row['protocol']}', not {rules.protocol}."
    if not re.fullmatch(r"[0-9a-f]{64}", row["package_sha256"]):
        yield "package_sha256", "package_sha256 is no SHA-256 in 64 small hexadecimal digits."


def _between(name: str, cell: str, limits: tuple[float, float], unit: str) -> Iterator[Problem]:
    value = number_of(cell)
    if value is None:
        yield name, f"{name} is '{cell}', no number with a decimal point."
    elif not limits[0] <= value <= limits[1]:
        yield name, f"{name} is {cell}, outside {limits[0]:g} to {limits[1]:g} {unit}."


def _volumes(row: Row, rules: Rules) -> Iterator[Problem]:
    cells = [row[name] for name in rules.regions]
    values = [number_of(cell) for cell in cells]
    ratios = [
        value / mean if value is not None else nan
        for value, mean in zip(values, rules.means_ml, strict=True)
    ]
    units = {other_unit(ratio) for ratio in ratios}
    if len(units) == 1 and (unit := units.pop()):
        yield "", f"all volumes seem to be in {unit}; mL are wanted, and nothing is converted."
        return
    for name, cell, value, ratio in zip(rules.regions, cells, values, ratios, strict=True):
        yield from _volume(name, cell, value, ratio)
    volumes = dict(zip(rules.regions, values, strict=True))
    for left, right in rules.pairs:
        yield from _sides(left, volumes[left], right, volumes[right])


def _volume(name: str, cell: str, value: float | None, ratio: float) -> Iterator[Problem]:
    if value is None:
        yield name, f"{name} is '{cell}', no number with a decimal point."
    elif not isfinite(value):
        yield name, f"{name} is {cell}, no finite number."
    elif value < 0:
        yield name, f"{name} is {cell}: negative."
    elif value == 0:
        yield name, f"{name} is 0: the region was not found."
    elif unit := other_unit(ratio):
        yield name, f"{name} is {cell}, which seems to be in {unit}; mL are wanted, none converted."
    elif not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        yield (
            name,
            f"{name} is {cell} mL, {ratio:.2g} times the reference's mean: not to be believed.",
        )


def _sides(
    left: str, left_ml: float | None, right: str, right_ml: float | None
) -> Iterator[Problem]:
    if not left_ml or not right_ml or left_ml < 0 or right_ml < 0:
        return  # said already
    larger = max(left_ml / right_ml, right_ml / left_ml)
    if isfinite(larger) and larger > IMPLAUSIBLE_RATIO:
        yield (
            left,
            f"{left} and {right} differ by a factor of {larger:.2f}, more than "
            f"{IMPLAUSIBLE_RATIO:g}: no normal head, or no good segmentation.",
        )


def number_of(cell: str) -> float | None:
    """Return a cell's number; None where it is none."""
    # float() also takes '1_000' and digits of other scripts.
    if not re.fullmatch(
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?|[+-]?(nan|inf)", cell, re.IGNORECASE
    ):
        return None
    return float(cell)
