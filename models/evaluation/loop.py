"""Closing the loop: normal children drawn from the reference, through the whole pipeline, to z.

This proves self-consistency only: truth and reference follow the same protocol, and no child was
scanned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Image
from fontanelle.norms.expectations import expectation
from fontanelle.norms.values import Reference
from models.evaluation.bench import Bench, ahead
from models.evaluation.cases import PLAIN, positioned, scanned
from models.evaluation.report import Cell, Gate, Section, Table, at_most, between
from models.evaluation.scoring import read
from models.evaluation.shapes import Shape, drawn, placed, resized

TRAINING_TODDLER = "toddler_24mo"
CHILDREN, QUICK_CHILDREN = 200, 4
MEAN_Z, LEAST_SD, MOST_SD = 0.25, 0.85, 1.15
SEED = 2025


@dataclass(frozen=True, slots=True, eq=False)
class Children:
    """Normal children of the reference's population; shapes (children, regions).

    Attributes
    ----------
    expected_ml, sd_ml
        What the reference expects of each child's age and sex.
    volumes_ml
        What the child has.
    """

    regions: tuple[str, ...]
    expected_ml: NDArray[np.float64]
    sd_ml: NDArray[np.float64]
    volumes_ml: NDArray[np.float64]

    def z(self, child: int, volumes_ml: Mapping[str, float]) -> NDArray[np.float64]:
        """Return each region's z of volumes that were measured in a child."""
        found = np.array([volumes_ml[name] for name in self.regions])
        return np.asarray((found - self.expected_ml[child]) / self.sd_ml[child])


def normal_children(reference: Reference, count: int, seed: int = SEED) -> Children:
    """Draw children: ages even over the reference's, as many boys as it has, volumes as it says.

    Volumes are what is expected of age and sex, and residuals with the reference's SDs and
    correlations; where it states no share of boys there is one boy in two, and where it states no
    correlations the regions are independent.
    """
    random = np.random.default_rng(seed)
    valid, stated = reference.validity, reference.population.male_share
    ages = random.integers(valid.age_days_min, valid.age_days_max + 1, count)
    boys = random.uniform(size=count) < (0.5 if stated is None else stated.value)
    told = expectation(reference, reference.tiers[0], ages, boys.astype(np.float64))
    regions = len(reference.regions)
    expected, sds = told.expected[:, :regions], told.sd[:, :regions]
    known = reference.correlations
    correlations = np.eye(regions) if known is None else np.asarray(known.central)
    residuals = random.standard_normal((count, regions)) @ np.linalg.cholesky(correlations).T
    sds = np.broadcast_to(sds, expected.shape)
    return Children(reference.region_names, expected, sds, expected + sds * residuals)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A child as it was really drawn: whose head, what it holds, and its scan."""

    person: str
    volumes_ml: Mapping[str, float]
    image: Image


def drawn_as(bench: Bench, person: str, volumes_ml: Mapping[str, float]) -> Shape:
    """Return a person's head with a child's volumes: scaled, then each compartment resized."""
    region_set = bench.package.region_set
    shape = drawn(person, bench.package)
    now = shape.volumes(region_set)
    total_ml = sum(volumes_ml.values())
    shape = placed(shape, intracranial_ml=now.intracranial_ml * total_ml / now.total_ml)
    own = shape.volumes(region_set).by_region_ml
    factors = {bench.codes[name]: volume_ml / own[name] for name, volume_ml in volumes_ml.items()}
    return resized(shape, factors, region_set)


def closed_loop(bench: Bench, count: int | None = None) -> Section:
    """Measure drawn children, and see whether their z are those of the population."""
    count = count or (QUICK_CHILDREN if bench.quick else CHILDREN)
    people = tuple(dict.fromkeys((TRAINING_TODDLER, *bench.heads)))
    children = normal_children(bench.reference, count)
    owners, planted, measured = [], [], []

    def draw(index: int) -> Drawn:
        has = dict(zip(children.regions, children.volumes_ml[index].tolist(), strict=True))
        person = people[index % len(people)]
        shape = drawn_as(bench, person, has)
        image, _ = scanned(positioned(shape, PLAIN), replace(PLAIN, seed=1000 + index))
        return Drawn(person, shape.volumes(bench.package.region_set).by_region_ml, image)

    for index, one in enumerate(ahead(partial(draw, index) for index in range(count))):
        bench.say(f"child {index + 1} of {count} ({one.person})")
        found = read(bench, one.image).found
        if found is not None:
            owners.append(one.person)
            planted.append(children.z(index, one.volumes_ml))
            measured.append(children.z(index, found.volumes.by_region_ml))
    return _section(bench, count, owners, planted, measured)


def _section(
    bench: Bench,
    count: int,
    owners: Sequence[str],
    planted: Sequence[NDArray[np.float64]],
    measured: Sequence[NDArray[np.float64]],
) -> Section:
    names = bench.reference.region_names
    shape = (len(owners), len(names))
    true, seen = (np.reshape(rows, shape) if owners else np.full((2, len(names)), np.nan)
                  for rows in (planted, measured))  # fmt: skip
    mean, sd = seen.mean(axis=0), seen.std(axis=0, ddof=1)
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            f"{true[:, i].mean():+.2f}",
            float(true[:, i].std(ddof=1)),
            f"{mean[i]:+.2f}",
            float(sd[i]),
            f"{(seen - true)[:, i].mean():+.2f}",
            float((seen - true)[:, i].std(ddof=1)),
        )
        for i, name in enumerate(names)
    ]
    by_person: list[tuple[Cell, ...]] = [
        (
            person,
            len(mine),
            *(f"{value:+.2f}" for value in (seen - true)[mine].mean(axis=0)),
        )
        for person in dict.fromkeys(owners)
        if (mine := [i for i, owner in enumerate(owners) if owner == person])
    ]
    return Section(
        name="loop",
        title="Closing the loop",
        says=f"{count} normal children drawn from the reference {bench.reference.id}, planted in "
        f"the heads of {len(dict.fromkeys(owners))} people ({TRAINING_TODDLER} was trained on), "
        f"scanned and measured by the pipeline; {count - len(owners)} refused. This proves "
        "self-consistency only: nothing here is a real child, and a bias found here is shown and "
        "never alters a clinical z.",
        tables=(
            Table(
                "z of normal children",
                (
                    "region",
                    "planted: mean",
                    "SD",
                    "measured: mean",
                    "SD",
                    "found - planted: mean",
                    "SD",
                ),
                tuple(rows),
            ),
            Table(
                "Found - planted by person, mean z",
                ("person", "children", *names),
                tuple(by_person),
            ),
        ),
        gates=(
            Gate("children drawn", f"at least {CHILDREN}", str(count), count >= CHILDREN),
            *_gates(names, mean, sd, refused=count - len(owners)),
        ),
        values={
            "mean_z": dict(zip(names, mean.tolist(), strict=True)),
            "sd_z": dict(zip(names, sd.tolist(), strict=True)),
        },
    )


def _gates(
    names: Sequence[str], mean: NDArray[np.float64], sd: NDArray[np.float64], refused: int
) -> tuple[Gate, ...]:
    far = int(np.argmax(np.abs(mean)))
    least, most = int(np.argmin(sd)), int(np.argmax(sd))
    return (
        Gate("children refused", "0", str(refused), refused == 0),
        at_most("mean z of the worst region", MEAN_Z, abs(float(mean[far])), "", names[far]),
        between("least SD of z", LEAST_SD, MOST_SD, float(sd[least]), names[least]),
        between("largest SD of z", LEAST_SD, MOST_SD, float(sd[most]), names[most]),
    )
