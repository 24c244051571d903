"""What every part of the evaluation works with: a package, how it is measured, and for whom."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.quality import QualityCheck
from fontanelle.imaging.volumes import Volumes
from fontanelle.norms.values import Reference
from models.package import Package

Made = TypeVar("Made")


class Found(Protocol):
    """What the serving pipeline gives back of one image."""

    @property
    def labels(self) -> LabelArray:
        """Codes of the region set on the source planes."""
        ...

    @property
    def volumes(self) -> Volumes:
        """As the report prints them."""
        ...

    @property
    def quality(self) -> tuple[QualityCheck, ...]:
        """Checks; one that failed withholds the result."""
        ...


Measure = Callable[[Image], Found]
"""From an image to labels and volumes; raises Refused where nothing is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The conditions of one evaluation.

    Attributes
    ----------
    package
        Gives region set and protocol, for truth under the same rules.
    reference
        Whose spread decides what an error means.
    measure
        The whole of what serves, from the image on.
    heads
        Held-out label maps, each of another person.
    quick
        Fewer cases of each kind: shows that everything works, proves nothing.
    pictures
        Folder for pictures; None draws none.
    say
        Takes a sentence on the progress.
    """

    package: Package
    reference: Reference
    measure: Measure
    heads: tuple[str, ...]
    quick: bool
    pictures: Path | None
    say: Callable[[str], None]

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the compared regions, in the order of their codes."""
        return tuple(region.name for region in self.package.region_set.regions)

    @property
    def trained_on(self) -> tuple[str, ...] | None:
        """Label maps that the package says it was trained on; None where it does not say."""
        text = (self.package.folder / "package.toml").read_text(encoding="utf-8")
        heads = tomllib.loads(text).get("training", {}).get("heads")
        return None if heads is None else tuple(heads)

    @property
    def spread_percent(self) -> dict[str, float]:
        """SD of each region among children of one age and sex, per cent of its mean."""
        return {
            norm.name: 100.0 * norm.residual_sd.value / norm.mean.value
            for norm in self.reference.linear_regions
        }

    @property
    def total_spread_percent(self) -> float:
        """SD of the sum of all regions, per cent; the mean region's where nobody knows it."""
        total = self.reference.total
        if total is None:
            return float(np.mean(list(self.spread_percent.values())))
        return 100.0 * total.residual_sd.value / total.mean.value

    @property
    def names_by_code(self) -> dict[int, str]:
        """What each code of a compartment array is called, the outside included."""
        named = {region.code: region.name for region in self.package.region_set.segments}
        return {0: "outside"} | named | {self.package.outer_csf: "cisterns"}

    @property
    def codes(self) -> dict[str, int]:
        """Code of each region's parenchyma."""
        return {region.name: region.code for region in self.package.region_set.regions}

    def compartments(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return codes with each region's CSF counted to it."""
        return self.package.region_set.compartment_table[codes]


def ahead(jobs: Iterable[Callable[[], Made]]) -> Iterator[Made]:
    """Yield what each job makes, in order; the next one is made while the caller uses the last.

    Drawing a head runs on one core and so fills what an engine leaves idle.
    """
    with ThreadPoolExecutor(1) as worker:
        waiting = None
        for job in jobs:
            made = worker.submit(job)
            if waiting is not None:
                yield waiting.result()
            waiting = made
        if waiting is not None:
            yield waiting.result()
