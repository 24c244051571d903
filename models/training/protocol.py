"""Which anatomy belongs to which region: label protocols as data.

The numbering of the label maps (structures 0-38, tissues 0-19) is that of
`label_maps/README.md`. A protocol maps it to the classes that a network learns: the parenchyma
of each region, the ventricles, and the CSF outside them. docs/protocols.md gives the reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BACKGROUND = 0
VENTRICLES = 11
OUTER_CSF = 12

# Tissue 3 is CSF outside the ventricles; 14 and 15 are vessels, 37 the optic chiasm.
_OUTER_TISSUES = (3, 14, 15)
_CEREBELLUM, _BRAINSTEM, _FOURTH_VENTRICLE, _CHIASM, _CORD = 9, 10, 36, 37, 38
_THALAMI, _VENTRAL_DIENCEPHALA = (21, 22), (31, 32)
_LOBES_OF_SIDE = ((1, 3, 5, 7), (2, 4, 6, 8))

# Label maps carry CSF down the spinal canal and along the optic nerves; what lies farther from
# the brain than this is not intracranial.
OUTER_CSF_REACH_MM = 12.0

# Lobar borders of the label maps are jagged by registration; borders are shifted between
# distances smoothed over this.
_SMOOTHING_MM = 3.0
_COARSE = 2


@dataclass(frozen=True, slots=True)
class Planes:
    """Axial planes of the label maps at which structures end, mm above their landmark.

    Attributes
    ----------
    brainstem_floor_mm
        Above the lowest point of the fourth ventricle (obex): brainstem below it is cord.
    peduncles_top_mm
        Above the lowest point of the thalamus: ventral diencephalon above it is deep grey.
    csf_floor_mm
        Above the lowest point of the cerebellum: outer CSF below it is not intracranial.
    """

    brainstem_floor_mm: float
    peduncles_top_mm: float
    csf_floor_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """A named assignment of structures to classes.

    Attributes
    ----------
    name
        As written into the package and the reference.
    structures
        Class of each structure number of the label maps; what is absent is background.
    lobe_growth_mm
        By how much each lobe (structures 1-8) grows against the others of its side: a power
        diagram over distances from the lobes of the label map. Empty: borders as drawn.
    planes
        Where brainstem and CSF end; None: as drawn.
    """

    name: str
    structures: Mapping[int, int]
    lobe_growth_mm: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))
    planes: Planes | None = None


def _growth(frontal: float, parietal: float, occipital: float, temporal: float) -> dict[int, float]:
    """Return the growth of each lobe, the same on both sides: a mirrored head stays mirrored."""
    pairs = zip((1, 3, 5, 7), (frontal, parietal, occipital, temporal), strict=True)
    return {code: value for left, value in pairs for code in (left, left + 1)}


_VENTRICULAR = dict.fromkeys((33, 34, 35, 36), VENTRICLES)
_OWN = {code: code for code in range(1, 11)}

# Anatomy as a neuroanatomist would sort it: insula, cingulate and deep grey belong to no lobe,
# but every voxel of the brain needs an owner, so each goes to the lobe that it touches most:
# anterior cingulate to frontal, posterior cingulate to parietal, insula and amygdala and
# hippocampus to temporal, deep grey to frontal.
ANATOMICAL = Protocol(
    "anatomical",
    _OWN
    | {11: 7, 12: 8, 13: 1, 14: 2, 15: 3, 16: 4, 17: 7, 18: 8, 19: 7, 20: 8}
    | dict.fromkeys((21, 23, 25, 27, 29), 1)
    | dict.fromkeys((22, 24, 26, 28, 30), 2)
    | dict.fromkeys(_VENTRAL_DIENCEPHALA, 10)
    | _VENTRICULAR,
)

# Hypothesis B of Xi's frontal share: frontal takes insula, cingulate, deep grey; temporal takes
# hippocampus and amygdala; the brainstem takes the cerebral peduncles. Borders and planes were
# fitted by `models.training.matching` on heads that are not held out.
XI2025_MATCHED = Protocol(
    "xi2025-matched",
    _OWN
    | dict.fromkeys((11, 13, 15, 21, 23, 25, 27, 29), 1)
    | dict.fromkeys((12, 14, 16, 22, 24, 26, 28, 30), 2)
    | {17: 7, 18: 8, 19: 7, 20: 8}
    | dict.fromkeys(_VENTRAL_DIENCEPHALA, 10)
    | _VENTRICULAR,
    _growth(frontal=-4.3, parietal=-4.2, occipital=5.0, temporal=3.5),
    Planes(brainstem_floor_mm=0.0, peduncles_top_mm=2.0, csf_floor_mm=-2.0),
)

PROTOCOLS = {protocol.name: protocol for protocol in (ANATOMICAL, XI2025_MATCHED)}

# Classes that change places when a head is mirrored.
MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 9, 10, 11, 12], dtype=np.uint8)


def classes(
    structures: NDArray[np.uint8],
    tissues: NDArray[np.uint8],
    protocol: Protocol,
    spacing_mm: float = 1.0,
) -> NDArray[np.uint8]:
    """Return the class of each voxel of a label map.

    Parameters
    ----------
    structures, tissues
        Same shape, numbering of the label maps; axes (slice, row, column) growing towards
        (S, P, L).
    protocol
        The assignment.
    spacing_mm
        Isotropic voxel size.
    """
    structures = _shifted(structures, protocol.lobe_growth_mm, spacing_mm)
    structures = _ended(structures, protocol.planes, spacing_mm)
    table = np.zeros(256, dtype=np.uint8)
    for structure, region in protocol.structures.items():
        table[structure] = region
    result = table[structures]
    brain = result > 0
    outer = np.isin(tissues, _OUTER_TISSUES) | (structures == _CHIASM)
    outer &= ~brain & (structures != _CORD) & _near(brain, OUTER_CSF_REACH_MM / spacing_mm)
    if protocol.planes is not None:
        floor = _lowest(structures, (_CEREBELLUM,), protocol.planes.csf_floor_mm / spacing_mm)
        outer[: max(0, floor)] = False
    result[outer] = OUTER_CSF
    return result


def _near(mask: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Return what lies within `reach` voxels of a mask."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    near = np.zeros_like(mask)
    if found:
        margin = int(reach) + 1
        box = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in found[0])
        near[box] = np.asarray(ndimage.distance_transform_edt(~mask[box])) <= reach
    return near


def _lowest(structures: NDArray[np.uint8], wanted: tuple[int, ...], above: float) -> int:
    """Return the slice `above` voxels above the lowest one of some structures; 0 without them."""
    found = np.flatnonzero(np.isin(structures, wanted).any(axis=(1, 2)))
    return round(found[0] + above) if found.size else 0


def _ended(
    structures: NDArray[np.uint8], planes: Planes | None, spacing_mm: float
) -> NDArray[np.uint8]:
    """Cut the brainstem at its floor, and give deep grey what lies above the peduncles."""
    if planes is None:
        return structures
    result = structures.copy()
    floor = _lowest(structures, (_FOURTH_VENTRICLE,), planes.brainstem_floor_mm / spacing_mm)
    below = result[: max(0, floor)]
    below[below == _BRAINSTEM] = _CORD
    top = _lowest(structures, _THALAMI, planes.peduncles_top_mm / spacing_mm)
    above = result[top + 1 :]
    for diencephalon, thalamus in zip(_VENTRAL_DIENCEPHALA, _THALAMI, strict=True):
        above[above == diencephalon] = thalamus
    return result


def _shifted(
    structures: NDArray[np.uint8], growth_mm: Mapping[int, float], spacing_mm: float
) -> NDArray[np.uint8]:
    """Move the borders between the lobes of each side; what is no lobe stays."""
    found = ndimage.find_objects((np.isin(structures, _LOBES_OF_SIDE)).astype(np.uint8))
    if not growth_mm or not found:
        return structures
    box = found[0]
    result = structures.copy()
    inner = result[box]
    for lobes in _LOBES_OF_SIDE:
        nearest = _nearest_lobe(structures[box], lobes, growth_mm, spacing_mm)
        side = np.isin(inner, lobes)
        inner[side] = nearest[side]
    return result


def _nearest_lobe(
    structures: NDArray[np.uint8],
    lobes: tuple[int, ...],
    growth_mm: Mapping[int, float],
    spacing_mm: float,
) -> NDArray[np.uint8]:
    """Return the lobe whose border is nearest once it has grown."""
    nearest = np.full(structures.shape, lobes[0], dtype=np.uint8)
    least_mm = np.full(structures.shape, np.inf, dtype=np.float32)
    for lobe in lobes:
        distance_mm = _smooth_distance_mm(structures == lobe, spacing_mm) - growth_mm[lobe]
        nearer = distance_mm < least_mm
        nearest[nearer] = lobe
        least_mm[nearer] = distance_mm[nearer]
    return nearest


def _smooth_distance_mm(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Return the signed distance from a mask (negative inside), smoothed, by a coarser grid."""
    padded = np.pad(mask, [(0, -side % _COARSE) for side in mask.shape]).astype(np.float32)
    s, r, c = (side // _COARSE for side in padded.shape)
    share = padded.reshape(s, _COARSE, r, _COARSE, c, _COARSE).mean(axis=(1, 3, 5))
    inside = share >= 0.5
    signed = np.asarray(ndimage.distance_transform_edt(~inside)) - np.asarray(
        ndimage.distance_transform_edt(inside)
    )
    coarse_mm = _COARSE * spacing_mm
    smooth = ndimage.gaussian_filter(signed.astype(np.float32), _SMOOTHING_MM / coarse_mm)
    for axis in range(3):
        smooth = _doubled(smooth, axis)
    return np.asarray(smooth[tuple(slice(side) for side in mask.shape)] * coarse_mm)


def _doubled(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Interpolate linearly to half the step along one axis; voxels are halved where they lie."""
    before, last = values.take([0], axis), values.take([-1], axis)
    wide = np.concatenate((before, values, last), axis=axis)
    here = np.moveaxis(wide, axis, 0)
    lower = 0.75 * here[1:-1] + 0.25 * here[:-2]
    upper = 0.75 * here[1:-1] + 0.25 * here[2:]
    both = np.stack((lower, upper), axis=1).reshape(-1, *here.shape[1:])
    return np.ascontiguousarray(np.moveaxis(both, 0, axis))
