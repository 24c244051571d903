"""Whether a reference that is well formed also makes sense: its numbers against each other.

Every check yields sentences; a reference with any is refused with all of them.
"""

from collections.abc import Iterator

import numpy as np

from fontanelle.norms.comparison import Tier
from fontanelle.norms.document import (
    Matrix,
    NumberDocument,
    ReferenceDocument,
    RegionDocument,
    Status,
)

TIERS_WITH_REGRESSION = (Tier.LOCAL, Tier.PUBLISHED, Tier.DERIVED)
STATUS_OF_TIER = {
    Tier.LOCAL: Status.LOCAL,
    Tier.PUBLISHED: Status.PUBLISHED,
    Tier.DERIVED: Status.DERIVED,
}


def problems(document: ReferenceDocument) -> list[str]:
    """Return what is wrong with the numbers of a document, in words; empty if nothing is."""
    return [
        *_population(document),
        *_validity(document),
        *_regions(document),
        *_total(document),
        *_correlations(document),
        *_asymmetry(document),
        *_tiers(document),
        *_number("calibration.prior_sd", document.calibration.prior_sd, "% of the regional mean"),
    ]


def _population(document: ReferenceDocument) -> Iterator[str]:
    population = document.population
    yield from _number("population.n", population.n, "children", above=0)
    yield from _number("population.male_share", population.male_share, "1")
    yield from _number("population.age_mean", population.age_mean, "years", above=0)
    yield from _number("population.age_sd", population.age_sd, "years", above=0)
    if not 0 <= population.male_share.value <= 1:
        yield "population.male_share is no share."


def _validity(document: ReferenceDocument) -> Iterator[str]:
    validity = document.validity
    if not 0 <= validity.age_days_min <= validity.age_days_max:
        yield f"validity runs from {validity.age_days_min} to {validity.age_days_max} days."
    if not validity.sexes:
        yield "validity names no sex."


def _regions(document: ReferenceDocument) -> Iterator[str]:
    names = [region.name for region in document.regions]
    if len(set(names)) < len(names):
        yield "two regions share a name."
    if len({region.label for region in document.regions}) < len(names):
        yield "two regions share a label."
    for region in document.regions:
        yield from _region(region)


def _region(region: RegionDocument) -> Iterator[str]:
    name = region.name
    yield from _number(f"{name}.mean", region.mean, "mL", above=0)
    yield from _number(f"{name}.sd", region.sd, "mL", above=0)
    yield from _number(f"{name}.residual_sd", region.residual_sd, "mL", above=0)
    yield from _number(f"{name}.share_of_total", region.share_of_total, "%", above=0)
    yield from _coefficient(f"{name}.sex_effect", region.sex_effect, "mL")
    yield from _coefficient(f"{name}.age_slope", region.age_slope, "mL/year")


def _total(document: ReferenceDocument) -> Iterator[str]:
    total = document.total
    yield from _number("total.mean", total.mean, "mL", above=0)
    yield from _number("total.sex_effect", total.sex_effect, "mL")
    yield from _number("total.age_slope", total.age_slope, "mL/year")
    yield from _number("total.residual_sd", total.residual_sd, "mL", above=0)


def _correlations(document: ReferenceDocument) -> Iterator[str]:
    correlations = document.correlations
    if list(correlations.order) != [region.name for region in document.regions]:
        yield "correlations are not in the order of the regions."
    for name in ("central", "weak", "strong"):
        matrix: Matrix | None = getattr(correlations, name)
        if matrix is not None:
            yield from _matrix(f"correlations.{name}", matrix, len(document.regions))


def _matrix(name: str, rows: Matrix, size: int) -> Iterator[str]:
    if len(rows) != size or any(len(row) != size for row in rows):
        yield f"{name} is not {size} x {size}."
        return
    matrix = np.asarray(rows)
    if not np.array_equal(matrix, matrix.T):
        yield f"{name} is not symmetric."
    elif not (np.diag(matrix) == 1.0).all():
        yield f"{name} has a diagonal other than 1."
    elif np.linalg.eigvalsh(matrix)[0] <= 0:
        yield f"{name} is not positive definite."


def _asymmetry(document: ReferenceDocument) -> Iterator[str]:
    names = {region.name for region in document.regions}
    pairs = [norm.pair for norm in document.asymmetry]
    if len(set(pairs)) < len(pairs):
        yield "two asymmetries share a pair."
    for norm in document.asymmetry:
        if not {f"left_{norm.pair}", f"right_{norm.pair}"} <= names:
            yield f"asymmetry {norm.pair} has no left or no right region."
        yield from _number(f"asymmetry.{norm.pair}.mean", norm.mean, "%")
        yield from _number(f"asymmetry.{norm.pair}.sd", norm.sd, "%", above=0)


def _tiers(document: ReferenceDocument) -> Iterator[str]:
    tiers = [tier for tier in TIERS_WITH_REGRESSION if tier in document.tiers.available]
    if not tiers:
        yield "a regression needs one of the tiers local, published, derived."
        return
    # A derived coefficient under the name of a published tier would pass for the paper's own.
    wanted = STATUS_OF_TIER[tiers[0]]
    for region in document.regions:
        if {region.sex_effect.status, region.age_slope.status} != {wanted}:
            yield f"{region.name} has coefficients that are not {wanted}, in tier {tiers[0]}."


def _coefficient(name: str, number: NumberDocument, unit: str) -> Iterator[str]:
    yield from _number(name, number, unit)
    if number.se is None:
        yield f"{name} has no standard error."


def _number(
    name: str, number: NumberDocument, unit: str, *, above: float = float("-inf")
) -> Iterator[str]:
    if number.unit != unit:
        yield f"{name} is not in {unit}."
    if number.value <= above:
        yield f"{name} is not above {above:g}."
    if number.range and not number.range[0] <= number.value <= number.range[1]:
        yield f"{name} lies outside its own range."
