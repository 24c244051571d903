"""Mirrored input gives mirrored output: left is left, and neither side is liked better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.regions import RegionSet
from models.evaluation.bench import Bench
from models.evaluation.cases import PLAIN, mirrored_image, positioned, scanned
from models.evaluation.overlap import counts, overlap
from models.evaluation.report import Cell, Gate, Section, Table, at_least, at_most
from models.evaluation.scoring import read
from models.evaluation.shapes import drawn

DICE, VOLUME_PERCENT = 0.98, 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One region of a head and of its mirror image: overlap, and difference in per cent."""

    person: str
    region: str
    dice: float
    difference_percent: float


def swapped(region_set: RegionSet) -> NDArray[np.uint8]:
    """Return the table of 256 codes in which left and right have changed places."""
    table = np.arange(256, dtype=np.uint8)
    for region in region_set.regions:
        for other in region_set.regions:
            if region.pair is not None and other.pair == region.pair and other is not region:
                table[region.code] = other.code
                if region.csf_code is not None and other.csf_code is not None:
                    table[region.csf_code] = other.csf_code
    return table


def mirrored(bench: Bench) -> Section:
    """Measure each held-out head and its mirror image, and hold one against the other."""
    pairs = [pair for person in bench.heads for pair in _pairs(bench, person)]
    measured = {pair.person for pair in pairs}
    rows: list[tuple[Cell, ...]] = [
        (pair.person, pair.region, pair.dice, f"{pair.difference_percent:+.2f}") for pair in pairs
    ]
    return Section(
        name="mirror",
        title="Mirrored input, mirrored output",
        says="The image's columns in reverse; labels mirrored back and sides exchanged, then held "
        "against those of the image as it was.",
        tables=(
            Table(
                "By region", ("person", "region", "Dice", "difference of volume, %"), tuple(rows)
            ),
        ),
        gates=_gates(bench, pairs, refused=len(bench.heads) - len(measured)),
    )


def _pairs(bench: Bench, person: str) -> list[Pair]:
    """Return each region and the ventricles; nothing where one of the two was refused."""
    bench.say(f"{person}: mirrored")
    region_set = bench.package.region_set
    image, _ = scanned(positioned(drawn(person, bench.package), PLAIN), PLAIN)
    plain, other = read(bench, image).found, read(bench, mirrored_image(image)).found
    if plain is None or other is None:
        return []
    # Back into the first one's frame.
    back = bench.compartments(swapped(region_set)[other.labels.codes[:, :, ::-1]])
    counted = counts(bench.compartments(plain.labels.codes), back, 256)
    pairs = []
    for region in region_set.segments:
        first, second = int(counted[region.code].sum()), int(counted[:, region.code].sum())
        percent = 100.0 * (second / first - 1.0) if first else float("nan")
        pairs.append(Pair(person, region.name, overlap(counted, region.code).dice, percent))
    return pairs


def _gates(bench: Bench, pairs: list[Pair], refused: int) -> tuple[Gate, ...]:
    if refused or not pairs:
        return (Gate("heads and mirror images measured", "all", f"{refused} refused", holds=False),)
    gates = []
    ventricles = bench.package.region_set.ventricles.name
    for what, mine in (
        ("a region", [pair for pair in pairs if pair.region != ventricles]),
        ("the ventricles", [pair for pair in pairs if pair.region == ventricles]),
    ):
        least = min(mine, key=lambda pair: pair.dice)
        most = max(mine, key=lambda pair: abs(pair.difference_percent))
        name = f"largest difference of volume of {what}"
        gates += [
            at_least(f"least Dice of {what}", DICE, least.dice, where=least.region),
            at_most(name, VOLUME_PERCENT, abs(most.difference_percent), where=most.region),
        ]
    return tuple(gates)
