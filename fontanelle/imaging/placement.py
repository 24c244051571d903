"""Where the regions of a head lie, free of place and size, and the turn that fits two heads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.regions import RegionSet

Places = dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the regions of a head lie, as a package knows it from its training heads.

    Attributes
    ----------
    centroids
        Region to its centroid (L, P, S) relative to the mean of all centroids, divided by the
        cube root of the intracranial volume in mm3: free of place and size.
    tolerance
        Largest distance from the expected place after a rigid fit, in the same unit.
    """

    centroids: Mapping[str, tuple[float, float, float]]
    tolerance: float


def centroids(labels: LabelArray, intracranial_ml: float, region_set: RegionSet) -> Places:
    """Return each region's centroid in the unit of `Placement`; absent regions are left out.

    `labels` must lie on a regular grid.
    """
    places = centroids_lps_mm(labels, region_set)
    if not places:
        return {}
    middle = np.mean(list(places.values()), axis=0)
    scale = (intracranial_ml * 1000.0) ** (1 / 3)
    return {name: _triple((place - middle) / scale) for name, place in places.items()}


def centroids_lps_mm(labels: LabelArray, region_set: RegionSet) -> dict[str, NDArray[np.float64]]:
    """Return each region's centroid in the patient, mm; absent regions are left out."""
    codes = labels.codes
    voxels = np.bincount(codes.ravel(), minlength=256)
    sums = [_sums_along(codes, axis) for axis in range(3)]
    affine = labels.grid.plane_affine(0)
    places: dict[str, NDArray[np.float64]] = {}
    for region in region_set.regions:
        if voxels[region.code]:
            index = [along[region.code] / voxels[region.code] for along in sums]
            places[region.name] = affine[:3] @ np.array([*index, 1.0])
    return places


def _sums_along(codes: NDArray[np.uint8], axis: int) -> NDArray[np.float64]:
    """Return the sum of the indices along an axis for each of 256 codes."""
    layers = np.moveaxis(codes, axis, 0)
    counts = np.array([np.bincount(layer.ravel(), minlength=256) for layer in layers])
    return np.asarray(np.arange(len(layers)) @ counts, dtype=np.float64)


def _triple(place: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = place.tolist()
    return x, y, z


def rigid_fit(
    expected: NDArray[np.float64], found: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Return the proper rotation that fits best, and whether a mirrored one would fit better.

    Kabsch 1976, doi 10.1107/S0567739476001873; both sets are centred.
    """
    u, _, vt = np.linalg.svd(found.T @ expected)
    sign = float(np.sign(np.linalg.det(u @ vt)))
    return u @ np.diag([1.0, 1.0, sign]) @ vt, sign < 0
