"""Admission rules of pixels: grey values that can be read as HU, and how they were made."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import HTJ2K, JPEG2000, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from fontanelle.errors import Code
from fontanelle.imaging.attributes import element, first_text, number, texts, unsigned
from fontanelle.imaging.geometry import Image
from fontanelle.imaging.kernels import Sharpness, kernel_names, sharpness_of_kernel
from fontanelle.imaging.rules.rule import (
    ACCEPTED,
    LIMITED,
    REJECTED,
    Outcome,
    Rule,
    accepted,
    headers,
    limited,
    of_instances,
    rejected,
    rule,
)
from fontanelle.imaging.series import Series

BITS_STORED = (8, 16)
"""CT images hold 12 to 16 bits; 8 is the least from which HU could have been kept."""
LOSSY_SYNTAXES = frozenset(
    (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K)
)
"""What may lose; the last three can be lossless, but do not say so."""
NO_CONTRAST = frozenset(("NO", "NONE"))
"""What some scanners write as agent where there was none; others write zeros."""
CONTRAST_ATTRIBUTES = (
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "ContrastBolusRoute",
    "ContrastBolusStartTime",
    "ContrastBolusTotalDose",
    "ContrastBolusIngredientConcentration",
)
"""Each may be the only one that is filled in (PS3.3 C.7.6.4)."""
AIR_HU = (-1100, -900)
"""Air, and padding, which is read as air."""
AIR_SHARE = 0.01
"""Least share of air among the voxels of a head in its field."""
BONE_HU = 300
"""Compact bone of a child lies above, soft tissue below."""
BONE_SHARE = 0.002
"""Least share of bone; the skull of a two-year-old takes some 3 % of a field of 250 mm."""
EVERY = 4
"""Every so many rows and columns are looked at: shares, not shapes, are asked for."""

_CT = ("not_ct",)
_PIXELS = ("not_ct", "enhanced")
_PLANES = ("not_ct", "enhanced", "localizer")


@rule(
    Code.NO_PIXEL_DATA,
    reads="PixelData",
    decides="In every instance.",
    verdicts=(REJECTED,),
    needs=_CT,
)
def _no_pixel_data(series: Series) -> Outcome | None:
    bare = sum(instance.pixels is None for instance in series.instances)
    return rejected(f"{of_instances(bare, series)} have no pixel data.") if bare else None


@rule(
    Code.PHOTOMETRIC,
    reads="PhotometricInterpretation, SamplesPerPixel",
    decides="MONOCHROME2 with one sample; MONOCHROME1 is not inverted by guess.",
    verdicts=(REJECTED,),
    needs=_PIXELS,
)
def _photometric(series: Series) -> Outcome | None:
    other = sum(
        first_text(header, "PhotometricInterpretation") != "MONOCHROME2"
        or unsigned(header, "SamplesPerPixel") != 1
        for header in headers(series)
    )
    return rejected(f"{of_instances(other, series)} are not MONOCHROME2.") if other else None


@rule(
    Code.BITS,
    reads="BitsAllocated, BitsStored, HighBit, PixelRepresentation",
    decides=f"16 allocated, {BITS_STORED[0]} to {BITS_STORED[1]} stored in the low bits, all "
    "signed or all unsigned.",
    verdicts=(REJECTED,),
    needs=_PIXELS,
)
def _bits(series: Series) -> Outcome | None:
    layouts = {
        tuple(
            unsigned(header, keyword)
            for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
        )
        for header in headers(series)
    }
    wrong = sum(not _is_ct_layout(*layout) for layout in layouts)
    if wrong:
        return rejected(f"{wrong} of {len(layouts)} bit layouts in the series are not CT's.")
    if len({layout[3] for layout in layouts}) > 1:
        return rejected("Some instances are signed and some are not.")
    return None


def _is_ct_layout(
    allocated: int | None, stored: int | None, high_bit: int | None, representation: int | None
) -> bool:
    return (
        allocated == 16
        and stored is not None
        and BITS_STORED[0] <= stored <= BITS_STORED[1]
        and high_bit == stored - 1
        and representation in (0, 1)
    )


@rule(
    Code.RESCALE,
    reads="RescaleSlope, RescaleIntercept, ModalityLUTSequence",
    decides="Two finite numbers, the slope not zero; no lookup table.",
    verdicts=(REJECTED,),
    needs=_PIXELS,
)
def _rescale(series: Series) -> Outcome | None:
    unusable = sum(
        "ModalityLUTSequence" in header
        or (_has_rescale(header) and not number(header, "RescaleSlope"))
        or (_has_rescale(header) and number(header, "RescaleIntercept") is None)
        for header in headers(series)
    )
    return (
        rejected(f"{of_instances(unusable, series)} cannot be rescaled to HU.")
        if unusable
        else None
    )


@rule(
    Code.RESCALE_ASSUMED,
    reads="RescaleSlope, RescaleIntercept",
    decides="Both absent: slope 1, intercept 0 for signed and -1024 for unsigned pixels; the "
    "voxels must then look like HU.",
    verdicts=(LIMITED,),
    needs=(*_PIXELS, "rescale"),
)
def _rescale_assumed(series: Series) -> Outcome | None:
    without = sum(not _has_rescale(header) for header in headers(series))
    if not without:
        return None
    return limited(
        f"{of_instances(without, series)} have no rescale values; the usual ones are assumed."
    )


def _has_rescale(header: Dataset) -> bool:
    return "RescaleSlope" in header or "RescaleIntercept" in header


@rule(
    Code.PADDING,
    reads="PixelPaddingValue",
    decides="Padding, and everything below -1024 HU, is read as air.",
    verdicts=(ACCEPTED,),
    needs=_PIXELS,
)
def _padding(series: Series) -> Outcome | None:
    padded = sum("PixelPaddingValue" in header for header in headers(series))
    return (
        accepted(f"{of_instances(padded, series)} name a padding value: read as air.")
        if padded
        else None
    )


@rule(
    Code.LOSSY,
    reads="LossyImageCompression, transfer syntax",
    decides="01, or a syntax that may lose.",
    verdicts=(LIMITED,),
    needs=_PIXELS,
)
def _lossy(series: Series) -> Outcome | None:
    lost = sum(
        first_text(instance.header, "LossyImageCompression") == "01"
        or instance.transfer_syntax in LOSSY_SYNTAXES
        for instance in series.instances
    )
    return limited(f"{of_instances(lost, series)} were compressed with loss.") if lost else None


@rule(
    Code.KERNEL,
    reads="ConvolutionKernel",
    decides="By a list of the vendors' names: sharp ones limit, unknown ones are a remark.",
    verdicts=(ACCEPTED, LIMITED),
    needs=_PLANES,
)
def _kernel(series: Series) -> Outcome | None:
    names = kernel_names(series)
    sharp = [name for name in names if sharpness_of_kernel(name) is Sharpness.SHARP]
    if sharp:
        return limited(f"The kernel {', '.join(sharp)} is a sharp one: noise hides the borders.")
    if any(sharpness_of_kernel(name) is Sharpness.UNKNOWN for name in names) or not names:
        return accepted("The kernel is not one that is known as soft or sharp.")
    return None


@rule(
    Code.CONTRAST,
    reads=", ".join(CONTRAST_ATTRIBUTES) + ", ContrastBolusAgentSequence",
    decides="Any value but zero, " + ", ".join(sorted(NO_CONTRAST)) + "; any item.",
    verdicts=(LIMITED,),
    needs=_CT,
)
def _contrast(series: Series) -> Outcome | None:
    enhanced = sum(_names_contrast(header) for header in headers(series))
    return (
        limited(f"Contrast medium is named in {of_instances(enhanced, series)}.")
        if enhanced
        else None
    )


def _names_contrast(header: Dataset) -> bool:
    # Read or still raw bytes, an empty sequence is false.
    sequence = element(header, "ContrastBolusAgentSequence")
    if sequence is not None and sequence.value:
        return True
    values = (value for keyword in CONTRAST_ATTRIBUTES for value in texts(header, keyword))
    return any(value.strip("0. ") and value.upper() not in NO_CONTRAST for value in values)


PIXEL_RULES: tuple[Rule[Series], ...] = (
    _no_pixel_data,
    _photometric,
    _bits,
    _rescale,
    _rescale_assumed,
    _padding,
    _lossy,
    _kernel,
    _contrast,
)
"""Judged in this order."""


@rule(
    Code.HU_RANGE,
    reads="voxels",
    decides=f"At least {AIR_SHARE:.0%} between {AIR_HU[0]} and {AIR_HU[1]} HU (air) and "
    f"{BONE_SHARE:.1%} above {BONE_HU} HU (bone), else they are not HU of a head.",
    verdicts=(REJECTED,),
)
def _hu_range(image: Image) -> Outcome | None:
    # A wrong number of stored bits is masked in silence: -1000..900 HU became 8..40 by 10 of 16.
    hu = image.hu[:, ::EVERY, ::EVERY]
    air = float(np.mean((hu >= AIR_HU[0]) & (hu <= AIR_HU[1])))
    bone = float(np.mean(hu > BONE_HU))
    if air >= AIR_SHARE and bone >= BONE_SHARE:
        return None
    return rejected(
        f"{air:.1%} of the voxels are like air and {bone:.1%} like bone: these are not the HU of a "
        "head."
    )


VOXEL_RULES: tuple[Rule[Image], ...] = (_hu_range,)
"""Judged in this order."""
