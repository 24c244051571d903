"""The reference that typed-in tables make: published coefficients in place of derived ones.

What the tables do not give stays derived and says so: residual SDs, all correlations but those of
left and right, the SDs of the asymmetry indices.
"""

import copy
from datetime import datetime
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fontanelle.norms.entered_checks import (
    Sample,
    effect_size,
    mistakes,
    raw_correlation,
    residual_variance,
    sample_of,
    standard_error,
)
from fontanelle.norms.entering import Tables, refusal
from fontanelle.norms.reference import Members, load, members_of, sealed
from fontanelle.norms.values import AsymmetryNorm, Reference, RegionNorm

REFERENCE_ID = "xi2025-published"
DECIMALS = 3
TYPED_TABLES = ("Table 2", "Table 3", "Table 4", "Table 5")
Matrix = NDArray[np.float64]


def entered(
    tables: Tables, document: str, *, by: str, at: datetime, checked_by: str | None = None
) -> str:
    """Return the text of the reference that the tables make, in tier published.

    Parameters
    ----------
    tables
        As typed in.
    document
        Of the reference that holds what the article's text publishes, and the derived model.
    by, at
        Who typed them in, and when (with its time zone).
    checked_by
        Who typed them a second time, with the same result.

    Raises
    ------
    Malformed
        `reference.tables`: all places where the tables contradict the text or each other.
    """
    reference = load(document)
    if found := mistakes(tables, reference):
        raise refusal(found)
    members: Any = copy.deepcopy(members_of(document))
    members.update(id=REFERENCE_ID, revision=1, entry=_entry(by, at, checked_by))
    members["tiers"].update(available=["published", "pooled"], note=_note(by, at))
    members["unknown"] = [each for each in members["unknown"] if not each.startswith(TYPED_TABLES)]
    _model(members["model"])
    sample = sample_of(reference)
    norms = reference.linear_regions
    for region, norm in zip(members["regions"], norms, strict=True):
        _region(region, norm, tables, sample)
    _correlations(members["correlations"], reference, tables, sample)
    _total(members)
    for pair, norm_of_pair in zip(members["asymmetry"], reference.asymmetry, strict=True):
        _asymmetry(pair, norm_of_pair, norms, tables, sample.n)
    made = sealed(members)
    load(made)
    return made


def _entry(by: str, at: datetime, checked_by: str | None) -> Members:
    return {
        "by": by,
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "source": "Tables 2 to 5 of the article, typed in by a person",
        "checked_by": checked_by,
    }


def _note(by: str, at: datetime) -> str:
    return f"Tables 2 to 5 were typed in by {by} on {at:%Y-%m-%d}"


def _model(model: Members) -> None:
    for name in ("relative_sex_effect", "relative_age_slope"):
        model.pop(name, None)
    model["coefficient_se_rule"] = "as printed in Tables 3 and 4, or coefficient / t"


def _region(region: Any, norm: RegionNorm, tables: Tables, sample: Sample) -> None:  # noqa: ANN401
    name = norm.name
    sex, age = (tables.need(table, name, "coefficient").value for table in ("3", "4"))
    sex_se, age_se = (standard_error(tables, table, name) for table in ("3", "4"))
    region.update(
        sex_effect=_published(
            -sex,
            "mL",
            "Table 3: coefficient of a step from 1 (male) to 2 (female), its sign turned",
            se=sex_se,
            definition="male minus female",
        ),
        age_slope=_published(age, "mL/year", "Table 4", se=age_se),
        residual_sd=_derived(
            sqrt(residual_variance(tables, norm, sample)),
            "mL",
            "sqrt(sd^2 - sex_effect^2 p(1-p) - age_slope^2 0.28^2) of published numbers, "
            "p = 826/1487; age and sex taken as uncorrelated",
        ),
        published_sex_coefficient=_published(sex, "mL", "Table 3", se=sex_se),
        published_age_coefficient=_published(age, "mL/year", "Table 4", se=age_se),
    )
    for quantity in ("male_mean", "male_sd", "female_mean", "female_sd"):
        region[quantity] = _published(tables.need("2", name, quantity).value, "mL", "Table 2")
    printed = tables.get("3", name, "r_squared")
    if printed is not None:
        region["r_squared"] = _published(printed.value, "1", "Table 3")


def _correlations(
    correlations: Any,  # noqa: ANN401
    reference: Reference,
    tables: Tables,
    sample: Sample,
) -> None:
    """Put in what the paired tests say of left and right, wherever the matrix stays definite."""
    pairs = _pair_correlations(reference, tables, sample)
    for name in ("central", "weak", "strong"):
        matrix = np.array(correlations[name])
        for (row, column), r in pairs.items():
            matrix[row, column] = matrix[column, row] = r
        if name != "central" and np.linalg.eigvalsh(matrix)[0] <= 0:
            correlations[name] = None
        else:
            correlations[name] = matrix.tolist()
    correlations["source"] += "; left and right from the paired tests of Table 5"


def _pair_correlations(
    reference: Reference, tables: Tables, sample: Sample
) -> dict[tuple[int, int], float]:
    """Return the residual correlation of each pair: the raw covariance less that of sex and age."""
    norms = {norm.name: norm for norm in reference.linear_regions}
    names = list(reference.region_names)
    found = {}
    for pair in reference.asymmetry:
        left, right = norms[pair.left], norms[pair.right]
        raw = raw_correlation(left, right, effect_size(tables, pair.pair, sample.n))
        covariance = raw * left.sd.value * right.sd.value - sum(
            tables.need(table, left.name, "coefficient").value
            * tables.need(table, right.name, "coefficient").value
            * variance
            for table, variance in (("3", sample.sex_variance), ("4", sample.age_sd**2))
        )
        spread = sqrt(
            residual_variance(tables, left, sample) * residual_variance(tables, right, sample)
        )
        found[names.index(left.name), names.index(right.name)] = round(
            covariance / spread, DECIMALS
        )
    return found


def _total(members: Any) -> None:  # noqa: ANN401
    regions, total = members["regions"], members["total"]
    for name, unit in (("sex_effect", "mL"), ("age_slope", "mL/year")):
        summed = sum(region[name]["value"] for region in regions)
        total[name] = _derived(summed, unit, "sum over regions of the published coefficients")
    sds = np.array([region["residual_sd"]["value"] for region in regions])
    matrix: Matrix = np.array(members["correlations"]["central"])
    source = "residual SDs and the central correlation matrix"
    total["residual_sd"] = _derived(sqrt(float(sds @ matrix @ sds)), "mL", source)


def _asymmetry(
    pair: Any,  # noqa: ANN401
    norm: AsymmetryNorm,
    norms: tuple[RegionNorm, ...],
    tables: Tables,
    n: float,
) -> None:
    """Put in the SD of the index, to first order in both volumes: 200 (L - R) / (L + R)."""
    by_name = {each.name: each for each in norms}
    left, right = by_name[norm.left], by_name[norm.right]
    r = raw_correlation(left, right, effect_size(tables, norm.pair, n))
    of_left, of_right = right.mean.value * left.sd.value, left.mean.value * right.sd.value
    spread = sqrt(of_left**2 + of_right**2 - 2.0 * r * of_left * of_right)
    both = left.mean.value + right.mean.value
    pair["sd"] = _derived(
        400.0 * spread / both**2, "%", "published SDs, and the paired effect size of Table 5"
    )


def _published(
    value: float, unit: str, where: str, *, se: float | None = None, definition: str | None = None
) -> Members:
    number: Members = {
        "value": value,
        "unit": unit,
        "status": "published",
        "source": f"Xi et al. 2025, Front. Neurol. 16:1573060, {where}; typed in, see entry",
    }
    if se is not None:
        number["se"] = round(se, 2 * DECIMALS)
    if definition is not None:
        number["definition"] = definition
    return number


def _derived(value: float, unit: str, source: str) -> Members:
    return {
        "value": round(value, DECIMALS),
        "unit": unit,
        "status": "derived",
        "source": f"Derived: {source}",
    }
