"""One painted head laid over a CT: affine, then deformable, both coarse to fine. SimpleITK.

All images here lie along the patient's axes, so that SimpleITK's physical space is LPS in mm. A
transform leads from the CT to the template, as SimpleITK resamples.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from numpy.typing import NDArray

from fontanelle.imaging.geometry import Geometry
from models.phantom.head import turned

WINDOW_HU = (-20.0, 100.0)
"""Air, CSF, brain and bone stay four greys."""
BINS = 32
"""Of the joint histogram (Mattes et al. 2003, doi 10.1109/TMI.2003.809072)."""
SHRINK = (2, 1)
"""Steps in voxels at which the affine part is sought; coarser ones leave too few samples of a brain
for the joint histogram."""
SAMPLED = 0.5
"""Share of the voxels whose greys are compared there."""
SEED = 1
"""Of the choice of those voxels; without one every run has another outcome."""
STARTS_DEG = (
    *((pitch, 0.0, 0.0) for pitch in (-30.0, -15.0, 0.0, 15.0, 30.0)),
    *((0.0, roll, 0.0) for roll in (-20.0, 20.0)),
    *((0.0, 0.0, turn) for turn in (-20.0, 20.0)),
)
"""Turns about the left, posterior and superior axis from which the search may begin."""
AFFINE_STEPS = 120
DEMONS_STEPS = ((2, 60), (1, 40))
"""Shrink factor and iterations."""
UPDATE_SMOOTH_VOXELS = 1.5
"""Of each iteration's step. Most of the smoothing is here, as in the SyN of ANTs: it lets a bend
grow as large as it has to, where smoothing of the whole displacement holds it back."""
SMOOTH_VOXELS = 1.0
"""Of the displacement, after each iteration: gyri of two people do not match, lobes do. Without it
the field folds."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where the search begins: middles of both brains and how much larger the template's is."""

    fixed_lps_mm: tuple[float, float, float]
    moving_lps_mm: tuple[float, float, float]
    scale: float


def itk_image(array: NDArray[np.generic], grid: Geometry) -> sitk.Image:
    """Return an array whose axes grow towards (S, P, L) as an image in LPS mm."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.step_mm[::-1])
    image.SetOrigin(grid.affine_lps_mm[:3, 3].tolist())
    return image


def greys(hu: NDArray[np.int16] | NDArray[np.float32], grid: Geometry) -> sitk.Image:
    """Return what is compared: the brain window scaled to 0..1, less the finest noise."""
    low, high = WINDOW_HU
    scaled = (hu.astype(np.float32).clip(low, high) - low) / (high - low)
    smooth: sitk.Image = sitk.SmoothingRecursiveGaussian(
        itk_image(scaled, grid), 0.7 * grid.step_mm[0]
    )
    return smooth


def aligned(
    fixed: sitk.Image, mask: sitk.Image, moving: sitk.Image, start: Start
) -> sitk.Transform:
    """Return the transform from `fixed` to `moving`.

    Parameters
    ----------
    fixed
        Greys of the CT.
    mask
        uint8 on the same grid: the skull and what it holds. Table, holder and neck stay outside.
    moving
        Greys of the template.
    start
        Rough match of the two heads.
    """
    rough = _affine(fixed, mask, moving, start)
    # The last one is applied first.
    return sitk.CompositeTransform([rough, _deformable(fixed, mask, moving, rough)])


def mutual_information(
    fixed: sitk.Image, mask: sitk.Image, moving: sitk.Image, transform: sitk.Transform
) -> float:
    """Return the mutual information of the two under a transform, within the mask, in nats."""
    laid = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)
    method = _method(mask)
    method.SetInitialTransform(sitk.TranslationTransform(3))
    return -float(method.MetricEvaluate(fixed, laid))


def _affine(
    fixed: sitk.Image, mask: sitk.Image, moving: sitk.Image, start: Start
) -> sitk.AffineTransform:
    """Try several turns, keep the best, then move, turn, scale and shear."""
    tries = [_rough(start, angles) for angles in STARTS_DEG]
    best = max(tries, key=lambda one: mutual_information(fixed, mask, moving, one))
    method = _method(mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.01, AFFINE_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel((1.0, 0.5))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetInitialTransform(best, inPlace=True)
    method.Execute(fixed, moving)
    return best


def _rough(start: Start, angles_deg: tuple[float, float, float]) -> sitk.AffineTransform:
    transform = sitk.AffineTransform(3)
    transform.SetCenter(start.fixed_lps_mm)
    transform.SetMatrix((start.scale * turned(angles_deg)).ravel().tolist())
    offset = np.array(start.moving_lps_mm) - np.array(start.fixed_lps_mm)
    transform.SetTranslation(offset.tolist())
    return transform


def _method(mask: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _deformable(
    fixed: sitk.Image, mask: sitk.Image, moving: sitk.Image, rough: sitk.Transform
) -> sitk.DisplacementFieldTransform:
    """Bend the template by demons (Vercauteren et al. 2009, doi 10.1016/j.neuroimage.2008.10.040).

    The painted template has the CT's own HU, so that grey may be compared with grey.
    """
    within = sitk.Cast(mask, sitk.sitkFloat32)
    target = fixed * within
    laid = sitk.Resample(moving, fixed, rough, sitk.sitkLinear, 0.0) * within
    field: sitk.Image | None = None
    for shrink, steps in DEMONS_STEPS:
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(steps)
        demons.SetSmoothUpdateField(True)
        demons.SetUpdateFieldStandardDeviations(UPDATE_SMOOTH_VOXELS)
        demons.SetSmoothDisplacementField(True)
        demons.SetStandardDeviations(SMOOTH_VOXELS)
        small, small_laid = _shrunk(target, shrink), _shrunk(laid, shrink)
        if field is None:
            field = demons.Execute(small, small_laid)
        else:
            # The filter takes no field of another grid.
            field = demons.Execute(small, small_laid, sitk.Resample(field, small))
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def _shrunk(image: sitk.Image, factor: int) -> sitk.Image:
    if factor == 1:
        return image
    smooth = sitk.SmoothingRecursiveGaussian(image, 0.5 * factor * image.GetSpacing()[0])
    shrunk: sitk.Image = sitk.Shrink(smooth, [factor] * 3)
    return shrunk
