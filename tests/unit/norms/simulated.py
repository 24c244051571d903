"""Simulated normal children, drawn from a reference's own numbers: the truth is then known."""

from collections.abc import Callable

import numpy as np

from fontanelle.norms.cohort import Cohort, read, rules_of
from fontanelle.norms.expectations import expectation
from fontanelle.norms.values import Reference
from tests.unit.norms.cases import XI

PACKAGE = "a" * 64
Rows = list[dict[str, str]]


def rows(n: int, seed: int, reference: Reference = XI, *, shift: float = 0.0) -> Rows:
    """Draw a table of `n` normal children; `shift` moves all volumes, a share of each."""
    random = np.random.default_rng(seed)
    boys = random.random(n) < 0.5555
    days = random.integers(548, 914, n)
    regions = len(reference.regions)
    expected = expectation(reference, reference.tiers[0], days, boys.astype(float)).expected
    sds = np.array([norm.residual_sd.value for norm in reference.linear_regions])
    towards = np.linalg.cholesky(np.asarray(reference.correlations.central))
    volumes = expected[:, :regions] + random.standard_normal((n, regions)) @ towards.T * sds
    return [
        {
            "child": f"child-{at}",
            "age_days": str(days[at]),
            "sex": "M" if boys[at] else "F",
            "gestational_age_weeks": "39",
            "protocol": reference.label_protocol,
            "package_sha256": PACKAGE,
            **{
                name: f"{volume:.3f}"
                for name, volume in zip(
                    reference.region_names, volumes[at] * (1.0 + shift), strict=True
                )
            },
        }
        for at in range(n)
    ]


def text(table: Rows) -> str:
    """Write a table as CSV."""
    lines = [",".join(table[0]), *(",".join(row.values()) for row in table)]
    return "\n".join(lines) + "\n"


def changed(table: Rows, change: Callable[[Rows], object]) -> str:
    """Write a table as CSV after a change."""
    change(table)
    return text(table)


def cohort(n: int, seed: int, *, shift: float = 0.0) -> Cohort:
    """Draw and read a table."""
    return read(text(rows(n, seed, shift=shift)), rules_of(XI, least=1))
