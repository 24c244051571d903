"""Head circumference and form from a CT whose pose is known: what a tape would measure.

A tape lies over glabella and opisthocranion, where the head is largest, and spans its hollows. So
the largest convex outline among planes near the canonical axial one is taken, of the skin. What is
no head (hair, ears, head holder) is left out by threshold, by opening, and by its distance from
bone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.errors import Code, Reason
from fontanelle.imaging.geometry import Geometry, Grid, Image, LabelArray
from fontanelle.imaging.pose import Pose
from fontanelle.imaging.resample import sampled

ASSUMED_SD_CM: Final = 0.5
"""Nobody has measured children by tape and by this. On phantoms it repeats within 0.2 cm whatever
their turn, slices, noise and holder, and lies within 0.15 cm of the outline of the drawn map."""
SKIN_HU: Final = -500.0
"""Halfway between air and skin: a blurred edge stays where it is. Hair and foam lie below."""
BONE_HU: Final = 250.0
HAIR_MM: Final = 5.0
"""What is thinner than twice this is no head: hair, ears, the wings of a holder."""
PRESSED_MM: Final = 5.0
"""How much thicker than usual the scalp is believed to be anywhere; more is a holder or an ear."""
FINE_MM: Final = 1.0
COARSE: Final = 2
"""Fine voxels to a coarse one: planes are sought on the coarse grid, the best is measured on the
fine one."""
HALF_FIELD_MM: Final = (52.0, 122.0, 96.0)
"""Of the sampled block along (S, P, L), canonical mm: a long head, a broad one, and the planes'
tilt."""
HEIGHTS_MM: Final = tuple(range(-20, 26, 5))
"""Of the planes above the middle of the regions' centroids, in canonical mm."""
PITCHES_DEG: Final = tuple(range(-15, 16, 5))
"""Of the planes, against the canonical axial one."""
FRONT_MM: Final = 85.0
LOWEST_MM: Final = -24.0
"""A plane that is lower than this where the forehead ends meets orbits and nose."""
DIRECTIONS: Final = 360
BORDER_PIXELS: Final = 1.5
"""A head this close to the border of the field may go on beyond it."""
QUANTILE: Final = 2e-4
"""Share of intracranial voxels at either end of an axis that may be stray."""


@dataclass(frozen=True, slots=True)
class OuterCircumference:
    """Circumference of the outer head surface, and its SD.

    Attributes
    ----------
    cm, error_cm
        Measured, and the SD of a measurement.
    height_mm, pitch_deg
        Where the plane lies: above the middle of the regions' centroids, and its turn about the
        left-right axis (positive: the front is lower), both against the canonical axial plane.
    """

    cm: float
    error_cm: float
    height_mm: float
    pitch_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """HU around the largest plane, upright; axes (S, P, L); and which voxels may be head.

    `middle` is the index of the middle of the regions' centroids.
    """

    hu: NDArray[np.float32]
    head: NDArray[np.bool_]
    spacing_mm: float

    @property
    def middle(self) -> NDArray[np.float64]:
        """Index of the block's centre."""
        return (np.array(self.hu.shape) - 1) / 2


@dataclass(frozen=True, slots=True)
class _Plane:
    height_mm: float
    pitch_deg: float


def measure_circumference(image: Image, pose: Pose | None) -> OuterCircumference | Reason:
    """Measure the head circumference.

    Parameters
    ----------
    image
        HU on any grid.
    pose
        How the head lies; None where that is not known.

    Returns
    -------
    OuterCircumference or Reason
        Why it cannot be measured: pose unknown, or the surface not wholly in view.
    """
    if pose is None:
        return Reason(Code.HEAD_POSE_UNKNOWN, Code.HEAD_POSE_UNKNOWN.meaning)
    block = _block(image, pose)
    coarse = _coarser(block)
    best = max(_planes(pose.scale), key=lambda plane: _perimeter_mm(coarse, plane))
    best = max(_near(best), key=lambda plane: _perimeter_mm(block, plane))
    outline = _outline(block, best)
    if len(outline) < 3 or not _in_view(_to_patient(outline, block, best, pose), image):
        return Reason(Code.HEAD_NOT_IN_VIEW, Code.HEAD_NOT_IN_VIEW.meaning)
    return OuterCircumference(
        _perimeter_mm(block, best) / 10.0, ASSUMED_SD_CM, best.height_mm, best.pitch_deg
    )


def cephalic_index(labels: LabelArray, pose: Pose) -> float | None:
    """Return the intracranial width in percent of its length, in the pose's axes.

    Parameters
    ----------
    labels
        Whatever is not 0 is intracranial; on any grid.
    pose
        How the head lies.

    Returns
    -------
    None where nothing is labelled.
    """
    across, along = pose.rotation[:, 0], pose.rotation[:, 1]
    places = [
        (rows * affine[:3, 1, None] + columns * affine[:3, 2, None]).T + affine[:3, 3]
        for index in range(0, labels.grid.shape[0], COARSE)
        for affine in [labels.grid.plane_affine(index)]
        for rows, columns in [np.nonzero(labels.codes[index])]
    ]
    inside = np.concatenate(places)
    if len(inside) == 0:
        return None
    ends = np.quantile(inside @ np.stack([across, along], axis=1), (QUANTILE, 1 - QUANTILE), axis=0)
    width_mm, length_mm = ends[1] - ends[0]
    return float(100.0 * width_mm / length_mm) if length_mm > 0 else None


def _block(image: Image, pose: Pose) -> _Block:
    """Sample the head upright, and tell what in it is head."""
    half = np.ceil(np.array(HALF_FIELD_MM) * pose.scale / FINE_MM / COARSE)
    shape = (2 * COARSE * half).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = pose.rotation[:, ::-1] * FINE_MM
    affine[:3, 3] = np.array(pose.middle_lps_mm) - affine[:3, :3] @ ((shape - 1) / 2)
    hu = sampled(image, Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine), -1024.0)
    return _Block(hu, _head(hu), FINE_MM)


def _head(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Open what is denser than air, keep its largest part, and let its edge in."""
    solid = _mean_of_blocks(hu) > SKIN_HU
    spacing_mm = FINE_MM * COARSE
    core = ndimage.distance_transform_edt(solid) * spacing_mm > HAIR_MM
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(hu.shape, dtype=bool)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    # Half a coarse voxel more than was eroded, so that the edge itself is inside.
    reach_mm = HAIR_MM + spacing_mm
    opened = ndimage.distance_transform_edt(~largest) * spacing_mm < reach_mm
    return np.repeat(np.repeat(np.repeat(opened, COARSE, 0), COARSE, 1), COARSE, 2)


def _mean_of_blocks(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    s, p, l = (size // COARSE for size in hu.shape)  # noqa: E741 (the axes' names)
    blocks = hu.reshape(s, COARSE, p, COARSE, l, COARSE)
    return np.asarray(blocks.mean(axis=(1, 3, 5)))


def _coarser(block: _Block) -> _Block:
    head = block.head[::COARSE, ::COARSE, ::COARSE]
    return _Block(_mean_of_blocks(block.hu), head, block.spacing_mm * COARSE)


def _planes(scale: float) -> Iterator[_Plane]:
    """Give the planes that a tape might lie in: above the orbits, not far from axial."""
    for pitch_deg in PITCHES_DEG:
        drop_mm = FRONT_MM * float(np.tan(np.radians(pitch_deg)))
        for height_mm in HEIGHTS_MM:
            if height_mm - drop_mm >= LOWEST_MM:
                yield _Plane(height_mm * scale, float(pitch_deg))


def _near(plane: _Plane) -> Iterator[_Plane]:
    for height_mm in (-2.5, 0.0, 2.5):
        for pitch_deg in (-2.5, 0.0, 2.5):
            yield _Plane(plane.height_mm + height_mm, plane.pitch_deg + pitch_deg)


def _perimeter_mm(block: _Block, plane: _Plane) -> float:
    """Return the length of the convex outline: the integral of its support (Cauchy)."""
    skin, bone = (_support_mm(points) for points in _edges(block, plane))
    if skin is None:
        return 0.0
    if bone is not None:
        # Where a holder or an ear lies against the head, its usual scalp is taken instead.
        scalp_mm = skin - bone
        usual_mm = float(np.median(scalp_mm))
        skin = bone + np.where(scalp_mm > usual_mm + PRESSED_MM, usual_mm, scalp_mm)
    return float(2.0 * np.pi * skin.mean())


def _outline(block: _Block, plane: _Plane) -> NDArray[np.float64]:
    """Return the places (P, L) in mm, from the middle, that span the convex outline."""
    skin = _edges(block, plane)[0]
    if len(skin) == 0:
        return skin
    return np.asarray(skin[np.unique(np.argmax(skin @ _directions(), axis=0))])


def _edges(block: _Block, plane: _Plane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where skin and bone end in a plane, (P, L) in mm within the plane."""
    hu, head = _cut(block, plane)
    centre_mm = (np.array(hu.shape) - 1) / 2 * block.spacing_mm
    masked = np.where(head, hu, -1024.0)
    return (
        _crossings(masked, SKIN_HU) * block.spacing_mm - centre_mm,
        _crossings(masked, BONE_HU) * block.spacing_mm - centre_mm,
    )


def _cut(block: _Block, plane: _Plane) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Sample HU and head on one plane; its rows lie in the plane, its columns along L."""
    angle = np.radians(plane.pitch_deg)
    rows, columns = block.hu.shape[1:]
    along_mm = (np.arange(rows) - (rows - 1) / 2) * block.spacing_mm
    # Positive pitch: the front (towards smaller P) is lower.
    up_mm = plane.height_mm * np.cos(angle) + along_mm * np.sin(angle)
    back_mm = along_mm * np.cos(angle) - plane.height_mm * np.sin(angle)
    at = np.stack([up_mm, back_mm]) / block.spacing_mm + block.middle[:2, None]
    low = np.floor(at[0]).astype(int).clip(0, block.hu.shape[0] - 2)
    before = np.floor(at[1]).astype(int).clip(0, rows - 2)
    u, v = (at[0] - low).clip(0, 1)[:, None], (at[1] - before).clip(0, 1)[:, None]
    hu = (
        (1 - u) * (1 - v) * block.hu[low, before]
        + u * (1 - v) * block.hu[low + 1, before]
        + (1 - u) * v * block.hu[low, before + 1]
        + u * v * block.hu[low + 1, before + 1]
    )
    nearest = (low + (u[:, 0] > 0.5), before + (v[:, 0] > 0.5))
    return hu.astype(np.float32), block.head[nearest]


def _crossings(hu: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return the places, in pixels, where neighbours in rows or columns pass a level."""
    found = []
    for axis in (0, 1):
        values = np.moveaxis(hu, axis, 0)
        above = values > level
        first, other = np.nonzero(above[1:] != above[:-1])
        here, there = values[first, other], values[first + 1, other]
        places = np.stack([first + (here - level) / (here - there), other], axis=1)
        found.append(places if axis == 0 else places[:, ::-1])
    return np.concatenate(found)


def _support_mm(points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return how far points reach in each direction."""
    return None if len(points) == 0 else np.asarray((points @ _directions()).max(axis=0))


def _directions() -> NDArray[np.float64]:
    angles = 2.0 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    return np.stack([np.cos(angles), np.sin(angles)])


def _to_patient(
    outline: NDArray[np.float64], block: _Block, plane: _Plane, pose: Pose
) -> NDArray[np.float64]:
    angle = np.radians(plane.pitch_deg)
    along, left = outline.T
    up = plane.height_mm * np.cos(angle) + along * np.sin(angle)
    back = along * np.cos(angle) - plane.height_mm * np.sin(angle)
    return np.asarray(
        np.stack([left, back, up], axis=1) @ pose.rotation.T + np.array(pose.middle_lps_mm)
    )


def _in_view(places_lps_mm: NDArray[np.float64], image: Image) -> bool:
    """Tell whether places lie clear of the borders of the field, a round one included."""
    index = _indices(places_lps_mm, image.grid)
    slices, rows, columns = image.grid.shape
    if index[:, 0].min() < 0 or index[:, 0].max() > slices - 1:
        return False
    ends = np.array([rows, columns]) - 1
    depth = np.minimum(index[:, 1:], ends - index[:, 1:]).min()
    if _is_round(image):
        radius = np.linalg.norm(index[:, 1:] - ends / 2, axis=1).max()
        depth = min(depth, ends.min() / 2 - radius)
    return bool(depth >= BORDER_PIXELS)


def _is_round(image: Image) -> bool:
    """Tell whether padding fills the corners, and something else the circle within."""
    _, rows, columns = image.grid.shape
    corners = image.hu[:, :: rows - 1, :: columns - 1]
    if corners.max() != corners.min():
        return False
    around = _directions().T[:: DIRECTIONS // 60]
    middle = (np.array([rows, columns]) - 1) / 2
    ring = np.rint(middle + around * (middle.min() - 2 * BORDER_PIXELS)).astype(int)
    return bool((image.hu[:, ring[:, 0], ring[:, 1]] == corners.flat[0]).mean() < 0.5)


def _indices(places_lps_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return (slice, row, column); slices of an uneven stack as if they were even."""
    first, last = grid.plane_affine(0), grid.plane_affine(grid.shape[0] - 1)
    axes = first[:3, :3].copy()
    axes[:, 0] = (last[:3, 3] - first[:3, 3]) / (grid.shape[0] - 1)
    return np.asarray(np.linalg.solve(axes, (places_lps_mm - first[:3, 3]).T).T)
