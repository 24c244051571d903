"""What a head is not: table, head holder, neck and shoulders, drawn where the head leaves air."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.phantom.head import CENTER_LPS_MM, Phantom, turned

Coordinates = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Millimetres to the left, to the back and upwards from the middle of the brain."""

_AIR_BELOW_HU: Final = -700.0
_SHELL_HU, _FOAM_HU = 120.0, -930.0
_MUSCLE_HU, _FAT_HU, _SKIN_HU, _BONE_HU, _CORD_HU = 52.0, -98.0, 18.0, 420.0, 33.0
_LUNG_HU, _AIRWAY_HU = -820.0, -995.0

_TABLE_TOP_MM, _TABLE_RADIUS_MM, _TABLE_HEIGHT_MM = 98.0, 300.0, 22.0

# Neck and shoulders by depth below the drawn head, mm: half width, half length from front to
# back, and how far back the middle lies. A child's: narrow neck, shoulders 27 cm wide.
_DEPTH_MM = (0.0, 45.0, 70.0, 95.0, 300.0)
_HALF_WIDTH_MM = (64.0, 55.0, 42.0, 130.0, 140.0)
_HALF_LENGTH_MM = (76.0, 62.0, 42.0, 58.0, 75.0)
_BACK_MM = (-6.0, 0.0, 14.0, 14.0, 8.0)


def added(
    hu: NDArray[np.int16], phantom: Phantom, plane_affine: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return a plane with everything that the recipe wants beside the head.

    Parameters
    ----------
    hu
        The head alone, shape (rows, columns).
    phantom
        Whose recipe is followed.
    plane_affine
        Shape (4, 4): (0, row, column, 1) to LPS mm.
    """
    seen = hu.astype(np.float32)
    recipe = phantom.recipe
    if not (recipe.table or recipe.head_holder or recipe.shoulders):
        return seen
    scanner = _coordinates(hu.shape, plane_affine, np.eye(3))
    if recipe.shoulders:
        body = _coordinates(hu.shape, plane_affine, turned(recipe.angles_deg))
        seen = _shoulders(seen, body, phantom.floor_mm)
    if recipe.head_holder:
        seen = _in_air(seen, _head_holder(scanner))
    if recipe.table:
        seen = _in_air(seen, _table(scanner))
    return seen


def _coordinates(
    shape: tuple[int, ...], plane_affine: NDArray[np.float64], turn: NDArray[np.float64]
) -> Coordinates:
    row, column = np.ogrid[: shape[0], : shape[1]]
    start = turn.T @ (plane_affine[:3, 3] - np.array(CENTER_LPS_MM))
    down, across = turn.T @ plane_affine[:3, 1], turn.T @ plane_affine[:3, 2]
    left, back, up = (
        np.asarray(start[axis] + down[axis] * row + across[axis] * column, dtype=np.float32)
        for axis in range(3)
    )
    return left, back, up


def _in_air(seen: NDArray[np.float32], drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(seen < _AIR_BELOW_HU, np.maximum(seen, drawn), seen)


def _table(at: Coordinates) -> NDArray[np.float32]:
    """Draw a cradle: two thin shells with foam between them, along the whole field."""
    left, back, _ = at
    depth = np.hypot(left, back - (_TABLE_TOP_MM - _TABLE_RADIUS_MM)) - _TABLE_RADIUS_MM
    inside = (depth >= 0) & (depth <= _TABLE_HEIGHT_MM)
    shell = inside & ((depth < 1.5) | (depth > _TABLE_HEIGHT_MM - 1.5))
    return np.select([shell, inside], [_SHELL_HU, _FOAM_HU], -1000.0).astype(np.float32)


def _head_holder(at: Coordinates) -> NDArray[np.float32]:
    """Draw a shell round the back of the head, padded; it ends at the neck."""
    left, back, up = at
    reach = np.hypot(left / 86.0, back / 96.0)
    along = (back > 15.0) & (up > -70.0) & (up < 90.0)
    shell = along & (reach >= 0.97) & (reach <= 1.0)
    padding = along & (reach < 0.97)
    return np.select([shell, padding], [_SHELL_HU, _FOAM_HU], -1000.0).astype(np.float32)


def _shoulders(seen: NDArray[np.float32], at: Coordinates, floor_mm: float) -> NDArray[np.float32]:
    left, back, up = at
    # The lowest plane of the head fades into air by partial volume: the neck reaches into it.
    depth = floor_mm + 1.5 - up
    half_width = np.interp(depth, _DEPTH_MM, _HALF_WIDTH_MM)
    half_length = np.interp(depth, _DEPTH_MM, _HALF_LENGTH_MM)
    back = back - np.interp(depth, _DEPTH_MM, _BACK_MM).astype(np.float32)
    reach = np.hypot(left / half_width, back / half_length)
    below_skin = (1.0 - reach) * np.minimum(half_width, half_length)
    spine = np.hypot(left, back - 0.45 * half_length)
    airway = np.hypot(left, back + 0.3 * half_length)
    lung = np.hypot((np.abs(left) - 55.0) / 38.0, back / 45.0)
    shoulder = np.sqrt((np.abs(left) - 108.0) ** 2 + back**2 + (depth - 112.0) ** 2)
    tissue = np.select(
        [
            below_skin < 1.5,
            below_skin < 6.0,
            spine < 4.0,
            spine < 10.0,
            (airway < 5.0) & (depth > 15.0),
            (lung < 1.0) & (depth > 125.0),
            shoulder < 14.0,
        ],
        [_SKIN_HU, _FAT_HU, _CORD_HU, _BONE_HU, _AIRWAY_HU, _LUNG_HU, _BONE_HU],
        _MUSCLE_HU,
    )
    return np.where((depth > 0) & (reach < 1.0), tissue, seen).astype(np.float32)
