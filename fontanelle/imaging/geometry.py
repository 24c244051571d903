"""Where voxels lie: regular grids, uneven stacks of planes, and the arrays on them.

Array axes are (slice, row, column). Patient coordinates are LPS, in mm, at voxel centres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused

EVEN_TOLERANCE_MM = 0.11
"""A stack is even where no plane lies further than this from its place on the regular grid.

Positions written with one decimal, of slices every 0.625 mm for example, stay even.
"""
LINE_TOLERANCE_MM = 0.5
"""How far slice corners may lie from the straight line through them."""
DUPLICATE_MM = 0.01
"""Slices closer than this along the normal share a position."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A regular voxel grid, sheared grids of tilted gantries included.

    Attributes
    ----------
    shape
        Voxels along (slice, row, column).
    affine_lps_mm
        Shape (4, 4). Maps (slice, row, column, 1) at voxel centres to (L, P, S, 1) in mm.
    """

    shape: tuple[int, int, int]
    affine_lps_mm: NDArray[np.float64]

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel. The determinant is right for sheared grids too."""
        return float(abs(np.linalg.det(self.affine_lps_mm[:3, :3])))

    @property
    def step_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column); the slice one is slanted."""
        steps = np.linalg.norm(self.affine_lps_mm[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def normal_lps(self) -> NDArray[np.float64]:
        """Unit vector perpendicular to the planes, pointing the way slices are counted."""
        return _normal(self.affine_lps_mm[:3, 1], self.affine_lps_mm[:3, 2], self.slice_vector)

    @property
    def slice_vector(self) -> NDArray[np.float64]:
        """LPS step in mm from one slice to the next."""
        return np.asarray(self.affine_lps_mm[:3, 0])

    @property
    def plane_voxel_mm3(self) -> NDArray[np.float64]:
        """Volume of one voxel of each plane, shape (slices,)."""
        return np.full(self.shape[0], self.voxel_mm3)

    def plane_affine(self, index: int) -> NDArray[np.float64]:
        """Return the affine of one plane: (0, row, column, 1) to LPS mm."""
        affine = self.affine_lps_mm.copy()
        affine[:3, 3] += index * affine[:3, 0]
        return affine

    def to_patient(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map indices (..., 3) in (slice, row, column) to LPS mm."""
        place = index @ self.affine_lps_mm[:3, :3].T + self.affine_lps_mm[:3, 3]
        return np.asarray(place)


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Parallel planes with uneven steps: no grid, and not to be treated as one.

    Attributes
    ----------
    shape
        Voxels along (slice, row, column).
    row_step_lps_mm, column_step_lps_mm
        Shape (3,): LPS step in mm from one row, one column, to the next.
    origins_lps_mm
        Shape (slices, 3): centre of the first voxel of each plane, in order along the normal.
    """

    shape: tuple[int, int, int]
    row_step_lps_mm: NDArray[np.float64]
    column_step_lps_mm: NDArray[np.float64]
    origins_lps_mm: NDArray[np.float64]

    @property
    def normal_lps(self) -> NDArray[np.float64]:
        """Unit vector perpendicular to the planes, pointing the way they are counted."""
        travel = self.origins_lps_mm[-1] - self.origins_lps_mm[0]
        return _normal(self.row_step_lps_mm, self.column_step_lps_mm, travel)

    @property
    def offsets_mm(self) -> NDArray[np.float64]:
        """Distance of each plane from the first along the normal, shape (slices,)."""
        return np.asarray((self.origins_lps_mm - self.origins_lps_mm[0]) @ self.normal_lps)

    @property
    def widths_mm(self) -> NDArray[np.float64]:
        """Half the gap on either side of each plane; the outermost take their inner gap twice.

        SliceThickness would count overlapping slices twice and gaps not at all.
        """
        gaps = np.diff(self.offsets_mm)
        both_sides = np.concatenate((gaps[:1], gaps)) + np.concatenate((gaps, gaps[-1:]))
        return np.asarray(both_sides / 2)

    @property
    def plane_voxel_mm3(self) -> NDArray[np.float64]:
        """Volume of one voxel of each plane, shape (slices,)."""
        area = np.linalg.norm(np.cross(self.row_step_lps_mm, self.column_step_lps_mm))
        return np.asarray(area * self.widths_mm)

    def plane_affine(self, index: int) -> NDArray[np.float64]:
        """Return the affine of one plane: (0, row, column, 1) to LPS mm."""
        affine = np.eye(4)
        affine[:3, 0] = self.normal_lps
        affine[:3, 1] = self.row_step_lps_mm
        affine[:3, 2] = self.column_step_lps_mm
        affine[:3, 3] = self.origins_lps_mm[index]
        return affine


Grid = Geometry | Planes


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Voxels in HU, int16 or float32 of shape `grid.shape`, read-only."""

    hu: NDArray[np.int16] | NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        self.hu.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class LabelArray:
    """Codes of a region set, uint8 of shape `grid.shape`, read-only."""

    codes: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        self.codes.flags.writeable = False


def stacking_order(
    positions_lps_mm: Sequence[Sequence[float]], orientation: Sequence[float]
) -> list[int]:
    """Return the order of the slices along rows x columns; InstanceNumber is never a key.

    Parameters
    ----------
    positions_lps_mm
        ImagePositionPatient of each slice.
    orientation
        ImageOrientationPatient, six numbers, the same for all.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    return [int(i) for i in np.argsort(np.asarray(positions_lps_mm) @ normal, kind="stable")]


def stack(
    positions_lps_mm: Sequence[Sequence[float]],
    orientation: Sequence[float],
    pixel_spacing_mm: Sequence[float],
    rows_columns: tuple[int, int],
) -> Grid:
    """Build the grid of slices that are already in `stacking_order`.

    Parameters
    ----------
    positions_lps_mm
        ImagePositionPatient of each slice.
    orientation
        ImageOrientationPatient: direction of a row (along columns), then of a column.
    pixel_spacing_mm
        PixelSpacing. PS3.3 C.7.6.2.1.1: distance of rows, then of columns.
    rows_columns
        Matrix size.

    Returns
    -------
    Geometry where steps are even, sheared or not; Planes where they are not.

    Raises
    ------
    Refused
        Fewer than two slices, a shared position, or positions that leave one straight line.
    """
    origins = np.asarray(positions_lps_mm, dtype=np.float64)
    if len(origins) < 2:
        raise Refused(Code.COVERAGE, "One slice is not a stack.")
    along_row, along_column = np.asarray(orientation[:3]), np.asarray(orientation[3:])
    row_step = along_column * pixel_spacing_mm[0]
    column_step = along_row * pixel_spacing_mm[1]
    normal = np.cross(along_row, along_column)
    gaps = np.diff(origins @ normal)
    if gaps.min() < DUPLICATE_MM:
        raise Refused(
            Code.POSITION_DUPLICATE,
            f"{int((gaps < DUPLICATE_MM).sum()) + 1} slices share a position.",
        )
    shape = (len(origins), *rows_columns)
    _require_straight(origins, origins @ normal)
    if not _is_even(origins @ normal):
        return Planes(shape, row_step, column_step, origins)
    affine = np.eye(4)
    affine[:3, 0] = (origins[-1] - origins[0]) / (len(origins) - 1)
    affine[:3, 1] = row_step
    affine[:3, 2] = column_step
    affine[:3, 3] = origins[0]
    return Geometry(shape, affine)


def _require_straight(origins: NDArray[np.float64], offsets_mm: NDArray[np.float64]) -> None:
    share = (offsets_mm - offsets_mm[0]) / (offsets_mm[-1] - offsets_mm[0])
    line = origins[0] + share[:, None] * (origins[-1] - origins[0])
    stray_mm = float(np.linalg.norm(origins - line, axis=1).max())
    if stray_mm > LINE_TOLERANCE_MM:
        raise Refused(
            Code.POSITION_IRREGULAR,
            f"Slice positions leave a straight line by up to {stray_mm:.1f} mm.",
        )


def _is_even(offsets_mm: NDArray[np.float64]) -> bool:
    regular_mm = np.linspace(offsets_mm[0], offsets_mm[-1], len(offsets_mm))
    return bool(np.abs(offsets_mm - regular_mm).max() < EVEN_TOLERANCE_MM)


def _normal(
    row_step: NDArray[np.float64], column_step: NDArray[np.float64], travel: NDArray[np.float64]
) -> NDArray[np.float64]:
    normal = np.cross(column_step, row_step)
    normal = normal / np.linalg.norm(normal)
    return np.asarray(normal if normal @ travel > 0 else -normal)
