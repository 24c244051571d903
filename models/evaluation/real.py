"""Real images: are the lobes in their places? Volumes are not judged here; nobody knows them.

Against labels carried over by deformable registration as well, where they are given: that is what
the paper calls ground truth, and it is none. A CT atlas is for place only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.placement import rigid_fit
from models.evaluation.bench import Bench, Found
from models.evaluation.overlap import counts, overlap
from models.evaluation.pictures import write
from models.evaluation.report import Cell, Gate, Section, Table, at_most, not_measured
from models.evaluation.scoring import read

Carry = Callable[[Image], LabelArray]
"""From an image to labels by registration, on the same planes."""

PLACE_MM = 12.0
"""A region farther than this from its place among the others is in the wrong one."""

LEFT, BACK, UP = 0, 1, 2

ORDER = (
    ("{side}_frontal", "lies before", "{side}_parietal", BACK, -1),
    ("{side}_parietal", "lies before", "{side}_occipital", BACK, -1),
    ("{side}_temporal", "lies before", "{side}_occipital", BACK, -1),
    ("{side}_temporal", "lies below", "{side}_parietal", UP, -1),
    ("{side}_temporal", "lies below", "{side}_frontal", UP, -1),
    ("{side}_occipital", "lies below", "{side}_parietal", UP, -1),
    ("cerebellum", "lies below", "{side}_occipital", UP, -1),
    ("cerebellum", "lies behind", "brainstem", BACK, 1),
    ("brainstem", "lies below", "{side}_parietal", UP, -1),
)
"""What every brain has in common, in the frame of an upright head."""


@dataclass(frozen=True, slots=True)
class RealImage:
    """A real scan, or an atlas of CT with labels.

    Attributes
    ----------
    name
        For tables.
    image
        HU.
    labels
        Codes of the region set that somebody else laid over it; None where there are none.
    by
        Whose labels they are, in words.
    """

    name: str
    image: Image
    labels: LabelArray | None = None
    by: str = ""


def real_series(bench: Bench, series: RealImage | None, carry: Carry | None) -> Section:
    """Look where the regions lie in a real scan, and compare them with labels carried over."""
    says = (
        "One real head (an adult's, 4 and 7 mm slices, gantry tilted by 18.5 degrees, unless "
        "another series was given). No volume of it is known."
    )
    asked = f"every region within {PLACE_MM:g} mm, in the right order"
    if series is None:
        gate = not_measured("lobes in the right places", asked, "no series was given")
        return Section("real", "Real series", says, (), (gate,))
    bench.say(f"real series: {series.name}")
    reading = read(bench, series.image)
    if reading.found is None:
        refused = ", ".join(reading.withheld)
        gate = Gate("lobes in the right places", asked, f"refused: {refused}", holds=False)
        return Section("real", "Real series", says, (), (gate,))
    found = reading.found
    sheets = {f"{series.name}: found": found.labels}
    tables, gates = _placed(bench, found, reading.withheld)
    if carry is not None:
        carried = carry(series.image)
        sheets[f"{series.name}: carried over by registration"] = carried
        tables.append(_compared(bench, found.labels, carried, "carried over by registration"))
        says += (
            " The labels carried over by deformable registration are what the paper calls ground "
            "truth; they are another estimate, with errors of their own."
        )
    if bench.pictures is not None:
        write(bench.pictures, f"real {series.name}", series.image, sheets, bench.package.region_set)
    return Section("real", "Real series", says, tuple(tables), tuple(gates))


def atlas(bench: Bench, given: RealImage | None) -> Section:
    """Compare places with a CT atlas of adults; its labels are no truth, no gate rests on it."""
    says = (
        "An average of adults' CT without its skull; CSF and a vault were drawn around it here. "
        "Its labels were put on by coordinates alone: good for the place of a region within about "
        "5 mm, for no volume and no Dice."
    )
    if given is None or given.labels is None:
        return Section("atlas", "CT atlas (place only)", f"{says} None was given.", ())
    bench.say("CT atlas")
    reading = read(bench, given.image)
    if reading.found is None:
        said = f"{says} It was refused: {', '.join(reading.withheld)}."
        return Section("atlas", "CT atlas (place only)", said, ())
    if bench.pictures is not None:
        sheets = {"atlas: its labels": given.labels, "atlas: found": reading.found.labels}
        write(bench.pictures, "atlas", given.image, sheets, bench.package.region_set)
    table = _compared(bench, reading.found.labels, given.labels, given.by)
    return Section("atlas", "CT atlas (place only)", says, (table,))


def places_lps_mm(labels: LabelArray, code: int) -> NDArray[np.float64] | None:
    """Return the centroid of a code on any planes, each counted by its width; None where absent."""
    counted = np.zeros(3)
    weight = 0.0
    for index, plane in enumerate(labels.codes):
        at = np.argwhere(plane == code)
        if not len(at):
            continue
        affine = labels.grid.plane_affine(index)
        voxels = len(at) * float(labels.grid.plane_voxel_mm3[index])
        counted += voxels * (affine[:3, 3] + affine[:3, 1:3] @ at.mean(axis=0))
        weight += voxels
    return counted / weight if weight else None


def upright(bench: Bench, labels: LabelArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the regions lie in an upright head, and how far each is from its place, in mm.

    Shape (regions, 3) along (L, P, S), and (regions,). The turn is that of the rigid fit to the
    package's own places.
    """
    names = bench.regions
    found = [places_lps_mm(labels, bench.codes[name]) for name in names]
    if any(place is None for place in found):
        return np.full((len(names), 3), np.nan), np.full(len(names), np.inf)
    places = np.array(found)
    places -= places.mean(axis=0)
    expected = np.array([bench.package.placement.centroids[name] for name in names])
    expected -= expected.mean(axis=0)
    expected *= np.sqrt((places**2).sum() / (expected**2).sum())
    turn, _ = rigid_fit(expected, places)
    aligned = places @ turn
    return aligned, np.linalg.norm(aligned - expected, axis=1)


def out_of_order(names: tuple[str, ...], places: NDArray[np.float64]) -> list[str]:
    """Return which of the things that every brain has in common do not hold here."""
    at = dict(zip(names, places, strict=True))
    wrong = []
    for side, sign in (("left", 1), ("right", -1)):
        for first, relation, second, axis, direction in ORDER:
            one, other = first.format(side=side), second.format(side=side)
            if not direction * (at[one][axis] - at[other][axis]) > 0:
                wrong.append(f"{one} {relation} {other}")
        wrong += [
            f"{name} lies on the {side}"
            for name in names
            if name.startswith(f"{side}_") and not sign * at[name][LEFT] > 0
        ]
    return list(dict.fromkeys(wrong))


def _placed(
    bench: Bench, found: Found, withheld: tuple[str, ...]
) -> tuple[list[Table], list[Gate]]:
    places, away_mm = upright(bench, found.labels)
    by_region = {region.region: region for region in found.volumes.regions}
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            *(f"{value:+.0f}" for value in places[index]),
            float(away_mm[index]),
            by_region[name].compartment_ml,
            by_region[name].parenchyma_ml,
        )
        for index, name in enumerate(bench.regions)
    ]
    wrong = out_of_order(bench.regions, places)
    worst = int(np.argmax(away_mm))
    checks: list[tuple[Cell, ...]] = [
        (check.check, str(check.grade), check.value, check.sentence) for check in found.quality
    ]
    tables = [
        Table(
            f"Centroids in an upright head; intracranial {found.volumes.intracranial_ml:.0f} mL, "
            f"ventricles {found.volumes.ventricles_ml:.0f} mL",
            (
                "region",
                "left, mm",
                "back, mm",
                "up, mm",
                "from its place, mm",
                "compartment, mL",
                "parenchyma, mL",
            ),
            tuple(rows),
        ),
        Table("Checks", ("check", "grade", "value", "says"), tuple(checks)),
    ]
    said = f"not so: {'; '.join(wrong)}" if wrong else "as in every brain"
    gates = [
        Gate("order of the regions", "as in every brain", said, holds=not wrong),
        at_most(
            "farthest region from its place", PLACE_MM, float(away_mm[worst]), " mm",
            bench.regions[worst],
        ),
        Gate("result not withheld", "yes", ", ".join(withheld) or "yes", not withheld),
    ]  # fmt: skip
    return tables, gates


def _compared(bench: Bench, found: LabelArray, other: LabelArray, by: str) -> Table:
    counted = counts(bench.compartments(other.codes), bench.compartments(found.codes), 256)
    rows: list[tuple[Cell, ...]] = []
    for region in bench.package.region_set.regions:
        one, two = (places_lps_mm(labels, region.code) for labels in (found, other))
        apart = None if one is None or two is None else float(np.linalg.norm(one - two))
        first, second = _ml(bench, found, region.code), _ml(bench, other, region.code)
        change = f"{100 * (first / second - 1):+.1f}" if second else "–"
        rows.append((region.name, apart, overlap(counted, region.code).dice, first, second, change))
    heads = (
        "region",
        "centroids apart, mm",
        "Dice",
        "found, mL",
        "theirs, mL",
        "found - theirs, %",
    )
    return Table(f"Against labels {by}", heads, tuple(rows))


def _ml(bench: Bench, labels: LabelArray, code: int) -> float:
    voxels = (bench.compartments(labels.codes) == code).sum(axis=(1, 2))
    return float((voxels * labels.grid.plane_voxel_mm3).sum() / 1000.0)
