"""Three planes through the brain's middle with the regions drawn on them, as a PNG.

The planes are cut upright in patient space, so that a tilted, oblique or uneven stack is shown
as the head lies, with the right proportions. Radiological convention: the patient's right is on
the left of the axial and the coronal picture. Nothing in the picture says who the patient is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from fontanelle.imaging.geometry import Grid, Image, LabelArray
from fontanelle.imaging.regions import Region, RegionSet
from fontanelle.reports.notice import NOTICE

LEFT, POSTERIOR, SUPERIOR = np.eye(3)
"""The axes of LPS."""
PANEL_PX = 520
BESIDE_MM = 10.0
"""The sagittal plane lies beside the falx, where left and right share out the CSF."""
MARGIN_PX = 16
LEGEND_ROW_PX = 30
SURROUND_MM = 22.0
"""What is shown around the brain: scalp and skull."""
FRAME_STEP_MM = 2.0
WINDOW_HU = (-5.0, 75.0)
"""Brain window: level 35, width 80."""
FILL = 0.38
"""Share of a region's colour over the image; its outline is drawn in full."""
AIR_HU = -1000.0
BEYOND = -1e6
"""An index that no grid has."""
INK, FAINT, PAPER = (235, 238, 242), (150, 158, 168), (12, 14, 18)
CONVENTION = "The patient's right is on the left of the axial and coronal planes."


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One plane to be cut: name, directions in LPS, letters at its borders, way from the middle."""

    name: str
    across_lps: NDArray[np.float64]
    down_lps: NDArray[np.float64]
    letters: tuple[str, str, str, str]
    aside_mm: NDArray[np.float64]


VIEWS = (
    View("Axial", LEFT, POSTERIOR, ("R", "L", "A", "P"), 0 * LEFT),
    View("Coronal", LEFT, -SUPERIOR, ("R", "L", "S", "I"), 0 * LEFT),
    View("Sagittal, left", POSTERIOR, -SUPERIOR, ("A", "P", "S", "I"), BESIDE_MM * LEFT),
)
"""Letters: left, right, upper, lower border. Axial is seen from the feet."""


def render_overlay(image: Image, labels: LabelArray, region_set: RegionSet) -> bytes:
    """Draw the labelled brain in three planes.

    Parameters
    ----------
    image
        HU on the source planes.
    labels
        Codes of `region_set` on the same planes.
    region_set
        Names and colours.

    Returns
    -------
    A PNG file, deterministic.

    Raises
    ------
    ValueError
        No voxel is labelled.
    """
    centre, side_mm = _field(labels)
    mm_per_px = side_mm / PANEL_PX
    table = _display_table(region_set)
    panels = []
    for view in VIEWS:
        points = _plane(centre + view.aside_mm, view, mm_per_px)
        index = indices(image.grid, points)
        grey = _windowed(_sampled(image.hu, index, order=1, outside=AIR_HU))
        codes = table[_sampled(labels.codes, index, order=0, outside=0).astype(np.uint8)]
        panels.append(_panel(view, _coloured(grey, codes, region_set.segments), mm_per_px))
    picture = _sheet(panels, region_set.segments)
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def indices(grid: Grid, points_lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where points lie in a grid: (slice, row, column), NaN beyond the outermost slices.

    Parameters
    ----------
    grid
        Regular, sheared, or planes with uneven steps; between two planes the slice index is
        interpolated, and with it the place of the first voxel.
    points_lps_mm
        Shape (..., 3).
    """
    count = grid.shape[0]
    affines = np.stack([grid.plane_affine(k) for k in range(count)])
    origins, row_step, column_step = affines[:, :3, 3], affines[0, :3, 1], affines[0, :3, 2]
    depth = (points_lps_mm - origins[0]) @ grid.normal_lps
    offsets = (origins - origins[0]) @ grid.normal_lps
    plane = np.interp(depth, offsets, np.arange(count, dtype=np.float64))
    origin = np.stack([np.interp(plane, np.arange(count), axis) for axis in origins.T], axis=-1)
    inplane = points_lps_mm - origin
    half_mm = grid.plane_voxel_mm3[[0, -1]] / np.linalg.norm(np.cross(row_step, column_step)) / 2
    plane = np.where((depth < -half_mm[0]) | (depth > offsets[-1] + half_mm[1]), np.nan, plane)
    row = inplane @ row_step / (row_step @ row_step)
    column = inplane @ column_step / (column_step @ column_step)
    return np.stack([plane, row, column], axis=-1)


def _field(labels: LabelArray) -> tuple[NDArray[np.float64], float]:
    """Return the middle of the labelled brain in LPS, and the side of a square that shows it."""
    affines = np.stack([labels.grid.plane_affine(k) for k in range(labels.grid.shape[0])])
    steps = affines[0, :3, 1:3]
    # Every few voxels will do for a frame round the brain.
    skip = max(1, int(FRAME_STEP_MM / np.linalg.norm(steps, axis=0).max()))
    where = np.argwhere(labels.codes[:, ::skip, ::skip])
    if not len(where):
        raise ValueError("there is no labelled brain to be shown")
    points = affines[where[:, 0], :3, 3] + (skip * where[:, 1:]) @ steps.T
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float((high - low).max() + 2 * SURROUND_MM)


def _display_table(region_set: RegionSet) -> NDArray[np.uint8]:
    # What the region set does not name is not painted.
    table = region_set.compartment_table
    named = [region.code for region in region_set.segments]
    return np.where(np.isin(table, named), table, 0).astype(np.uint8)


def _plane(centre: NDArray[np.float64], view: View, mm_per_px: float) -> NDArray[np.float64]:
    offset = (np.arange(PANEL_PX) - (PANEL_PX - 1) / 2) * mm_per_px
    across = offset[None, :, None] * view.across_lps
    down = offset[:, None, None] * view.down_lps
    return np.asarray(centre + across + down)


def _sampled(
    array: NDArray[np.int16] | NDArray[np.float32] | NDArray[np.uint8],
    index: NDArray[np.float64],
    *,
    order: Literal[0, 1],
    outside: float,
) -> NDArray[np.float64]:
    reached = np.where(np.isnan(index), BEYOND, index)
    return np.asarray(
        ndimage.map_coordinates(
            array,
            np.moveaxis(reached, -1, 0),
            output=np.float64,
            order=order,
            mode="constant",
            cval=outside,
        )
    )


def _windowed(hu: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = WINDOW_HU
    return np.asarray((np.clip(hu, low, high) - low) / (high - low) * 255)


def _coloured(
    grey: NDArray[np.float64], codes: NDArray[np.uint8], segments: Sequence[Region]
) -> NDArray[np.uint8]:
    colours = np.zeros((256, 3))
    for region in segments:
        colours[region.code] = region.rgb
    picture = np.repeat(grey[..., None], 3, axis=2)
    inside = codes > 0
    picture[inside] = (1 - FILL) * picture[inside] + FILL * colours[codes[inside]]
    edge = _edges(codes)
    picture[edge] = colours[codes[edge]]
    return picture.round().astype(np.uint8)


def _edges(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    # A pixel of a region is on its outline where any of the eight around it is not of it.
    low = ndimage.minimum_filter(codes, size=3)
    high = ndimage.maximum_filter(codes, size=3)
    return np.asarray((codes > 0) & (low != high))


def _panel(view: View, pixels: NDArray[np.uint8], mm_per_px: float) -> Picture.Image:
    panel = Picture.fromarray(pixels)
    draw = ImageDraw.Draw(panel)
    middle, edge = PANEL_PX // 2, 14
    places = ((edge, middle), (PANEL_PX - edge, middle), (middle, edge), (middle, PANEL_PX - edge))
    for letter, place in zip(view.letters, places, strict=True):
        _write(draw, place, letter, size=24, anchor="mm")
    _write(draw, (edge, edge), view.name, size=18, anchor="lt")
    bar_px = round(50 / mm_per_px)
    right, bottom = PANEL_PX - edge, PANEL_PX - edge
    draw.line((right - bar_px, bottom, right, bottom), fill=INK, width=3)
    _write(draw, (right, bottom - 6), "50 mm", size=15, anchor="rb")
    return panel


def _sheet(panels: Sequence[Picture.Image], segments: Sequence[Region]) -> Picture.Image:
    columns = 4
    rows = -(-len(segments) // columns)
    width = len(panels) * PANEL_PX + (len(panels) + 1) * MARGIN_PX
    top = PANEL_PX + 2 * MARGIN_PX
    sheet = Picture.new("RGB", (width, top + rows * LEGEND_ROW_PX + 46), PAPER)
    for number, panel in enumerate(panels):
        sheet.paste(panel, (MARGIN_PX + number * (PANEL_PX + MARGIN_PX), MARGIN_PX))
    draw = ImageDraw.Draw(sheet)
    step = (width - 2 * MARGIN_PX) // columns
    for number, region in enumerate(segments):
        left = MARGIN_PX + number // rows * step
        _entry(draw, (left, top + number % rows * LEGEND_ROW_PX), region)
    _write(draw, (MARGIN_PX, sheet.height - 14), NOTICE, size=16, colour=FAINT, anchor="lb")
    _write(
        draw, (width - MARGIN_PX, sheet.height - 14), CONVENTION, size=16, colour=FAINT, anchor="rb"
    )
    return sheet


def _entry(draw: ImageDraw.ImageDraw, place: tuple[int, int], region: Region) -> None:
    x, y = place
    draw.rectangle((x, y + 4, x + 28, y + 22), fill=region.rgb)
    _write(draw, (x + 40, y + 13), region.label, size=18, anchor="lm")


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    *,
    size: int,
    colour: tuple[int, int, int] = INK,
    anchor: str,
) -> None:
    # A dark rim keeps letters legible on bone.
    font = ImageFont.load_default(size)
    draw.text(place, text, fill=colour, font=font, anchor=anchor, stroke_width=2, stroke_fill=PAPER)
