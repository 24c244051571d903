"""Invented tables that fit the article's text: NOT the article's numbers, which nobody could read.

They are what the derived model (8.5 % for sex, 10 % a year for age, d_z 0.65) would print if it
were true, rounded as tables are.
"""

import csv
import io
from collections.abc import Mapping
from math import sqrt

from fontanelle.norms.entering import COLUMNS, Place, places
from tests.unit.norms.cases import XI

N, BOYS, GIRLS, AGE_SD, D_Z = 1487, 826, 661, 0.28, 0.65
PAIRS = tuple(norm.pair for norm in XI.asymmetry)


def values() -> dict[Place, str]:
    """Return every number of the template, as it would be typed."""
    p = BOYS / N
    found: dict[Place, str] = {}
    for norm in XI.linear_regions:
        mean, sd = norm.mean.value, norm.sd.value
        sex, age = norm.sex_effect.value, norm.age_slope.value
        within = sqrt(sd**2 - sex**2 * p * (1 - p))
        residual = norm.residual_sd.value
        r_squared = 1 - residual**2 / sd**2
        found["2", norm.name, "male_mean"] = f"{mean + sex * (1 - p):.2f}"
        found["2", norm.name, "male_sd"] = f"{within:.2f}"
        found["2", norm.name, "female_mean"] = f"{mean - sex * p:.2f}"
        found["2", norm.name, "female_sd"] = f"{within:.2f}"
        for table, coefficient, spread in (("3", -sex, sqrt(p * (1 - p))), ("4", age, AGE_SD)):
            se = residual / sqrt(N) / spread
            found[table, norm.name, "coefficient"] = f"{coefficient:.3f}"
            found[table, norm.name, "se"] = f"{se:.3f}"
            found[table, norm.name, "t"] = f"{coefficient / se:.2f}"
            found[table, norm.name, "p"] = "<0.001"
            found[table, norm.name, "r_squared"] = f"{r_squared:.3f}"
    means = {norm.name: norm.mean.value for norm in XI.linear_regions}
    for pair in PAIRS:
        difference = means[f"left_{pair}"] - means[f"right_{pair}"]
        found["5", pair, "mean_difference"] = f"{difference:.2f}"
        found["5", pair, "effect_size"] = f"{D_Z:.2f}"
        found["5", pair, "t"] = f"{D_Z * sqrt(N):.2f}"
        found["5", pair, "p"] = "<0.001"
    return found


def table(changes: Mapping[Place, str | None] | None = None) -> str:
    """Return the filled template, some values changed; None leaves a row out."""
    filled = {**values(), **(changes or {})}
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, quantity in places(XI.region_names, PAIRS):
        if filled[place] is not None:
            writer.writerow((*place, quantity.unit, filled[place]))
    return written.getvalue()
