"""The cases as data, and the scanner: how a head lies, by what it is scanned, and how badly."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from fontanelle.imaging.geometry import Image, LabelArray
from models.evaluation.shapes import INTRACRANIAL_ML, Shape, placed
from models.phantom.scan import HIGHEST_HU, LOWEST_HU, Field, View, grid, scan

EXTENT_MM = 190.0
"""Height of the field: a head pitched by 20 degrees fits."""
NEARLY_UPRIGHT_DEG = (2.0, -1.5, 2.5)
"""Nobody lies exactly along the voxels: there a fissure of 100 cm2 is counted to one side or the
other by the phase of the grid alone, which is worth several millilitres."""
THIN_MM = 1.25
"""Thicker slices are the mean of planes at most so far apart, as a scanner's are."""


class Kernel(StrEnum):
    """How the scanner filters within a plane."""

    STANDARD = "standard"
    SOFT = "soft"
    SHARP = "sharp"


@dataclass(frozen=True, slots=True)
class Case:
    """How one head is scanned; the default is the plain case that others are held against.

    Attributes
    ----------
    name
        For tables.
    group
        What is varied, for example `slices`.
    intracranial_ml
        Size of the head; None leaves the one that it was drawn with.
    step_mm
        Distance and thickness of slices.
    field_mm, pixel_mm
        Side of the square field, and of a pixel.
    down_mm
        How much further down the field reaches than a head does: neck and shoulders.
    """

    name: str = "1.25 mm, upright"
    group: str = "plain"
    intracranial_ml: float | None = None
    angles_deg: tuple[float, float, float] = NEARLY_UPRIGHT_DEG
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    view: View = View.AXIAL
    step_mm: float = 1.25
    field_mm: float = 224.0
    pixel_mm: float = 1.0
    down_mm: float = 0.0
    noise_hu: float = 4.0
    kernel: Kernel = Kernel.STANDARD
    seed: int = 2


PLAIN = Case()

CONDITIONS = (
    Case("0.625 mm", "slices", step_mm=0.625),
    Case("2.5 mm", "slices", step_mm=2.5),
    Case("5 mm", "slices", step_mm=5.0),
    Case("pitched by 10 degrees", "pose", angles_deg=(10.0, -1.5, 2.5)),
    Case("pitched by 20 degrees", "pose", angles_deg=(20.0, -1.5, 2.5)),
    Case("pitched back by 20 degrees", "pose", angles_deg=(-20.0, -1.5, 2.5)),
    Case("leaned by 20 degrees", "pose", angles_deg=(2.0, 20.0, 2.5)),
    Case("turned by 20 degrees", "pose", angles_deg=(2.0, -1.5, 20.0)),
    Case("gantry tilt 18.5 degrees", "pose", view=View.TILTED),
    Case("noise doubled", "noise", noise_hu=8.0),
    Case("soft kernel", "kernel", kernel=Kernel.SOFT),
    Case("sharp kernel", "kernel", kernel=Kernel.SHARP),
    Case("field of 180 mm", "field", field_mm=180.0, pixel_mm=0.8),
    Case("field of 300 mm with shoulders", "field", field_mm=300.0, pixel_mm=1.2, down_mm=70.0),
    Case("small head, 850 mL", "size", intracranial_ml=850.0),
    Case("large head, 1250 mL", "size", intracranial_ml=1250.0),
)
"""Each differs from `PLAIN` in one thing, so that the difference can be read off."""

STRICT = ("0.625 mm", "2.5 mm", "noise doubled")
"""With every pose these must not cost more than a point of error and 0.02 of Dice."""


def toddlers(spread_percent: float, count: int, seed: int = 7) -> tuple[Case, ...]:
    """Return different children for one brain: sizes, poses, noise, thin slices.

    Parameters
    ----------
    spread_percent
        SD of head sizes in the population.
    count
        How many.
    seed
        Of what is drawn; the sizes are quantiles, so that few cases cover the spread.
    """
    random = np.random.default_rng(seed)
    sizes = _normal_quantiles(count) * spread_percent / 100.0
    cases = []
    for index in range(count):
        pitch, lean, turn = np.round(random.uniform(-8.0, 8.0, 3), 1).tolist()
        aside, behind, above = np.round(random.uniform(-5.0, 5.0, 3), 1).tolist()
        cases.append(
            Case(
                f"child {index + 1}",
                "children",
                intracranial_ml=round(INTRACRANIAL_ML * (1.0 + float(sizes[index]))),
                angles_deg=(pitch, lean, turn),
                shift_mm=(aside, behind, above),
                step_mm=(0.625, 1.0, 1.25)[index % 3],
                seed=100 + index,
            )
        )
    return tuple(cases)


def _normal_quantiles(count: int) -> NDArray[np.float64]:
    return np.asarray(ndtri((np.arange(count) + 0.5) / count))


def positioned(shape: Shape, case: Case) -> Shape:
    """Return a head in the size and pose of a case."""
    return placed(
        shape,
        intracranial_ml=case.intracranial_ml,
        angles_deg=case.angles_deg,
        shift_mm=case.shift_mm,
    )


def scanned(shape: Shape, case: Case) -> tuple[Image, LabelArray]:
    """Scan a head in the size and pose that it has; return HU and true codes on the planes."""
    recipe = replace(
        shape.phantom.recipe,
        noise_hu=case.noise_hu,
        seed=case.seed,
        shoulders=case.down_mm > 0,
    )
    phantom = replace(shape.phantom, recipe=recipe)
    averaged = max(1, int(np.ceil(case.step_mm / THIN_MM)))
    slices = round((EXTENT_MM + case.down_mm) / case.step_mm)
    side = round(case.field_mm / case.pixel_mm)
    field = Field(
        slices * averaged,
        (side, side),
        case.step_mm / averaged,
        case.pixel_mm,
        shift_mm=-case.down_mm / 2,
    )
    image, truth = scan(phantom, grid(case.view, field))
    if averaged > 1:
        coarse = grid(case.view, replace(field, slices=slices, step_mm=case.step_mm))
        _, truth = scan(phantom, coarse)
        thick = image.hu.reshape(slices, averaged, side, side).mean(axis=1)
        image = Image(np.rint(thick).astype(np.int16), coarse)
    return Image(_filtered(image.hu, case), image.grid), truth


def _filtered(
    hu: NDArray[np.int16] | NDArray[np.float32], case: Case
) -> NDArray[np.int16] | NDArray[np.float32]:
    """Blur or sharpen within the planes; sharpening raises the noise as it does in a scanner."""
    match case.kernel:
        case Kernel.STANDARD:
            return hu
        case Kernel.SOFT:
            width = (0.0, 0.8 / case.pixel_mm, 0.8 / case.pixel_mm)
            seen = ndimage.gaussian_filter(hu.astype(np.float32), width)
        case Kernel.SHARP:
            width = (0.0, 1.0 / case.pixel_mm, 1.0 / case.pixel_mm)
            plain = hu.astype(np.float32)
            seen = plain + 0.8 * (plain - ndimage.gaussian_filter(plain, width))
    return np.rint(np.clip(seen, LOWEST_HU, HIGHEST_HU)).astype(np.int16)


def mirrored_image(image: Image) -> Image:
    """Return the image with its columns in reverse on the same planes: another child."""
    return Image(image.hu[:, :, ::-1].copy(), image.grid)
