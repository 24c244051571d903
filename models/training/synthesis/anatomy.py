"""A label map with all that synthesis asks of it for every sample, in one array.

Three numbers of each voxel are packed into 32 bits, so that one look-up a voxel brings all:
its code, the code of the nearest parenchyma, and a distance. The distance is that to the surface
of the parenchyma within the brain's outline (positive inside parenchyma, negative in outer CSF),
and that to the intracranial space everywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.pose import Pose, find_pose
from fontanelle.imaging.quality import Placement, centroids, rigid_fit
from fontanelle.imaging.regions import RegionSet
from models.package import read_region_set
from models.training.heads import CANONICAL, Head
from models.training.protocol import BACKGROUND, MIRRORED, OUTER_CSF, VENTRICLES
from models.training.region_set import region_set_text

DISTANCE_STEP_MM = 1 / 64
_FARTHEST_MM = 250.0
_MARGIN_MM = 25
LEAST_TOLERANCE = 0.05
"""5 mm in a head of a litre: few heads stray less than those to come."""
_ROUNDS = 10
"""Of turning heads onto their mean; it no longer moves after a few."""


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One head ready to be sampled.

    Attributes
    ----------
    packed
        int32, flat: code, nearest parenchyma's code << 8, distance in 1/64 mm << 16.
    shape
        Of the head, (slice, row, column), 1 mm.
    class_of, tissue_of
        Of each code, int64.
    to_head
        Shape (3, 3): canonical mm (S, P, L) to voxels of the head, turn and size.
    middle
        Shape (3,): mean of the regions' centroids, in voxels.
    vault
        Slice above which the skull is vault.
    """

    packed: torch.Tensor
    shape: tuple[int, int, int]
    class_of: torch.Tensor
    tissue_of: torch.Tensor
    to_head: torch.Tensor
    middle: torch.Tensor
    vault: float

    def code_of(self, class_code: int, tissue: int) -> int:
        """Return the code of a class in a tissue; the class alone where that pair is absent."""
        both = (self.class_of == class_code) & (self.tissue_of == tissue)
        found = both if bool(both.any()) else self.class_of == class_code
        return int(found.nonzero()[0])


@cache
def region_set() -> RegionSet:
    """Return the region set of the packages trained here."""
    return read_region_set(region_set_text())


def placement(heads: Sequence[Head]) -> Placement:
    """Return the mean place of each region, and four times the worst stray.

    The first head's pose is the canonical one, but for what is not alike on both sides: the mean
    is that of the heads and their mirror images, so that a mirrored head has the mirrored pose.
    Both in the unit of `fontanelle.imaging.quality.Placement`.
    """
    regions = region_set()
    found = [centroids(_labels(head), head.intracranial_ml, regions) for head in heads]
    names = [region.name for region in regions.regions]
    places = np.array([[one[name] for name in names] for one in found])
    codes = [region.code for region in regions.regions]
    swapped = [codes.index(int(MIRRORED[code])) for code in codes]
    mean = _both_sides(places[0], swapped)
    for _ in range(_ROUNDS):
        places = np.array([one @ rigid_fit(mean, one)[0] for one in places])
        mean = _both_sides(places.mean(axis=0), swapped)
    stray = float(np.linalg.norm(places - mean, axis=2).max())
    named = {n: (float(x), float(y), float(z)) for n, (x, y, z) in zip(names, mean, strict=True)}
    return Placement(named, max(4.0 * stray, LEAST_TOLERANCE))


def _both_sides(places: NDArray[np.float64], swapped: list[int]) -> NDArray[np.float64]:
    """Return the mean of places (regions, LPS) and their mirror image, sides swapped."""
    return np.asarray((places + places[swapped] * np.array([-1.0, 1.0, 1.0])) / 2)


def _labels(head: Head) -> LabelArray:
    return LabelArray(head.classes, axis_aligned(head.codes.shape, 1.0, np.zeros(3)))


def prepared(head: Head, places: Placement) -> Anatomy:
    """Make a head ready."""
    pose = find_pose(_labels(head), head.intracranial_ml, region_set(), places, CANONICAL)
    if pose is None:
        raise ValueError(f"{head.name} lacks a region")
    labels = head.classes
    slices = np.flatnonzero((labels != BACKGROUND).any(axis=(1, 2)))
    return Anatomy(
        packed=torch.from_numpy(_packed(head, labels)),
        shape=(labels.shape[0], labels.shape[1], labels.shape[2]),
        class_of=torch.from_numpy(head.class_of).long(),
        tissue_of=torch.from_numpy(head.tissue_of).long(),
        to_head=torch.from_numpy(pose.rotation[::-1, ::-1].copy() * pose.scale).float(),
        middle=torch.tensor(pose.middle_lps_mm[::-1], dtype=torch.float32),
        vault=float(slices[0] + 0.42 * (slices[-1] - slices[0])),
    )


def _packed(head: Head, labels: NDArray[np.uint8]) -> NDArray[np.int32]:
    packed = (np.int32(_FARTHEST_MM / DISTANCE_STEP_MM) << 16) | head.codes.astype(np.int32)
    found = ndimage.find_objects((labels != BACKGROUND).astype(np.uint8))[0]
    box = tuple(slice(max(0, s.start - _MARGIN_MM), s.stop + _MARGIN_MM) for s in found)
    packed[box] = _packed_inside(head.codes[box], labels[box])
    return np.asarray(packed).reshape(-1)


def _packed_inside(codes: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.int32]:
    parenchyma = (labels != BACKGROUND) & (labels != OUTER_CSF) & (labels != VENTRICLES)
    outside_mm, nearest = ndimage.distance_transform_edt(~parenchyma, return_indices=True)
    # Ventricles do not wear the cortex off: the surface is where outer CSF or the skull begins.
    depth_mm = ndimage.distance_transform_edt(parenchyma | (labels == VENTRICLES))
    far_mm = ndimage.distance_transform_edt(labels == BACKGROUND)
    distance_mm = np.where(parenchyma, depth_mm, np.where(labels == OUTER_CSF, -outside_mm, far_mm))
    steps = (np.clip(distance_mm, -_FARTHEST_MM, _FARTHEST_MM) / DISTANCE_STEP_MM).astype(np.int32)
    near = codes[tuple(nearest)].astype(np.int32)
    return np.asarray((steps << 16) | (near << 8) | codes)


__all__ = ["DISTANCE_STEP_MM", "Anatomy", "Pose", "placement", "prepared", "region_set"]
