"""Whether a reference that is well formed also makes sense: its numbers against each other.

Every check yields what is wrong; a reference with any is refused with all of it.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import sqrt

import numpy as np

from fontanelle.norms.comparison import Sex, Tier
from fontanelle.norms.document import (
    AnyReferenceDocument,
    AnyRegionDocument,
    CorrelationsDocument,
    LinearReferenceDocument,
    LinearRegionDocument,
    LmsRegionDocument,
    Matrix,
    MeanSdReferenceDocument,
    MeanSdRegionDocument,
    NumberDocument,
    PopulationDocument,
    ReferenceDocument,
    Status,
    TotalDocument,
)
from fontanelle.norms.mistakes import Mistake

TIERS_OF_NUMBERS = (Tier.LOCAL, Tier.PUBLISHED, Tier.DERIVED)
STATUS_OF_TIER = {
    Tier.LOCAL: Status.LOCAL,
    Tier.PUBLISHED: Status.PUBLISHED,
    Tier.DERIVED: Status.DERIVED,
}
ROUNDING = 0.01
"""Of numbers that are printed with two decimals."""
SUM_TOLERANCE = 0.005
"""Share by which the total's SD may differ from the one that the correlations give."""


def mistakes(file: ReferenceDocument) -> list[Mistake]:
    """Return what is wrong with the numbers of a document; empty if nothing is."""
    document = file.root
    return [
        *_population(document),
        *_validity(document),
        *_regions(document),
        *_total(document),
        *_correlations(document),
        *_asymmetry(document),
        *_tiers(document),
        *_number(
            "calibration.prior_sd", document.calibration.prior_sd, "% of the regional mean", above=0
        ),
    ]


def _population(document: AnyReferenceDocument) -> Iterator[Mistake]:
    population = document.population
    yield from _number("population.n", population.n, "children", above=0)
    for name, unit, above in (
        ("male_share", "1", float("-inf")),
        ("age_mean", "years", 0.0),
        ("age_sd", "years", 0.0),
        ("age_sex_correlation", "1", float("-inf")),
    ):
        number = getattr(population, name)
        if isinstance(number, NumberDocument):
            yield from _number(f"population.{name}", number, unit, above=above)
        elif isinstance(document, LinearReferenceDocument) and name != "age_sex_correlation":
            yield Mistake(f"population.{name}", "a regression needs it.")
    yield from _shares(population)


def _shares(population: PopulationDocument) -> Iterator[Mistake]:
    share, correlation = population.male_share, population.age_sex_correlation
    if isinstance(share, NumberDocument) and not 0 <= share.value <= 1:
        yield Mistake("population.male_share", "population.male_share is no share.")
    if isinstance(correlation, NumberDocument) and not -1 < correlation.value < 1:
        yield Mistake("population.age_sex_correlation", "is no correlation.")


def _validity(document: AnyReferenceDocument) -> Iterator[Mistake]:
    validity = document.validity
    if not 0 <= validity.age_days_min <= validity.age_days_max:
        yield Mistake(
            "validity",
            f"validity runs from {validity.age_days_min} to {validity.age_days_max} days.",
        )
    if not validity.sexes:
        yield Mistake("validity.sexes", "validity names no sex.")


def _regions(document: AnyReferenceDocument) -> Iterator[Mistake]:
    names = [region.name for region in document.regions]
    if len(set(names)) < len(names):
        yield Mistake("regions", "two regions share a name.")
    if len({region.label for region in document.regions}) < len(names):
        yield Mistake("regions", "two regions share a label.")
    for region in document.regions:
        yield from _region(region, document)


def _region(region: AnyRegionDocument, document: AnyReferenceDocument) -> Iterator[Mistake]:
    where = f"regions.{region.name}"
    if region.share_of_total is not None:
        yield from _number(f"{where}.share_of_total", region.share_of_total, "%", above=0)
    match region:
        case LmsRegionDocument():
            yield from _rows(region, document)
        case MeanSdRegionDocument():
            yield from _mean_and_sd(region)
        case LinearRegionDocument():
            yield from _mean_and_sd(region)
            yield from _number(f"{where}.residual_sd", region.residual_sd, "mL", above=0)
            yield from _coefficient(f"{where}.sex_effect", region.sex_effect, "mL")
            yield from _coefficient(f"{where}.age_slope", region.age_slope, "mL/year")
            yield from _explained(region, document.population.n.value)


def _mean_and_sd(region: LinearRegionDocument | MeanSdRegionDocument) -> Iterator[Mistake]:
    yield from _number(f"regions.{region.name}.mean", region.mean, "mL", above=0)
    yield from _number(f"regions.{region.name}.sd", region.sd, "mL", above=0)


def _explained(region: LinearRegionDocument, n: float) -> Iterator[Mistake]:
    """Check that a regression leaves no more than there was: s^2 (n - 3) is at most SD^2 n."""
    if n <= 3:
        yield Mistake("population.n", "too small for a regression on age and sex.")
    elif region.residual_sd.value**2 * (n - 3) > (region.sd.value + ROUNDING) ** 2 * n:
        yield Mistake(f"regions.{region.name}.residual_sd", "is larger than the SD allows.")


def _rows(region: LmsRegionDocument, document: AnyReferenceDocument) -> Iterator[Mistake]:
    validity, where = document.validity, f"regions.{region.name}.lms.rows"
    for sex in Sex:
        ages = [row.age_days for row in region.lms.rows if row.sex is sex]
        if any(later <= earlier for earlier, later in pairwise(ages)):
            yield Mistake(where, f"the ages of {sex} do not ascend.")
        if sex not in validity.sexes:
            if ages:
                yield Mistake(where, f"there are rows of {sex}, which validity does not name.")
        elif not ages or min(ages) > validity.age_days_min or max(ages) < validity.age_days_max:
            yield Mistake(where, f"the rows of {sex} do not cover the ages of validity.")


def _total(document: AnyReferenceDocument) -> Iterator[Mistake]:
    if not isinstance(document, LinearReferenceDocument) or document.total is None:
        return
    total = document.total
    yield from _number("total.mean", total.mean, "mL", above=0)
    yield from _number("total.sex_effect", total.sex_effect, "mL")
    yield from _number("total.age_slope", total.age_slope, "mL/year")
    yield from _number("total.residual_sd", total.residual_sd, "mL", above=0)
    yield from _sums(document, total)


def _sums(document: LinearReferenceDocument, total: TotalDocument) -> Iterator[Mistake]:
    slack = ROUNDING * len(document.regions)
    for name in ("mean", "sex_effect", "age_slope"):
        found: float = getattr(total, name).value
        summed = sum(getattr(region, name).value for region in document.regions)
        if abs(found - summed) > slack:
            yield Mistake(f"total.{name}", f"is {found:g}, the regions sum to {summed:.3f}.")
    correlations = document.correlations
    if correlations is None:
        yield Mistake("total.residual_sd", "needs the regions' correlations.")
    elif _fits(correlations.central, len(document.regions)):
        sds = np.array([region.residual_sd.value for region in document.regions])
        squared = float(sds @ np.asarray(correlations.central) @ sds)
        given = total.residual_sd.value
        if squared > 0 and abs(given - sqrt(squared)) > SUM_TOLERANCE * given + slack:
            yield Mistake(
                "total.residual_sd",
                f"is {given:g}, the correlations give {sqrt(squared):.3f}.",
            )


def _correlations(document: AnyReferenceDocument) -> Iterator[Mistake]:
    correlations: CorrelationsDocument | None = document.correlations
    if correlations is None:
        return
    if list(correlations.order) != [region.name for region in document.regions]:
        yield Mistake("correlations.order", "correlations are not in the order of the regions.")
    for name in ("central", "weak", "strong"):
        matrix: Matrix | None = getattr(correlations, name)
        if matrix is not None:
            yield from _matrix(f"correlations.{name}", matrix, len(document.regions))


def _matrix(name: str, rows: Matrix, size: int) -> Iterator[Mistake]:
    if not _fits(rows, size):
        yield Mistake(name, f"{name} is not {size} x {size}.")
        return
    matrix = np.asarray(rows)
    if not np.array_equal(matrix, matrix.T):
        yield Mistake(name, f"{name} is not symmetric.")
    elif not (np.diag(matrix) == 1.0).all():
        yield Mistake(name, f"{name} has a diagonal other than 1.")
    elif np.linalg.eigvalsh(matrix)[0] <= 0:
        yield Mistake(name, f"{name} is not positive definite.")


def _fits(rows: Matrix, size: int) -> bool:
    return len(rows) == size and all(len(row) == size for row in rows)


def _asymmetry(document: AnyReferenceDocument) -> Iterator[Mistake]:
    sides = {region.name: region.laterality for region in document.regions}
    pairs = [norm.pair for norm in document.asymmetry]
    if len(set(pairs)) < len(pairs):
        yield Mistake("asymmetry", "two asymmetries share a pair.")
    for norm in document.asymmetry:
        where = f"asymmetry.{norm.pair}"
        left, right = sides.get(f"left_{norm.pair}"), sides.get(f"right_{norm.pair}")
        if left is None or right is None:
            yield Mistake(where, f"asymmetry {norm.pair} has no left or no right region.")
        elif (left, right) != ("left", "right"):
            yield Mistake(where, "the laterality of its regions is another.")
        yield from _number(f"{where}.mean", norm.mean, "%")
        yield from _number(f"{where}.sd", norm.sd, "%", above=0)


def _tiers(document: AnyReferenceDocument) -> Iterator[Mistake]:
    where, available = "tiers.available", document.tiers.available
    if Tier.CALIBRATED in available:
        yield Mistake(where, "calibrated is what a site's calibration makes, not a reference.")
    if Tier.LOCAL in available and document.protocol.package_digest is None:
        yield Mistake("protocol.package_digest", "a local reference belongs to one package.")
    if Tier.POOLED in available and not isinstance(
        document, LinearReferenceDocument | MeanSdReferenceDocument
    ):
        yield Mistake(where, "rows of L, M and S have no pooled tier.")
    tiers = [tier for tier in TIERS_OF_NUMBERS if tier in available]
    if not tiers:
        yield Mistake(
            where, "a reference needs one of the tiers local, published, derived for its model."
        )
        return
    # A derived coefficient under the name of a published tier would pass for the paper's own.
    wanted = STATUS_OF_TIER[tiers[0]]
    for region in document.regions:
        if _statuses(region) != {wanted}:
            yield Mistake(
                f"regions.{region.name}",
                f"{region.name} has coefficients that are not {wanted}, in tier {tiers[0]}.",
            )


def _statuses(region: AnyRegionDocument) -> set[Status]:
    match region:
        case LmsRegionDocument():
            return {region.lms.status}
        case MeanSdRegionDocument():
            return {region.mean.status, region.sd.status}
        case LinearRegionDocument():
            return {region.sex_effect.status, region.age_slope.status}


def _coefficient(name: str, number: NumberDocument, unit: str) -> Iterator[Mistake]:
    yield from _number(name, number, unit)
    if number.se is None:
        yield Mistake(name, f"{name} has no standard error.")


def _number(
    name: str, number: NumberDocument, unit: str, *, above: float = float("-inf")
) -> Iterator[Mistake]:
    if number.unit != unit:
        yield Mistake(name, f"{name} is not in {unit}.")
    if number.value <= above:
        yield Mistake(name, f"{name} is not above {above:g}.")
    if number.range and not number.range[0] <= number.value <= number.range[1]:
        yield Mistake(name, f"{name} lies outside its own range.")
