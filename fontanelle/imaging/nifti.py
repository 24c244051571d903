"""NIfTI in and out: the only place that speaks RAS. Everything else is LPS."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.decoding import AIR_HU
from fontanelle.imaging.geometry import Geometry, Image, LabelArray, Planes
from fontanelle.imaging.resample import regular_slices

FileAxes = tuple[int, int, int]
"""Which axis of a file holds the slices, the rows, the columns."""
COLUMN_ROW_SLICE: FileAxes = (2, 1, 0)
"""Of an axial file, and of what is made from DICOM."""
LPS_FROM_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}
"""Any other unit, and none at all, means mm."""
SMALLEST_STEP_MM = 0.5
"""Uneven planes are resampled no finer than this."""
SHEAR_TOLERANCE = 1e-4
"""Cosine between axes up to which a qform, which holds no shear, may stand for the affine."""

_UNREADABLE = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class NiftiImage:
    """An image, and how its file counted the axes: labels go back the same way."""

    image: Image
    axes: FileAxes


def read(path: Path) -> NiftiImage:
    """Read a three-dimensional NIfTI file of HU.

    Parameters
    ----------
    path
        .nii or .nii.gz. A fourth axis of length one is taken off.

    Returns
    -------
    Image of int16 with axes (slice, row, column): the slice axis is the one nearest to
    inferior-superior, the column axis the one nearest to left-right. No axis is reversed. Values
    are scaled as the header says, fractions rounded; values that are not a number (outside the
    field) and everything below -1024 become -1024.

    Raises
    ------
    Refused
        INPUT_NIFTI for a file that is no such image, INPUT_NIFTI_AFFINE where neither sform nor
        qform says where the voxels lie, BITS for values beyond int16.
    """
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image | nib.Nifti2Image):
            raise Refused(Code.INPUT_NIFTI, "The file is not a NIfTI image.")
        affine_lps = LPS_FROM_RAS @ _affine_ras(image.header)
        values = _three_dimensional(image)
    except _UNREADABLE as error:
        raise Refused(
            Code.INPUT_NIFTI, f"The NIfTI file cannot be read ({type(error).__name__})."
        ) from error
    axes = _slice_row_column(affine_lps)
    hu = _int16_hu(values.transpose(axes))
    affine_lps[:, :3] = affine_lps[:, axes]
    grid = Geometry((hu.shape[0], hu.shape[1], hu.shape[2]), affine_lps)
    return NiftiImage(Image(hu, grid), axes)


def write_labels(path: Path, labels: LabelArray, axes: FileAxes = COLUMN_ROW_SLICE) -> None:
    """Write labels on a regular grid as uint8, with a sform; a qform too where it can say the same.

    Parameters
    ----------
    path
        .nii.gz or .nii.
    labels
        On a `Geometry`; uneven planes go through `resampled_labels` first.
    axes
        Of the file. With those that `read` returned, labels on the image's grid get the shape and
        the affine of the file that was read, in mm.
    """
    if not isinstance(labels.grid, Geometry):
        raise TypeError("uneven planes are no NIfTI grid: use resampled_labels")
    order = np.argsort(axes)
    affine_ras = LPS_FROM_RAS @ labels.grid.affine_lps_mm[:, [*order, 3]]
    image = nib.Nifti1Image(labels.codes.transpose(order), affine_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_ras, code=1)
    # A qform holds no shear and would drop it without a word.
    is_sheared = _is_sheared(affine_ras)
    image.set_qform(None if is_sheared else affine_ras, code=0 if is_sheared else 1)
    nib.save(image, path)


def resampled_labels(labels: LabelArray) -> LabelArray:
    """Put labels of uneven planes on a regular grid by nearest plane.

    The planes keep their rows and columns; the new slices fill the same slab as the half-gap
    widths, at about the smallest perpendicular step, so that each region keeps its volume to within
    a slice's rounding.
    """
    planes = labels.grid
    if not isinstance(planes, Planes):
        return labels
    offsets_mm = planes.offsets_mm
    smallest_mm = max(float(np.diff(offsets_mm).min()), SMALLEST_STEP_MM)
    geometry, at_mm = regular_slices(planes, smallest_mm)
    nearest = np.searchsorted((offsets_mm[1:] + offsets_mm[:-1]) / 2, at_mm)
    return LabelArray(labels.codes[nearest], geometry)


def _affine_ras(header: nib.Nifti1Header) -> NDArray[np.float64]:
    """Return the affine that is nearest to the scanner: lowest code, sform before qform.

    A code of 3 or 4 means a template's space, whose millimetres need not be the child's.
    """
    forms = (header.get_sform(coded=True), header.get_qform(coded=True))
    usable = [(code, affine) for affine, code in forms if code > 0 and _is_usable(affine)]
    if not usable:
        raise Refused(
            Code.INPUT_NIFTI_AFFINE,
            "Neither sform nor qform says where the voxels lie (codes "
            f"{int(forms[0][1])} and {int(forms[1][1])}): left and right cannot be told.",
        )
    affine = np.array(min(usable, key=lambda form: int(form[0]))[1], dtype=np.float64)
    affine[:3] *= MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
    return affine


def _is_usable(affine: NDArray[np.float64]) -> bool:
    if not np.isfinite(affine).all():
        return False
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    # Cosines: a flat or collinear frame has no inverse, however large its steps.
    return bool(steps.min() > 0 and abs(np.linalg.det(affine[:3, :3] / steps)) > 0.1)


def _three_dimensional(image: nib.Nifti1Image) -> NDArray[np.floating]:
    shape = image.shape
    if len(shape) < 3 or any(length != 1 for length in shape[3:]) or min(shape[:3]) < 2:
        raise Refused(Code.INPUT_NIFTI, f"The NIfTI image has the shape {shape}, not three axes.")
    if image.get_data_dtype().kind not in "iuf":
        raise Refused(Code.INPUT_NIFTI, "The NIfTI image holds no plain numbers.")
    return np.asarray(image.dataobj).reshape(shape[:3])


def _slice_row_column(affine: NDArray[np.float64]) -> FileAxes:
    cosines = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    slices = int(np.argmax(cosines[2]))
    rest = [axis for axis in range(3) if axis != slices]
    column = max(rest, key=lambda axis: cosines[0, axis])
    return slices, 3 - slices - column, column


def _int16_hu(values: NDArray[np.floating]) -> NDArray[np.int16]:
    if values.dtype.kind == "f":
        values = np.rint(np.nan_to_num(values, nan=AIR_HU))
    highest = values.max()
    if highest > np.iinfo(np.int16).max:
        raise Refused(Code.BITS, f"Values reach {highest:.0f} HU; at most 32767 fit.")
    air = AIR_HU if values.dtype.kind == "f" else np.int16(AIR_HU)  # Bytes are widened by it.
    return np.ascontiguousarray(np.maximum(values, air), dtype=np.int16)


def _is_sheared(affine: NDArray[np.float64]) -> bool:
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() > SHEAR_TOLERANCE)
