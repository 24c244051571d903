"""Whether tables that were typed in fit the text of the article, and each other.

What is published in the text is n, the share of boys, the ages, ten means and SDs, and the signs
and p of every effect. Tolerances are what rounding may hide, and for a sex effect what boys and
girls may differ in age by chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, sqrt

from scipy.special import stdtr

from fontanelle.norms.entering import Tables, Typed
from fontanelle.norms.mistakes import Mistake
from fontanelle.norms.values import Reference, RegionNorm

PUBLISHED_HALF = 0.005
"""Half a unit of the last digit of the means and SDs of the text, mL."""
TEXT_P = 0.001
"""Every effect is published with p below it."""
CHANCE_SE = 3.0
"""Standard errors by which boys and girls may differ in age."""
SE_SLACK = 0.05
R_SQUARED_SLACK = 0.01


@dataclass(frozen=True, slots=True)
class Sample:
    """The article's children: how many, boys, girls, the SD of their ages in years."""

    n: float
    boys: float
    girls: float
    age_sd: float

    @property
    def sex_variance(self) -> float:
        """Variance of the sex code, p (1 - p)."""
        return self.boys * self.girls / self.n**2


def sample_of(reference: Reference) -> Sample:
    """Return the children of the reference that the text gives.

    Raises
    ------
    ValueError
        Where it does not say how many boys and girls there were.
    """
    counts = {fact.name: fact.value for fact in reference.population.facts}
    boys, girls = counts.get("males"), counts.get("females")
    age_sd = reference.population.age_sd
    if not isinstance(boys, float) or not isinstance(girls, float) or age_sd is None:
        raise ValueError(f"{reference.id} does not say how many boys and girls there were")
    return Sample(reference.population.n.value, boys, girls, age_sd.value)


def mistakes(tables: Tables, reference: Reference) -> list[Mistake]:
    """Return where tables contradict the text or each other; empty if nowhere."""
    sample = sample_of(reference)
    found: list[Mistake] = []
    for norm in reference.linear_regions:
        found += _by_sex(tables, norm, sample)
        found += _signs(tables, norm.name)
        found += _sex_effect(tables, norm.name, sample)
        found += _regression(tables, norm, sample)
    for pair in reference.asymmetry:
        norms = {norm.name: norm for norm in reference.linear_regions}
        found += _pair(tables, pair.pair, norms[pair.left], norms[pair.right], sample.n)
    return found


def residual_variance(tables: Tables, norm: RegionNorm, sample: Sample) -> float:
    """Return SD^2 - B_sex^2 p (1 - p) - B_age^2 SD_age^2, mL^2: age and sex as uncorrelated."""
    of_sex = tables.need("3", norm.name, "coefficient").value ** 2 * sample.sex_variance
    of_age = (tables.need("4", norm.name, "coefficient").value * sample.age_sd) ** 2
    return norm.sd.value**2 - of_sex - of_age


def standard_error(tables: Tables, table: str, region: str) -> float:
    """Return the standard error of a coefficient: as printed, or from its t."""
    printed = tables.get(table, region, "se")
    if printed is not None:
        return printed.value
    coefficient, t = tables.need(table, region, "coefficient"), tables.need(table, region, "t")
    return abs(coefficient.value / t.value) if t.value else inf


def effect_size(tables: Tables, pair: str, n: float) -> float:
    """Return d_z of a paired test, without sign: as printed, or t / sqrt(n)."""
    printed = tables.get("5", pair, "effect_size")
    if printed is not None:
        return abs(printed.value)
    return abs(tables.need("5", pair, "t").value) / sqrt(n)


def raw_correlation(left: RegionNorm, right: RegionNorm, d_z: float) -> float:
    """Return r of a pair: SD(L - R) = |mean difference| / d_z, and r follows from the three SDs."""
    difference_sd = abs(left.mean.value - right.mean.value) / d_z
    both = left.sd.value**2 + right.sd.value**2
    return (both - difference_sd**2) / (2.0 * left.sd.value * right.sd.value)


def _by_sex(tables: Tables, norm: RegionNorm, sample: Sample) -> Iterator[Mistake]:
    """Check that the pooled mean and SD follow from those of boys and girls."""
    where = f"Table 2, {norm.name}"
    boys, girls = (
        tables.need("2", norm.name, "male_mean"),
        tables.need("2", norm.name, "female_mean"),
    )
    boys_sd, girls_sd = (
        tables.need("2", norm.name, "male_sd"),
        tables.need("2", norm.name, "female_sd"),
    )
    for name, typed in (("male_mean", boys), ("female_mean", girls)):
        if typed.value <= 0:
            yield Mistake(f"{where}, {name}", "is not above 0.", typed.row)
    for name, typed in (("male_sd", boys_sd), ("female_sd", girls_sd)):
        if typed.value <= 0:
            yield Mistake(f"{where}, {name}", "is not above 0.", typed.row)
    pooled = (sample.boys * boys.value + sample.girls * girls.value) / sample.n
    slack = PUBLISHED_HALF + max(boys.half, girls.half)
    if abs(pooled - norm.mean.value) > slack:
        yield Mistake(
            where,
            f"boys and girls give a mean of {pooled:.3f} mL, the text {norm.mean.value:g}.",
            boys.row,
        )
    within = (sample.boys - 1) * boys_sd.value**2 + (sample.girls - 1) * girls_sd.value**2
    between = sample.boys * sample.girls / sample.n * (boys.value - girls.value) ** 2
    sd = sqrt((within + between) / (sample.n - 1))
    # Whether the article divided by n or n - 1 is not known.
    slack += max(boys_sd.half, girls_sd.half) + norm.sd.value / (2 * sample.n)
    if abs(sd - norm.sd.value) > slack:
        yield Mistake(
            where,
            f"boys and girls give an SD of {sd:.3f} mL, the text {norm.sd.value:g}.",
            boys_sd.row,
        )


def _signs(tables: Tables, region: str) -> Iterator[Mistake]:
    sex, age = tables.need("3", region, "coefficient"), tables.need("4", region, "coefficient")
    if sex.value >= 0:
        yield Mistake(
            f"Table 3, {region}, coefficient",
            "is negative by the text (1 male, 2 female).",
            sex.row,
        )
    if age.value <= 0:
        yield Mistake(f"Table 4, {region}, coefficient", "is positive by the text.", age.row)


def _sex_effect(tables: Tables, region: str, sample: Sample) -> Iterator[Mistake]:
    """Check that the sex coefficient is the difference of the means, but for chance in the ages."""
    sex, age = tables.need("3", region, "coefficient"), tables.need("4", region, "coefficient")
    boys, girls = tables.need("2", region, "male_mean"), tables.need("2", region, "female_mean")
    age_se = sample.age_sd * sqrt(1.0 / sample.boys + 1.0 / sample.girls)
    slack = CHANCE_SE * abs(age.value) * age_se + sex.half + boys.half + girls.half
    if abs((girls.value - boys.value) - sex.value) > slack:
        yield Mistake(
            f"Table 3, {region}, coefficient",
            f"is {sex.value:g}, the means of Table 2 differ by {girls.value - boys.value:.2f} mL.",
            sex.row,
        )


def _regression(tables: Tables, norm: RegionNorm, sample: Sample) -> Iterator[Mistake]:
    joint = residual_variance(tables, norm, sample)
    if joint <= 0:
        yield Mistake(
            f"Tables 3 and 4, {norm.name}", "sex and age explain more than the published SD."
        )
        return
    for table, spread in (("3", sqrt(sample.sex_variance)), ("4", sample.age_sd)):
        printed = tables.get(table, norm.name, "se")
        if printed is not None and printed.value <= 0:
            yield Mistake(f"Table {table}, {norm.name}, se", "is not above 0.", printed.row)
        else:
            yield from _coefficient(tables, table, norm, spread=spread, joint=joint, n=sample.n)


def _coefficient(
    tables: Tables, table: str, norm: RegionNorm, *, spread: float, joint: float, n: float
) -> Iterator[Mistake]:
    """Check se, t, p and R^2 of one coefficient; `joint` is the residual variance after both."""
    coefficient, where = tables.need(table, norm.name, "coefficient"), f"Table {table}, {norm.name}"
    explained = (coefficient.value * spread) ** 2
    se = standard_error(tables, table, norm.name)
    yield from _t(tables, table, norm.name, coefficient)
    yield from _p(tables.get(table, norm.name, "p"), coefficient.value / se, n - 3, where)
    # Of both variables at once, or of one alone: the article does not say which was printed.
    least = sqrt(joint / n) / spread
    most = sqrt((norm.sd.value**2 - explained) / n) / spread
    printed = tables.get(table, norm.name, "se")
    half = printed.half if printed else 0.0
    if not least * (1 - SE_SLACK) - half <= se <= most * (1 + SE_SLACK) + half:
        yield Mistake(
            f"{where}, se",
            f"is {se:.4g}; n and the SDs give {least:.4g} to {most:.4g}.",
            (printed or coefficient).row,
        )
    variance = norm.sd.value**2
    r_squared = tables.get(table, norm.name, "r_squared")
    yield from _r_squared(r_squared, explained / variance, 1.0 - joint / variance, where)


def _t(tables: Tables, table: str, region: str, coefficient: Typed) -> Iterator[Mistake]:
    """Check that t is the coefficient in standard errors, as far as they are printed."""
    t, se = tables.get(table, region, "t"), tables.get(table, region, "se")
    where = f"Table {table}, {region}, t"
    if t is None:
        return
    if t.value * coefficient.value <= 0:
        yield Mistake(where, "has not the sign of its coefficient.", t.row)
    elif se is not None:
        size = abs(coefficient.value)
        low = (size - coefficient.half) / (se.value + se.half) - t.half
        high = (
            (size + coefficient.half) / (se.value - se.half) + t.half if se.value > se.half else inf
        )
        if not low <= abs(t.value) <= high:
            yield Mistake(
                where, f"is {t.value:g}, coefficient and se give {size / se.value:.3f}.", t.row
            )


def _p(p: Typed | None, t: float, df: float, where: str) -> Iterator[Mistake]:
    found = 2.0 * float(stdtr(df, -abs(t)))
    if found >= TEXT_P:
        yield Mistake(where, f"gives p = {found:.2g}, the text says below {TEXT_P:g}.")
    if p is None:
        return
    fits = found < p.value if p.is_bound else abs(found - p.value) <= p.half
    if not fits or p.value > TEXT_P:
        yield Mistake(f"{where}, p", f"does not fit t, which gives {found:.2g}.", p.row)


def _r_squared(printed: Typed | None, alone: float, joint: float, where: str) -> Iterator[Mistake]:
    if printed is None:
        return
    slack = R_SQUARED_SLACK + printed.half
    if not alone - slack <= printed.value <= joint + slack:
        yield Mistake(
            f"{where}, r_squared",
            f"is {printed.value:g}; the coefficients explain {alone:.3f} to {joint:.3f}.",
            printed.row,
        )


def _pair(
    tables: Tables, pair: str, left: RegionNorm, right: RegionNorm, n: float
) -> Iterator[Mistake]:
    """Check a paired test against the means, without signs: about those the article disagrees."""
    where = f"Table 5, {pair}"
    difference, t = tables.get("5", pair, "mean_difference"), tables.get("5", pair, "t")
    size = tables.get("5", pair, "effect_size")
    published = abs(left.mean.value - right.mean.value)
    if difference is not None:
        slack = 2 * PUBLISHED_HALF + difference.half
        if abs(abs(difference.value) - published) > slack:
            yield Mistake(
                f"{where}, mean_difference", f"the text gives {published:.2f} mL.", difference.row
            )
    d_z = effect_size(tables, pair, n)
    if d_z == 0:
        yield Mistake(where, "has no effect, which the text denies.", size.row if size else None)
        return
    if size is not None and t is not None:
        slack = t.half + size.half * sqrt(n)
        if abs(abs(t.value) - d_z * sqrt(n)) > slack:
            yield Mistake(
                f"{where}, t",
                f"is {t.value:g}; the effect size gives {d_z * sqrt(n):.2f} (t = d_z sqrt(n)).",
                t.row,
            )
    yield from _p(tables.get("5", pair, "p"), d_z * sqrt(n), n - 1, where)
    r = raw_correlation(left, right, d_z)
    if not -1.0 < r < 1.0:
        row = next(each.row for each in (size, t) if each is not None)
        yield Mistake(where, f"gives a correlation of {r:.3f} between left and right.", row)
