"""The preprocessing of Xi et al. 2025, beside the HU window that is served.

They resample to 1 mm linearly, equalise the histogram adaptively and strip the skull by thresholds
(SimpleITK); neither parameters nor order of clipping are given. Ours: the HU window first, without
which bone takes the whole histogram, then ITK's own defaults. Its price stands in
`benchmarks/preprocessing.py`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from numpy.typing import NDArray

from fontanelle.imaging.window import windowed

RADIUS_MM: Final = 5.0
"""Of the neighbourhood: at their 1 mm ITK's default, 11 x 11 x 11 voxels."""
ALPHA: Final = 0.3
"""ITK's default: 0 is classical equalisation, 1 unsharp masking."""
BETA: Final = 0.3
"""ITK's default: 1 leaves the image as it is."""
BRAIN_HU: Final = (-15.0, 100.0)
"""CSF with noise to fresh blood; bone and fat lie outside."""
OPENING_MM: Final = 4.0
"""Eaten off the brain density before its largest piece is taken, and given back: cuts it from the
soft tissue outside at foramina, orbits and sutures."""
CLOSING_MM: Final = 6.0
"""Gaps of the stripped brain up to twice this width are filled: noise, vessels, air of a shunt."""
SMOOTHING_VOXELS: Final = 0.7
"""Before the thresholds: one voxel's noise must not tear the brain apart."""
BONE_HU: Final = 200.0
"""What is brighter never belongs to the brain."""


def equalised(
    image_hu: NDArray[np.float32], low_hu: float, high_hu: float, spacing_mm: float
) -> NDArray[np.float32]:
    """Strip the skull and equalise what is left, scaled to -1..1; -1 outside the brain.

    Parameters
    ----------
    image_hu
        HU (slice, row, column).
    low_hu, high_hu
        Ends of the window.
    spacing_mm
        Isotropic voxel.
    """
    brain = brain_mask(image_hu, spacing_mm)
    result = np.full(image_hu.shape, -1.0, dtype=np.float32)
    if not brain.any():
        return result
    radius = max(1, round(RADIUS_MM / spacing_mm))
    # The neighbourhood of a voxel ends there: what lies farther is not computed.
    box = _box(brain, radius)
    inside = _adaptive(windowed(image_hu[box].astype(np.float32), low_hu, high_hu), radius)
    result[box] = np.where(brain[box], inside.clip(-1.0, 1.0), -1.0)
    return result


def brain_mask(image_hu: NDArray[np.float32], spacing_mm: float) -> NDArray[np.bool_]:
    """Return the largest piece of brain density that thresholds and an opening leave.

    Parameters
    ----------
    image_hu
        HU (slice, row, column).
    spacing_mm
        Isotropic voxel.
    """
    smooth = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(image_hu), SMOOTHING_VOXELS)
    density = sitk.BinaryThreshold(smooth, *BRAIN_HU)
    opening, closing = (max(1, round(mm / spacing_mm)) for mm in (OPENING_MM, CLOSING_MM))
    cores = sitk.ConnectedComponent(_ball(sitk.BinaryErode, density, opening))
    largest = sitk.RelabelComponent(cores, sortByObjectSize=True) == 1
    # Given back by no more than was there: the skull's inside stays the border.
    brain = sitk.And(_ball(sitk.BinaryDilate, largest, opening + 1), density)
    brain = sitk.BinaryFillhole(_ball(sitk.BinaryMorphologicalClosing, brain, closing))
    return np.asarray(sitk.GetArrayFromImage(brain), dtype=np.bool_) & (image_hu < BONE_HU)


def _ball(operation: Callable[..., sitk.Image], mask: sitk.Image, radius: int) -> sitk.Image:
    return operation(mask, [radius] * 3, sitk.sitkBall)


def _adaptive(image: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    # ITK takes the range from the image: two voxels hold it, so that no image has another.
    framed = np.pad(image, radius, constant_values=-1.0)
    framed[0, 0, 0] = 1.0
    equal = sitk.AdaptiveHistogramEqualization(
        sitk.GetImageFromArray(framed), [radius] * 3, ALPHA, BETA
    )
    inner = slice(radius, -radius)
    return np.asarray(sitk.GetArrayFromImage(equal)[inner, inner, inner])


def _box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice, slice]:
    found = np.argwhere(mask)
    low, high = found.min(axis=0) - margin, found.max(axis=0) + margin + 1
    first, second, third = (slice(max(0, int(a)), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third
