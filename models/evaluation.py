"""How far a package's volumes are from the truth, on heads that it was not trained on.

The heads are label maps painted by `models.phantom`, a painter that training does not know, and
read through the functions that serve: find the head, prepare, segment, assemble, restore. Volume
error comes first, Dice second: a Dice of 0.95 has gone with useless volumes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Image, LabelArray
from fontanelle.imaging.head import find_head
from fontanelle.imaging.prepare import prepare
from fontanelle.imaging.resample import restored
from models.package import Package
from models.phantom.head import Recipe, Resize, make
from models.phantom.scan import Field, View, grid, scan

Segment = Callable[[NDArray[np.float32]], NDArray[np.uint8]]

RESIZE_PERCENT = 25.0
"""By how much a region is drawn smaller and larger."""
HELD_OUT = ("toddler_12mo", "head_17", "head_20")
"""Label maps that no shipped configuration trains on."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a held-out head is scanned."""

    name: str
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step_mm: float = 1.0
    view: View = View.AXIAL


CONDITIONS = (
    Condition("upright, 1 mm"),
    Condition("pitched by 18 degrees", angles_deg=(18.0, 0.0, 0.0)),
    Condition("turned about three axes", angles_deg=(-12.0, 10.0, 15.0)),
    Condition("gantry tilt 18.5 degrees, 5 mm", step_mm=5.0, view=View.TILTED),
)


@dataclass(frozen=True, slots=True)
class RegionScore:
    """One region of one scan.

    Attributes
    ----------
    truth_ml, found_ml
        Compartments.
    dice
        Of the parenchyma.
    """

    head: str
    condition: str
    region: str
    truth_ml: float
    found_ml: float
    dice: float

    @property
    def error_percent(self) -> float:
        """Volume error, signed."""
        return 100.0 * (self.found_ml - self.truth_ml) / self.truth_ml


def evaluate(package: Package, segment: Segment) -> list[RegionScore]:
    """Score every region of every held-out head under every condition."""
    return [
        score
        for head in HELD_OUT
        for condition in CONDITIONS
        for score in _scores(package, segment, head, condition)
    ]


def _scores(
    package: Package, segment: Segment, head: str, condition: Condition
) -> list[RegionScore]:
    phantom = make(Recipe(label_map=head, intracranial_ml=1030.0, angles_deg=condition.angles_deg))
    slices = round(190.0 / condition.step_mm)
    field = Field(slices, (224, 224), condition.step_mm, 1.0)
    image, truth = scan(phantom, grid(condition.view, field))
    found = segmented(image, package, segment)
    voxel_ml = truth.grid.plane_voxel_mm3[0] / 1000.0
    # The truth's CSF is assembled by the same rule, so that only the network is judged.
    whole = assemble(truth.codes, package.region_set, package.outer_csf)
    table = package.region_set.compartment_table
    scores = []
    for region in package.region_set.regions:
        scores.append(
            RegionScore(
                head,
                condition.name,
                region.name,
                truth_ml=float((table[whole] == region.code).sum() * voxel_ml),
                found_ml=float((table[found.codes] == region.code).sum() * voxel_ml),
                dice=_dice(whole == region.code, found.codes == region.code),
            )
        )
    return scores


@dataclass(frozen=True, slots=True)
class Response:
    """What a package answers when one region of a head is drawn smaller and larger.

    Attributes
    ----------
    drawn_percent, found_percent
        Change of the region's parenchyma against the same head as it is: smaller, larger.
    """

    region: str
    drawn_percent: tuple[float, float]
    found_percent: tuple[float, float]


def responses(package: Package, segment: Segment, head: str = HELD_OUT[0]) -> list[Response]:
    """Draw each region of a held-out head smaller and larger, and measure it.

    A network that pulls every child towards the mean answers less than what was drawn.
    """
    plain = _parenchyma_ml(package, segment, Recipe(label_map=head))
    found = []
    for region in package.region_set.regions:
        changes = []
        for percent in (-RESIZE_PERCENT, RESIZE_PERCENT):
            recipe = Recipe(label_map=head, change=Resize(region.code, percent))
            changed = _parenchyma_ml(package, segment, recipe)
            changes.append(100 * (changed[:, region.code] / plain[:, region.code] - 1))
        drawn, answered = np.transpose(changes).tolist()
        found.append(Response(region.name, (drawn[0], drawn[1]), (answered[0], answered[1])))
    return found


def _parenchyma_ml(package: Package, segment: Segment, recipe: Recipe) -> NDArray[np.float64]:
    """Return true and found volume of each code, shape (2, 256), mL."""
    image, truth = scan(make(recipe), grid(View.AXIAL, Field(190, (224, 224), 1.0, 1.0)))
    found = segmented(image, package, segment)
    counts = [np.bincount(codes.ravel(), minlength=256) for codes in (truth.codes, found.codes)]
    return np.array(counts) / 1000.0


def segmented(image: Image, package: Package, segment: Segment) -> LabelArray:
    """Run an image through the serving functions.

    Raises
    ------
    Refused
        If no head is found.
    """
    head = find_head(image)
    prepared = prepare(image, head, package.preprocessing)
    codes = assemble(segment(prepared.array), package.region_set, package.outer_csf)
    return restored(codes, prepared.geometry, image.grid)


def _dice(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    both = int(truth.sum()) + int(found.sum())
    return 2.0 * int((truth & found).sum()) / both if both else 1.0


def as_markdown(scores: list[RegionScore]) -> str:
    """Return two tables: by head and condition, and by region over all of them."""
    measures = "mean volume error, % | mean absolute, % | worst, % | mean Dice |"
    lines = [f"| held-out head | scanned | {measures}", "|---|---|---|---|---|---|"]
    for head in dict.fromkeys(score.head for score in scores):
        for condition in dict.fromkeys(score.condition for score in scores):
            rows = [s for s in scores if (s.head, s.condition) == (head, condition)]
            lines.append(f"| {head} | {condition} | {_summary(rows)} |")
    lines += ["", f"| region | {measures}", "|---|---|---|---|---|"]
    for region in dict.fromkeys(score.region for score in scores):
        rows = [score for score in scores if score.region == region]
        lines.append(f"| {region} | {_summary(rows)} |")
    return "\n".join(lines) + "\n"


def responses_as_markdown(found: list[Response]) -> str:
    """Return one table: what was drawn, and what was found of it."""
    lines = [
        "| region | drawn smaller, % | found, % | drawn larger, % | found, % |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        (less, more), (seen_less, seen_more) = one.drawn_percent, one.found_percent
        lines.append(
            f"| {one.region} | {less:+.1f} | {seen_less:+.1f} | {more:+.1f} | {seen_more:+.1f} |"
        )
    return "\n".join(lines) + "\n"


def _summary(rows: list[RegionScore]) -> str:
    errors = np.array([row.error_percent for row in rows])
    worst = errors[np.argmax(np.abs(errors))]
    dice = np.mean([row.dice for row in rows])
    return f"{errors.mean():+.1f} | {np.abs(errors).mean():.1f} | {worst:+.1f} | {dice:.3f}"
