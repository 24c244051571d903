"""How many comparisons with a reference one core makes in a second: a cohort, and child by child.

    python -m benchmarks.compare [--children 20000] [--rounds 5]

Simulated typical children of every age and sex of the reference, with its correlations: before and
after a calibration, and with references of a site's own (t and the intervals of Crawford). One
comparison is one child: every region, the sum, all pairs, flags and codes. CPU time of this
process and all its threads; the best of some rounds, as a busy machine only adds to it.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fontanelle.norms.cohorts import compare_cohort
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import (
    Child,
    Conditions,
    ProtocolMatch,
    Sex,
    SiteOffset,
    SiteStatus,
    Tier,
)
from fontanelle.norms.expectations import Array, expectation
from fontanelle.norms.reference import shipped
from fontanelle.norms.values import Reference

AIM: Final = 10_000
"""Comparisons a second."""
SEED: Final = 11
OWN_CHILDREN: Final = 120
"""Of a small reference of a site's own."""
ALONE: Final = 200
"""Children who are compared one by one."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is compared with what, for one line of the table."""

    name: str
    reference: Reference
    conditions: Conditions


def cases(reference: Reference) -> tuple[Case, ...]:
    """Return the ways in which a site may compare."""
    none = Conditions(reference.label_protocol, ProtocolMatch.MATCHED, SiteStatus.NONE)
    offsets = tuple(SiteOffset(norm.name, 0.5, 0.5) for norm in reference.regions)
    calibrated = replace(none, site_status=SiteStatus.PROVISIONAL, offsets=offsets)
    small = replace(reference.population.n, value=float(OWN_CHILDREN))
    own = replace(reference, tiers=(Tier.LOCAL, Tier.POOLED))
    few = replace(own, population=replace(own.population, n=small))
    return (
        Case("derived, before calibration", reference, none),
        Case("calibrated", reference, calibrated),
        Case("local: t, non-central t", own, replace(calibrated, offsets=())),
        Case(f"local, of {OWN_CHILDREN} children", few, replace(calibrated, offsets=())),
    )


def typical_children(reference: Reference, count: int) -> tuple[tuple[Child, ...], Array]:
    """Return children of the reference's ages and sexes, with typical volumes, mL."""
    rng, validity = np.random.default_rng(SEED), reference.validity
    ages = rng.integers(validity.age_days_min, validity.age_days_max + 1, count)
    boys = rng.random(count) < 0.5
    found = expectation(reference, reference.tiers[0], ages, boys)
    regions = len(reference.regions)
    correlations = reference.correlations
    root = np.eye(regions) if correlations is None else np.linalg.cholesky(correlations.central)
    z = rng.standard_normal((count, regions)) @ root.T
    children = tuple(
        Child(int(age), Sex.MALE if boy else Sex.FEMALE)
        for age, boy in zip(ages, boys, strict=True)
    )
    return children, found.expected[:, :regions] + z * found.sd[:, :regions]


def rate(work: Callable[[], object], comparisons: int, rounds: int) -> float:
    """Return comparisons a second of CPU time, the best of some rounds."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return comparisons / min(seconds)


def row(case: Case, children: tuple[Child, ...], volumes: Array, rounds: int) -> str:
    """Measure one line of the table."""
    names = case.reference.region_names
    some = [dict(zip(names, each, strict=True)) for each in volumes[:ALONE].tolist()]

    def one_by_one() -> None:
        for volumes_ml, child in zip(some, children, strict=False):
            compare(volumes_ml, child, case.reference, case.conditions)

    whole = rate(
        lambda: compare_cohort(volumes, children, case.reference, case.conditions),
        len(children),
        rounds,
    )
    alone = rate(one_by_one, len(some), rounds)
    return f"| {case.name} | {whole:,.0f} | {alone:,.0f} | {whole / AIM:.1f} |"


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare")
    parser.add_argument("--children", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args(arguments)
    reference = shipped("xi2025")
    children, volumes = typical_children(reference, said.children)
    lines = [
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}; "
        f"{said.children} children, best of {said.rounds}; comparisons a second of CPU time",
        "",
        f"| {reference.id}, {len(reference.regions)} regions | cohort | child by child | "
        f"of {AIM:,} |",
        "|---|---|---|---|",
        *(row(case, children, volumes, said.rounds) for case in cases(reference)),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
