"""The sections of an evaluation by name, in the order in which they run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from models.evaluation.accuracy import held_out
from models.evaluation.bench import Bench
from models.evaluation.conditions import conditions
from models.evaluation.loop import closed_loop
from models.evaluation.mirror import mirrored
from models.evaluation.planted import planted
from models.evaluation.real import Carry, RealImage, atlas, real_series
from models.evaluation.repeat import repeatability
from models.evaluation.report import Section


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What may be given to an evaluation beside the package.

    Attributes
    ----------
    series
        A real scan.
    atlas
        A CT atlas with labels; it is not part of the product.
    carry
        Carries labels over to the real scan by registration.
    children
        How many the closed loop draws; None leaves its own number.
    """

    series: RealImage | None = None
    atlas: RealImage | None = None
    carry: Carry | None = None
    children: int | None = None


SECTIONS: dict[str, Callable[[Bench, Given], Section]] = {
    "accuracy": lambda bench, _: held_out(bench),
    "conditions": lambda bench, _: conditions(bench),
    "planted": lambda bench, _: planted(bench),
    "repeat": lambda bench, given: repeatability(
        bench, given.series.image if given.series is not None else None
    ),
    "mirror": lambda bench, _: mirrored(bench),
    "real": lambda bench, given: real_series(bench, given.series, given.carry),
    "atlas": lambda bench, given: atlas(bench, given.atlas),
    "loop": lambda bench, given: closed_loop(bench, given.children),
}


def evaluated(bench: Bench, given: Given, only: Sequence[str] = ()) -> Iterator[Section]:
    """Run the sections named, or all; yield each as it is done."""
    for name, section in SECTIONS.items():
        if not only or name in only:
            yield section(bench, given)
