"""Agreement of places: overlap, surfaces, and which neighbours were taken for each other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from fontanelle.imaging.geometry import Grid

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxels shared by truth and found, as shares 0 to 1.

    `specificity` counts what is intracranial in either of the two, not the air around the head:
    with that it would always be 1.
    """

    dice: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How much of a region was taken for another, per cent of its true volume."""

    region: str
    taken_for: str
    percent: float


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """From each surface voxel of one to the nearest surface voxel of the other, mm."""

    truth_to_found: NDArray[np.float64]
    found_to_truth: NDArray[np.float64]

    def dice(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces that lies within a tolerance of the other.

        Nikolov et al. 2021, doi 10.2196/26151; each surface voxel counts alike.
        """
        both = np.concatenate((self.truth_to_found, self.found_to_truth))
        return float((both <= tolerance_mm).mean()) if len(both) else float("nan")

    def hausdorff_95(self) -> float:
        """Return the larger of the two 95th percentiles, mm."""
        if not len(self.truth_to_found):
            return float("nan")
        ends = (np.percentile(one, 95) for one in (self.truth_to_found, self.found_to_truth))
        return float(max(ends))


def counts(truth: NDArray[np.uint8], found: NDArray[np.uint8], size: int) -> NDArray[np.int64]:
    """Count voxels by true and found code, shape (size, size); code 0 is background."""
    pairs = truth.astype(np.int64) * size + found
    return np.asarray(np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size))


def overlap(counted: NDArray[np.int64], code: int) -> Overlap:
    """Return the overlap of one code, from `counts`."""
    both = int(counted[code, code])
    true, seen = int(counted[code].sum()), int(counted[:, code].sum())
    inside = int(counted.sum() - counted[0, 0])
    neither = inside - true - seen + both
    return Overlap(
        dice=2 * both / (true + seen) if true + seen else 1.0,
        sensitivity=both / true if true else float("nan"),
        specificity=neither / (inside - true) if inside > true else float("nan"),
    )


def confusions(
    counted: NDArray[np.int64], names: Mapping[int, str], least_percent: float = 1.0
) -> list[Confusion]:
    """Return which region was taken for which, the largest share first.

    Parameters
    ----------
    counted
        From `counts`.
    names
        Code to what it is called; others are left out. Code 0 is taken for, never taken.
    least_percent
        Smaller shares are left out.
    """
    found = []
    for row, region in names.items():
        total = int(counted[row].sum())
        if row == 0 or not total:
            continue
        for column, other in names.items():
            percent = 100.0 * int(counted[row, column]) / total
            if column != row and percent >= least_percent:
                found.append(Confusion(region, other, percent))
    return sorted(found, key=lambda one: -one.percent)


def surface_distances(truth: Mask, found: Mask, grid: Grid) -> SurfaceDistances:
    """Return the distances between two surfaces; empty where one of the two is."""
    points = [_surface_lps_mm(mask, grid) for mask in (truth, found)]
    if not (len(points[0]) and len(points[1])):
        return SurfaceDistances(np.zeros(0), np.zeros(0))
    there, _ = cKDTree(points[1]).query(points[0])
    back, _ = cKDTree(points[0]).query(points[1])
    return SurfaceDistances(np.asarray(there), np.asarray(back))


def _surface_lps_mm(mask: Mask, grid: Grid) -> NDArray[np.float64]:
    """Return the centres of the voxels that have a face outside the mask, shape (n, 3)."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return np.zeros((0, 3))
    box = boxes[0]
    inner = mask[box]
    surface = np.argwhere(inner & ~ndimage.binary_erosion(inner)) + [part.start for part in box]
    origins = np.stack([grid.plane_affine(index)[:3, 3] for index in range(grid.shape[0])])
    steps = grid.plane_affine(0)[:3, 1:3]
    return np.asarray(origins[surface[:, 0]] + surface[:, 1:] @ steps.T)
