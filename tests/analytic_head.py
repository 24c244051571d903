"""A head made of ellipsoids: skull, brain, lobes and ventricles where formulas put them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Geometry, Grid, Image

AIR_HU, SKIN_HU, BONE_HU, BRAIN_HU = -1000.0, 20.0, 900.0, 32.0


@dataclass(frozen=True)
class AnalyticHead:
    """Centre and inner semi-axes in LPS mm; bone and skin follow outside."""

    center_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    semi_axes_mm: tuple[float, float, float] = (60.0, 75.0, 62.0)
    bone_mm: float = 4.0
    inside_hu: float = BRAIN_HU
    table: bool = False
    shoulders: bool = False

    @property
    def inside_ml(self) -> float:
        a, b, c = self.semi_axes_mm
        return 4 / 3 * np.pi * a * b * c / 1000.0

    def hu(self, lps_mm: NDArray[np.float64]) -> NDArray[np.float32]:
        """HU at places (..., 3)."""
        offset = lps_mm - np.asarray(self.center_lps_mm)
        left, back, up = np.moveaxis(offset, -1, 0)
        value = np.full(left.shape, AIR_HU, dtype=np.float32)
        axes = np.asarray(self.semi_axes_mm)
        if self.table:
            value[(back > axes[1] + 12) & (back < axes[1] + 24)] = 120.0
        if self.shoulders:
            trunk = (left / 170) ** 2 + (back / 90) ** 2 < 1
            value[trunk & (up < -axes[2] - 60)] = 45.0
            ribs = trunk & ((left / 155) ** 2 + (back / 78) ** 2 > 1) & (np.mod(up, 24) < 10)
            value[ribs & (up < -axes[2] - 60)] = 500.0
            neck = (left / 45) ** 2 + ((back - 5) / 45) ** 2 < 1
            value[neck & (up <= -axes[2]) & (up >= -axes[2] - 60)] = 45.0
        shells = ((self.bone_mm + 5.0, SKIN_HU), (self.bone_mm, BONE_HU), (0.0, self.inside_hu))
        for thickness, hu in shells:
            value[((offset / (axes + thickness)) ** 2).sum(axis=-1) < 1] = hu
        return value


def places(grid: Grid) -> NDArray[np.float64]:
    """LPS of every voxel, shape (slices, rows, columns, 3)."""
    slices, rows, columns = grid.shape
    index = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    planes = []
    for k in range(slices):
        affine = grid.plane_affine(k)
        planes.append(index @ affine[:3, 1:3].T + affine[:3, 3])
    return np.stack(planes)


def image_of(head: AnalyticHead, grid: Grid) -> Image:
    """Paint a head on any grid."""
    return Image(head.hu(places(grid)).astype(np.int16), grid)


def axial(shape: tuple[int, int, int], spacing_mm: float, *, top_mm: float = 0.0) -> Geometry:
    """Return an axial grid around the origin, shifted up by `top_mm`."""
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing_mm
    half = (np.array(shape) - 1) / 2 * spacing_mm
    affine[:3, 3] = (-half[2], -half[1], -half[0] + top_mm)
    affine[3, 3] = 1
    return Geometry(shape, affine)


def sheared(shape: tuple[int, int, int], spacing_mm: float, tilt_deg: float) -> Geometry:
    """Return a stack tilted about the left-right axis while the table moves along z."""
    angle = np.radians(tilt_deg)
    affine = np.zeros((4, 4))
    affine[:3, 2] = (spacing_mm, 0, 0)
    affine[:3, 1] = (0, spacing_mm * np.cos(angle), -spacing_mm * np.sin(angle))
    affine[:3, 0] = (0, 0, spacing_mm)
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[:3, 3] = -middle
    affine[3, 3] = 1
    return Geometry(shape, affine)
