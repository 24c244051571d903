"""The phantom in the scanner: the planes that are laid through it and what each of them shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import SimpleITK as sitk  # noqa: N813 (as its own documentation writes it)
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.imaging.geometry import Geometry, Grid, Image, LabelArray, Planes
from models.phantom import surroundings
from models.phantom.head import CENTER_LPS_MM, Phantom

LOWEST_HU: Final = -1024
HIGHEST_HU: Final = 3071
GANTRY_TILT_DEG: Final = 18.5
"""As in the GE series dcm_qa_ct/In/GE."""
_OBLIQUE_DEG = (15.0, 8.0)
# In-plane correlation of the noise, a soft kernel's; in pixels.
_NOISE_GRAIN = 0.9


class View(StrEnum):
    """How the planes lie.

    AXIAL: head first, as usual. FEET_FIRST: columns run from right to left of the patient's other
    side, slices downwards. OBLIQUE: rotated about two axes. TILTED: leaned gantry; positions move
    along the table only, so that the stack is sheared.
    """

    AXIAL = "axial"
    FEET_FIRST = "feet_first"
    OBLIQUE = "oblique"
    TILTED = "tilted"


@dataclass(frozen=True, slots=True)
class Field:
    """Extent of a scan.

    Attributes
    ----------
    slices, rows_columns
        Matrix.
    step_mm
        From plane to plane along the direction of travel; for uneven stacks see `grid`.
    pixel_mm
        Distance of rows and of columns.
    shift_mm
        How far above the middle of the brain the middle of the field lies. Negative cuts the
        vertex; a long field with a negative shift shows the neck and shoulders.
    """

    slices: int = 224
    rows_columns: tuple[int, int] = (512, 512)
    step_mm: float = 0.625
    pixel_mm: float = 0.43
    shift_mm: float = 0.0


def grid(view: View, field: Field, steps_mm: Sequence[float] | None = None) -> Grid:
    """Lay planes through the phantom.

    Parameters
    ----------
    view
        How they lie.
    field
        How many, and how far apart.
    steps_mm
        Distances from plane to plane, one fewer than slices; None for an even stack.

    Returns
    -------
    Geometry, or Planes where steps are given.
    """
    along_row, along_column, travel = _directions(view)
    row_step, column_step = along_column * field.pixel_mm, along_row * field.pixel_mm
    way_mm = np.arange(field.slices) * field.step_mm if steps_mm is None else _sums(steps_mm)
    rows, columns = field.rows_columns
    middle = np.array(CENTER_LPS_MM) + field.shift_mm * np.array((0.0, 0.0, 1.0))
    first = middle - row_step * (rows - 1) / 2 - column_step * (columns - 1) / 2
    origins = first + (way_mm - way_mm[-1] / 2)[:, None] * travel
    shape = (len(way_mm), rows, columns)
    if steps_mm is not None:
        return Planes(shape, row_step, column_step, origins)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack((travel * field.step_mm, row_step, column_step))
    affine[:3, 3] = origins[0]
    return Geometry(shape, affine)


def planes(phantom: Phantom, grid: Grid) -> Iterator[tuple[NDArray[np.int16], NDArray[np.uint8]]]:
    """Scan plane by plane, so that no whole image need be held.

    Parameters
    ----------
    phantom
        What lies in the scanner.
    grid
        The planes.

    Yields
    ------
    tuple
        HU and true class (models.training.protocol) of each pixel, shape (rows, columns).
    """
    hu = sitk.GetImageFromArray(phantom.hu)
    codes = sitk.GetImageFromArray(phantom.codes)
    into_head = np.linalg.inv(phantom.affine_lps_mm)
    rows_columns = grid.shape[1:]
    for index in range(grid.shape[0]):
        plane = grid.plane_affine(index)
        transform = _transform(into_head @ plane)
        painted = _sampled(hu, transform, rows_columns, sitk.sitkLinear, float(LOWEST_HU + 24))
        seen = surroundings.added(painted, phantom, plane)
        seen += _noise(phantom, index, rows_columns)
        yield (
            np.rint(seen.clip(LOWEST_HU, HIGHEST_HU)).astype(np.int16),
            _sampled(codes, transform, rows_columns, sitk.sitkNearestNeighbor, 0.0),
        )


def scan(phantom: Phantom, grid: Grid) -> tuple[Image, LabelArray]:
    """Scan a phantom; return HU and true classes on `grid`."""
    hu = np.empty(grid.shape, dtype=np.int16)
    codes = np.empty(grid.shape, dtype=np.uint8)
    for index, (plane_hu, plane_codes) in enumerate(planes(phantom, grid)):
        hu[index], codes[index] = plane_hu, plane_codes
    return Image(hu, grid), LabelArray(codes, grid)


def _directions(
    view: View,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return unit vectors in LPS: along a row, along a column, from plane to plane."""
    left, posterior, superior = np.eye(3)
    match view:
        case View.AXIAL:
            return left, posterior, superior
        case View.FEET_FIRST:
            return -left, posterior, -superior
        case View.OBLIQUE:
            pitch, yaw = np.radians(_OBLIQUE_DEG)
            along_row = np.cos(yaw) * left + np.sin(yaw) * posterior
            level = np.cross(superior, along_row)
            along_column = np.cos(pitch) * level - np.sin(pitch) * superior
            return along_row, along_column, np.cross(along_row, along_column)
        case View.TILTED:
            tilt = np.radians(GANTRY_TILT_DEG)
            return left, np.cos(tilt) * posterior - np.sin(tilt) * superior, superior


def _sums(steps_mm: Sequence[float]) -> NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(steps_mm)))


def _transform(matrix: NDArray[np.float64]) -> sitk.AffineTransform:
    """Turn (slice, row, column) to (slice, row, column) into ITK's (x, y, z) to (x, y, z)."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(matrix[2::-1, 3].tolist())
    return transform


def _sampled(
    image: sitk.Image,
    transform: sitk.Transform,
    rows_columns: tuple[int, int],
    interpolator: int,
    outside: float,
) -> NDArray[Any]:
    rows, columns = rows_columns
    plane = sitk.Resample(
        image, (columns, rows, 1), transform, interpolator, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0),
        np.eye(3).ravel().tolist(), outside,
    )  # fmt: skip
    return np.asarray(sitk.GetArrayFromImage(plane)[0])


def _noise(phantom: Phantom, index: int, rows_columns: tuple[int, int]) -> NDArray[np.float32]:
    random = np.random.default_rng((phantom.recipe.seed, index))
    grain = ndimage.gaussian_filter(
        random.standard_normal(rows_columns, dtype=np.float32), _NOISE_GRAIN, mode="wrap"
    )
    return np.asarray(grain * np.float32(phantom.recipe.noise_hu / grain.std()))
