"""The geometry that rules judge: a grid, and how thick its slices are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.attributes import number
from fontanelle.imaging.geometry import Geometry, Grid
from fontanelle.imaging.series import Series, grid_of, sorted_instances

MISSING_RATIO = 1.5
"""A step longer than both its neighbours by this much lacks a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A grid, and how thick its slices are.

    Attributes
    ----------
    grid
        Where the voxels lie.
    thickness_mm
        SliceThickness of each slice; None where it is not said of all.
    """

    grid: Grid
    thickness_mm: NDArray[np.float64] | None = None

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """Perpendicular distances between neighbouring slices, shape (slices - 1,)."""
        if isinstance(self.grid, Geometry):
            step_mm = abs(float(self.grid.slice_vector @ self.grid.normal_lps))
            return np.full(self.grid.shape[0] - 1, step_mm)
        return np.diff(self.grid.offsets_mm)

    @property
    def widths_mm(self) -> NDArray[np.float64]:
        """What each slice stands for along the normal, shape (slices,)."""
        return self.grid.plane_voxel_mm3 / float(np.prod(self.spacing_mm))

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distance of rows, of columns."""
        if isinstance(self.grid, Geometry):
            return self.grid.step_mm[1:]
        row_mm, column_mm = map(
            np.linalg.norm, (self.grid.row_step_lps_mm, self.grid.column_step_lps_mm)
        )
        return float(row_mm), float(column_mm)

    @property
    def extent_mm(self) -> float:
        """Length of the stack along the normal."""
        return float(self.widths_mm.sum())

    @property
    def thickest_mm(self) -> float:
        """Thickest slice; the median step counts too, as a missing slice is no thick one."""
        stated = self.steps_mm if self.thickness_mm is None else self.thickness_mm
        return max(float(stated.max()), float(np.median(self.steps_mm)))

    @property
    def travel_lps_mm(self) -> NDArray[np.float64]:
        """Way from the first slice to the last, shape (3,)."""
        first, last = (self.grid.plane_affine(at)[:3, 3] for at in (0, self.grid.shape[0] - 1))
        return np.asarray(last - first)

    @property
    def tilt_deg(self) -> float:
        """Angle between the direction of travel and the normal; 0 where there is no travel."""
        if self.grid.shape[0] < 2:
            return 0.0
        travel = self.travel_lps_mm
        cosine = float(travel @ self.grid.normal_lps) / float(np.linalg.norm(travel))
        return float(np.degrees(np.arccos(min(abs(cosine), 1.0))))


def stack_of(series: Series) -> Stack:
    """Return the stack of a series.

    Raises
    ------
    Refused
        As `series.grid_of`.
    """
    thicknesses = [number(i.header, "SliceThickness") for i in sorted_instances(series)]
    known = [thickness for thickness in thicknesses if thickness is not None and thickness > 0]
    complete = len(known) == len(thicknesses)
    return Stack(grid_of(series), np.asarray(known) if complete else None)


def missing_slices(steps_mm: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many slices each step lacks, shape of `steps_mm`.

    A step lacks slices where it is much longer than the ones on either side. Where a stack changes
    from thin to thick slices, the long step has a long neighbour: uneven, but nothing is missing.
    """
    if len(steps_mm) < 2:
        return np.zeros(len(steps_mm), dtype=np.int64)
    before = np.concatenate((steps_mm[1:2], steps_mm[:-1]))
    after = np.concatenate((steps_mm[1:], steps_mm[-2:-1]))
    lacking = steps_mm > MISSING_RATIO * np.maximum(before, after)
    slices = np.rint(2 * steps_mm / (before + after)).astype(np.int64) - 1
    return np.where(lacking, np.maximum(slices, 1), 0)
