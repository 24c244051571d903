"""How right the references are: simulated children of whom the truth is known, as Markdown.

    python -m benchmarks.norms [--quick]

Nothing is timed, so a busy machine does no harm; seeds are fixed. It prints: how well a cohort's
own regression finds true coefficients; false alarms among normal children with true coefficients
and with coefficients anywhere in their ranges; how far the pooled mean and SD are off; how many
regions are low together; what becomes of calibrations; and how often a site is refused whose heads
scatter too much or too little. --quick draws a twentieth.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr

from fontanelle.norms.calibration import LARGEST_OFFSET_PERCENT, sd_ratio_limits, shrunken_offset
from fontanelle.norms.comparison import Sex
from fontanelle.norms.expectations import expectation
from fontanelle.norms.fitting import bootstrap, design_of, least_squares
from fontanelle.norms.multiplicity import LOW_Z, shares_with_as_many
from fontanelle.norms.reference import shipped
from fontanelle.norms.small_samples import t_half_width
from fontanelle.norms.statistics import family_wise_limit
from fontanelle.norms.values import Reference

Floats = NDArray[np.float64]
SEED: Final = 20250
QUICK: Final = 20
"""How many times fewer draws --quick makes."""
AGES_DAYS: Final = (548, 639, 731, 822, 913)
SEX_PERCENT: Final = (6.0, 8.5, 11.0)
AGE_PERCENT: Final = (7.0, 10.0, 13.0)
LIMIT: Final = 2.0
NOMINAL: Final = 100.0 * float(ndtr(-LIMIT))
CENTRAL: Final = (8.5, 10.0)
MEAN, BOYS_MINUS_GIRLS, A_YEAR, SPREAD = "mean", "boys - girls", "mL a year", "residual SD"


@dataclass(frozen=True, slots=True)
class Truth:
    """The numbers that children are drawn from, one a region; `towards` makes them correlated."""

    mean: Floats
    sex: Floats
    age: Floats
    sd: Floats
    towards: Floats
    male_share: float
    age_mean: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """What many cohorts found of one number; over the regions the worst bias and coverages."""

    n: int
    cohorts: int
    number: str
    bias_percent: float
    scatter_percent: float
    coverage_low: float
    coverage_high: float


@dataclass(frozen=True, slots=True)
class Alarms:
    """Percent of normal children beyond 2 SD, mean over the regions."""

    below: float
    above: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="A twentieth of the draws.")
    scale = QUICK if parser.parse_args().quick else 1
    xi = shipped("xi2025")
    for lines in (
        recovery_table(xi, scale),
        true_table(xi, 400_000 // scale),
        wrong_table(xi, 1_000_000 // scale),
        pooled_table(xi, 1_000_000 // scale),
        together_table(xi, 1_000_000 // scale),
        calibration_table(xi, 20_000 // scale),
        spread_table(xi, 20_000 // scale),
    ):
        print("\n".join(lines), end="\n\n", flush=True)


def truth_of(reference: Reference, sex_percent: float, age_percent: float) -> Truth:
    """Return a truth with other effects, percent of the mean, and the published pooled SDs."""
    population, correlations = reference.population, reference.correlations
    share, age_mean, age_sd = population.male_share, population.age_mean, population.age_sd
    if share is None or age_mean is None or age_sd is None or correlations is None:
        raise ValueError(f"{reference.id} is no regression")
    mean = np.array([norm.mean.value for norm in reference.linear_regions])
    pooled = np.array([norm.sd.value for norm in reference.linear_regions])
    sex, age = mean * sex_percent / 100.0, mean * age_percent / 100.0
    explained = sex**2 * share.value * (1.0 - share.value) + age**2 * age_sd.value**2
    return Truth(
        mean=mean,
        sex=sex,
        age=age,
        sd=np.sqrt(pooled**2 - explained),
        towards=np.linalg.cholesky(np.asarray(correlations.central)),
        male_share=share.value,
        age_mean=age_mean.value,
    )


def draw(truth: Truth, is_boy: Floats, age_years: Floats, random: np.random.Generator) -> Floats:
    """Draw volumes, mL, of shape (..., children, regions)."""
    noise = random.standard_normal((*is_boy.shape, len(truth.mean))) @ truth.towards.T
    sex, age = is_boy[..., None] - truth.male_share, age_years[..., None] - truth.age_mean
    return np.asarray(truth.mean + truth.sex * sex + truth.age * age + truth.sd * noise)


def recoveries(reference: Reference, n: int, cohorts: int, seed: int = SEED) -> list[Recovery]:
    """Fit many simulated cohorts of `n` children, and put what they found beside the truth."""
    truth, random = truth_of(reference, *CENTRAL), np.random.default_rng(seed)
    found, inside = [], []
    for at in range(0, cohorts, 500):
        shape = (min(500, cohorts - at), n)
        is_boy = (random.random(shape) < truth.male_share).astype(np.float64)
        age_years = random.integers(548, 914, shape) / reference.validity.days_per_year
        values, covered = _fits(truth, is_boy, age_years, random)
        found.append(values)
        inside.append(covered)
    together, covers = np.concatenate(found), np.concatenate(inside)
    right = np.stack([truth.mean, truth.sex, truth.age, truth.sd])
    bias = 100.0 * (together.mean(axis=0) / right - 1.0)
    scatter = 100.0 * together.std(axis=0) / right
    coverage = 100.0 * covers.mean(axis=0)
    return [
        Recovery(
            n,
            cohorts,
            name,
            float(bias[at][np.argmax(np.abs(bias[at]))]),
            float(scatter[at].mean()),
            float(coverage[at].min()),
            float(coverage[at].max()),
        )
        for at, name in enumerate((MEAN, BOYS_MINUS_GIRLS, A_YEAR, SPREAD))
    ]


def _fits(
    truth: Truth, is_boy: Floats, age_years: Floats, random: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return estimates and whether their 95 % intervals hold the truth, (cohorts, 4, regions)."""
    n = is_boy.shape[-1]
    solution = least_squares(design_of(is_boy, age_years), draw(truth, is_boy, age_years, random))
    # The first coefficient is the mean at the cohort's own centre; the truth's lies elsewhere.
    step = np.stack(
        [truth.male_share - is_boy.mean(axis=1), truth.age_mean - age_years.mean(axis=1)], axis=-1
    )
    x0 = np.concatenate([np.ones((len(step), 1)), step], axis=1)
    mean = np.einsum("ci,cir->cr", x0, solution.coefficients)
    leverage = np.einsum("ci,cij,cj->c", x0, solution.inverse, x0)
    values = np.stack(
        [mean, solution.coefficients[:, 1], solution.coefficients[:, 2], solution.residual_sd],
        axis=1,
    )
    se = solution.standard_errors.copy()
    se[:, 0] = np.sqrt(leverage)[:, None] * solution.residual_sd
    right = np.stack([truth.mean, truth.sex, truth.age])
    by_t = np.abs(values[:, :3] - right) <= t_half_width(n - 3) * se
    low, high = (sqrt(float(chdtri(n - 3, p)) / (n - 3)) for p in (0.975, 0.025))
    ratio = solution.residual_sd / truth.sd
    return values, np.concatenate([by_t, ((low <= ratio) & (ratio <= high))[:, None]], axis=1)


def bootstrap_coverage(
    reference: Reference, n: int, cohorts: int, draws: int = 400, seed: int = SEED
) -> Floats:
    """Return in how many cohorts, percent, the bootstrap's intervals hold sex, age and SD."""
    truth, random = truth_of(reference, *CENTRAL), np.random.default_rng(seed)
    right = np.stack([truth.sex, truth.age, truth.sd])
    inside = np.zeros(right.shape)
    for _ in range(cohorts):
        is_boy = (random.random(n) < truth.male_share).astype(np.float64)
        age_years = random.integers(548, 914, n) / reference.validity.days_per_year
        volumes_ml = draw(truth, is_boy, age_years, random)
        low, high = bootstrap(design_of(is_boy, age_years), volumes_ml, draws)
        inside += (low[1:] <= right) & (right <= high[1:])
    return np.asarray(100.0 * inside.mean(axis=1) / cohorts)


def recovery_table(reference: Reference, scale: int) -> Iterator[str]:
    """Yield how well cohorts of several sizes find the truth."""
    yield "## Parameter recovery"
    yield "Bias: the worst of ten regions. Coverage of 95 % intervals: lowest and highest region."
    yield ""
    sizes = ((50, 20_000), (100, 20_000), (300, 2000), (1000, 2000))
    rows = []
    for n, cohorts in sizes:
        rows += [
            (
                f"{each.n}",
                f"{each.cohorts:,}",
                each.number,
                f"{each.bias_percent:+.2f} %",
                f"{each.scatter_percent:.1f} %",
                f"{each.coverage_low:.1f} to {each.coverage_high:.1f} %",
            )
            for each in recoveries(reference, n, max(cohorts // scale, 20))
        ]
    header = ("n", "cohorts", "number", "bias", "scatter of one cohort", "coverage")
    yield from _table(header, rows)
    yield ""
    yield "Coverage of the bootstrap's intervals (percentiles, 400 draws; mean of ten regions):"
    yield ""
    names = (BOYS_MINUS_GIRLS, A_YEAR, SPREAD)
    yield from _table(
        ("n", "cohorts", *names),
        [
            (
                f"{n}",
                f"{max(500 // scale, 2)}",
                *(
                    f"{each:.1f} %"
                    for each in bootstrap_coverage(reference, n, max(500 // scale, 2))
                ),
            )
            for n in (100, 300)
        ],
    )


def true_alarms(reference: Reference, children: int, seed: int = SEED) -> tuple[Floats, float]:
    """Return the share below -2 by age and sex, and that of all ages, percent: adjusted tier.

    Every day of the reference is drawn for both sexes; the first shape is (5, 2), of windows of
    days around `AGES_DAYS`, boys first.
    """
    random, truth = np.random.default_rng(seed), truth_of(reference, *CENTRAL)
    days = random.integers(548, 914, children)
    is_boy = random.integers(0, 2, children).astype(np.float64)
    low = _z(reference, truth, days, is_boy, random) < -LIMIT
    window = (days - 548) * len(AGES_DAYS) // 366
    shares = [
        [100.0 * low[(window == at) & (is_boy == sex)].mean() for sex in (1.0, 0.0)]
        for at in range(len(AGES_DAYS))
    ]
    return np.asarray(shares), float(100.0 * low.mean())


def true_table(reference: Reference, children: int) -> Iterator[str]:
    """Yield the adjusted tier's false alarms where its coefficients are true."""
    shares, everybody = true_alarms(reference, children)
    yield "## False alarms of the adjusted tier, coefficients true"
    yield f"Normal children below -2 SD, mean of ten regions; nominal {NOMINAL:.2f} %."
    yield ""
    starts = [548 + -(-366 * at // len(AGES_DAYS)) for at in range(len(AGES_DAYS) + 1)]
    windows = [f"{start} to {end - 1}" for start, end in pairwise(starts)]
    yield from _table(
        ("age, days", "boys", "girls"),
        [
            (name, f"{boys:.2f} %", f"{girls:.2f} %")
            for name, (boys, girls) in zip(windows, shares, strict=True)
        ],
    )
    yield ""
    yield f"All: {everybody:.2f} % of {children:,} children."


def alarms_if(
    reference: Reference,
    truth: Truth,
    age_days: int,
    sex: Sex,
    *,
    children: int,
    seed: int = SEED,
    pooled: bool = False,
) -> Alarms:
    """Return false alarms of one tier among children of one age and sex drawn from `truth`."""
    random = np.random.default_rng(seed)
    days, is_boy = np.full(children, age_days), np.full(children, float(sex is Sex.MALE))
    z = _z(reference, truth, days, is_boy, random, pooled=pooled)
    return Alarms(100.0 * float((z < -LIMIT).mean()), 100.0 * float((z > LIMIT).mean()))


def exact_alarms(
    reference: Reference, truth: Truth, age_days: int, sex: Sex, *, pooled: bool = False
) -> Alarms:
    """Return the same by the normal distribution: the other route."""
    is_boy = np.array([float(sex is Sex.MALE)])
    expected = expectation(reference, reference.tiers[0], [age_days], is_boy)
    regions = len(reference.regions)
    centre, sd = expected.expected[0, :regions], expected.sd[0, :regions]
    if pooled:
        centre, sd = expected.pooled_mean[:regions], expected.pooled_sd[:regions]
    years = age_days / reference.validity.days_per_year - truth.age_mean
    right = truth.mean + truth.sex * (is_boy[0] - truth.male_share) + truth.age * years
    below = ndtr((centre - LIMIT * sd - right) / truth.sd)
    above = ndtr(-(centre + LIMIT * sd - right) / truth.sd)
    return Alarms(100.0 * float(below.mean()), 100.0 * float(above.mean()))


def wrong_table(reference: Reference, children: int) -> Iterator[str]:
    """Yield the adjusted tier's false alarms where the truth lies elsewhere in the ranges."""
    yield "## False alarms of the adjusted tier, coefficients anywhere in their ranges"
    yield f"Normal children below -2 / above +2 SD, percent; nominal {NOMINAL:.2f} both ways."
    yield ""
    truths = list(product(SEX_PERCENT, AGE_PERCENT))
    header = ("true sex %, slope %/y", *(f"{sex:g}, {age:g}" for sex, age in truths))
    rows, largest = [], 0.0
    for name, days, sex in (("girl 548 d", 548, Sex.FEMALE), ("boy 913 d", 913, Sex.MALE)):
        cells = []
        for percents in truths:
            truth = truth_of(reference, *percents)
            drawn = alarms_if(reference, truth, days, sex, children=children // 10)
            exact = exact_alarms(reference, truth, days, sex)
            largest = max(largest, abs(drawn.below - exact.below), abs(drawn.above - exact.above))
            cells.append(f"{exact.below:.1f} / {exact.above:.1f}")
        rows.append((name, *cells))
    yield from _table(header, rows)
    yield ""
    yield f"By formula; {children // 10:,} drawn children each differ by at most {largest:.2f}."


def pooled_table(reference: Reference, children: int) -> Iterator[str]:
    """Yield how far the pooled mean and SD are off."""
    yield "## How far the pooled mean and SD are off"
    yield "Normal children outside pooled mean ± 2 SD, percent, mean of ten regions; in brackets "
    yield f"the truth anywhere in its ranges; nominal {NOMINAL:.2f}."
    yield ""
    rows, largest = [], 0.0
    for days in AGES_DAYS:
        cells = []
        for sex in (Sex.FEMALE, Sex.MALE):
            centre = exact_alarms(reference, truth_of(reference, *CENTRAL), days, sex, pooled=True)
            drawn = alarms_if(
                reference,
                truth_of(reference, *CENTRAL),
                days,
                sex,
                children=children // 10,
                pooled=True,
            )
            largest = max(largest, abs(drawn.below - centre.below), abs(drawn.above - centre.above))
            ends = [
                exact_alarms(reference, truth_of(reference, *percents), days, sex, pooled=True)
                for percents in product(np.linspace(6, 11, 11), np.linspace(7, 13, 13))
            ]
            for name in ("below", "above"):
                spread = [getattr(each, name) for each in ends]
                cells.append(f"{getattr(centre, name):.2f} ({min(spread):.2f}-{max(spread):.2f})")
        rows.append((str(days), *cells))
    header = ("age, days", "girls below -2", "girls above +2", "boys below -2", "boys above +2")
    yield from _table(header, rows)
    yield ""
    yield f"By formula; {children // 10:,} drawn children each differ by at most {largest:.2f}."


def together(
    correlations: Sequence[Sequence[float]], children: int, seed: int = SEED
) -> tuple[float, Floats]:
    """Return how many typical children have any region flagged, and k or more low ones, percent.

    The limit of a flag is that which the product uses for these correlations.
    """
    matrix = np.asarray(correlations)
    limit = family_wise_limit(tuple(map(tuple, matrix.tolist())))
    random, regions = np.random.default_rng(seed), len(matrix)
    towards, any_flag, low = np.linalg.cholesky(matrix), 0, np.zeros(regions + 1)
    for at in range(0, children, 100_000):
        z = random.standard_normal((min(100_000, children - at), regions)) @ towards.T
        any_flag += int((np.abs(z).max(axis=1) > limit).sum())
        low += np.bincount((z < LOW_Z).sum(axis=1), minlength=regions + 1)
    return 100.0 * any_flag / children, np.asarray(100.0 * low[::-1].cumsum()[::-1] / children)


def together_table(reference: Reference, children: int) -> Iterator[str]:
    """Yield what many regions at once make of false alarms."""
    yield "## Many regions at once"
    yield f"{children:,} simulated typical children; beside them what a report prints."
    yield ""
    known = reference.correlations
    if known is None:
        return
    matrices = {
        "independent": tuple(map(tuple, np.eye(len(reference.regions)).tolist())),
        "weak": known.weak,
        "central": known.central,
        "strong": known.strong,
    }
    rows, largest = [], 0.0
    for name, matrix in matrices.items():
        if matrix is None:
            continue
        flagged, shares = together(matrix, children)
        printed = shares_with_as_many(matrix)
        largest = max(largest, float(np.abs(shares - np.asarray(printed)).max()))
        rows.append(
            (
                name,
                f"{family_wise_limit(matrix):.2f}",
                f"{flagged:.2f} %",
                *(f"{share:.1f}" for share in shares[1:]),
            )
        )
    numbers = range(1, len(reference.regions) + 1)
    header = ("correlations", "limit", "any flag", *(f"{k} low" for k in numbers))
    yield from _table(header, rows)
    yield ""
    yield "k low: percent with k or more regions below the 5th centile; what reports print differs "
    yield f"by at most {largest:.2f} points."


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Of many simulated sites with `n` normal heads each, percent of sites.

    `coverage` is of offset ± 1.96 SE, mean of the regions; `refused_by_sd` by any region's SD;
    `outside_95` have any region's SD outside its own 95 %, `one_outside_95` that of one region;
    `refused_by_offset` by any offset beyond 8 %.
    """

    n: int
    coverage: float
    one_outside_95: float
    outside_95: float
    refused_by_sd: float
    refused_by_offset: float


def calibrations(
    reference: Reference,
    n: int,
    sites: int,
    prior_percent: float = 6.0,
    *,
    spread: float = 1.0,
    seed: int = SEED,
) -> Calibrations:
    """Calibrate many sites whose true offsets scatter as the prior says, one for all regions.

    Their heads scatter `spread` times as much as the reference's children.
    """
    truth, random = truth_of(reference, *CENTRAL), np.random.default_rng(seed)
    offsets = prior_percent / 100.0 * random.standard_normal((sites, 1)) * truth.mean
    drawn = random.standard_normal((sites, n, len(truth.mean))) @ truth.towards.T
    means = spread * truth.sd * drawn.mean(axis=1) + offsets
    sds = spread * drawn.std(axis=1, ddof=1)
    estimates = [
        shrunken_offset(0.0, float(sd), prior_percent / 100.0 * float(mean), n)
        for sd, mean in zip(truth.sd, truth.mean, strict=True)
    ]
    found = means * np.array([each.shrinkage for each in estimates])
    se = np.array([each.se_ml for each in estimates])
    unlike = _outside(sds, sd_ratio_limits(n, 1))
    far = np.abs(found) > LARGEST_OFFSET_PERCENT / 100.0 * truth.mean
    return Calibrations(
        n,
        100.0 * float((np.abs(found - offsets) <= 1.959964 * se).mean()),
        100.0 * float(unlike.mean()),
        100.0 * float(unlike.any(axis=1).mean()),
        100.0 * float(_outside(sds, sd_ratio_limits(n, len(truth.mean))).any(axis=1).mean()),
        100.0 * float(far.any(axis=1).mean()),
    )


def _outside(values: Floats, limits: tuple[float, float]) -> NDArray[np.bool_]:
    low, high = limits
    return (values < low) | (values > high)


def calibration_table(reference: Reference, sites: int) -> Iterator[str]:
    """Yield what becomes of calibrations with proper normal heads."""
    yield "## Calibration of proper sites"
    yield f"{sites:,} sites each, offsets drawn with SD 6 % of each mean (the prior), or 3 %."
    yield ""
    rows = []
    for prior, n in product((6.0, 3.0), (20, 50, 100)):
        truthful = calibrations(reference, n, sites, prior)
        rows.append(
            (
                f"{prior:g} %",
                f"{n}",
                f"{truthful.coverage:.1f} %",
                f"{truthful.one_outside_95:.1f} %",
                f"{truthful.outside_95:.1f} %",
                f"{truthful.refused_by_sd:.1f} %",
                f"{truthful.refused_by_offset:.1f} %",
            )
        )
    yield from _table(
        (
            *("true offsets' SD", "heads", "offset ± 1.96 SE holds the truth"),
            *("one region's SD outside its 95 %", "any region's"),
            *("refused by any region's SD", "by an offset beyond 8 %"),
        ),
        rows,
    )


def spread_table(reference: Reference, sites: int) -> Iterator[str]:
    """Yield how often the check of the SDs refuses sites whose heads scatter unlike children."""
    yield "## Sites refused by the spread of their heads"
    yield f"{sites:,} sites each; with any region outside its own 95 %, and by the limit in use."
    yield ""
    spreads = (1.0, 1.25, 1.5, 2.0, 0.7, 0.5)
    rows = []
    for n in (20, 30, 50, 100):
        found = [calibrations(reference, n, sites, spread=spread) for spread in spreads]
        rows.append(
            (f"{n}", *(f"{each.outside_95:.1f} / {each.refused_by_sd:.1f} %" for each in found))
        )
    yield from _table(("heads", *(f"SD x {spread:g}" for spread in spreads)), rows)


def _z(
    reference: Reference,
    truth: Truth,
    days: NDArray[np.int64],
    is_boy: Floats,
    random: np.random.Generator,
    *,
    pooled: bool = False,
) -> Floats:
    """Draw children and return their z by the reference, (children, regions)."""
    volumes_ml = draw(truth, is_boy, days / reference.validity.days_per_year, random)
    by = expectation(reference, reference.tiers[0], days, is_boy)
    regions = len(reference.regions)
    if pooled:
        return np.asarray((volumes_ml - by.pooled_mean[:regions]) / by.pooled_sd[:regions])
    return np.asarray((volumes_ml - by.expected[:, :regions]) / by.sd[:, :regions])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


if __name__ == "__main__":
    main()
