"""Preprocessing as a package names it: choose the field, sample the image on it, window the HU."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.equalisation import equalised
from fontanelle.imaging.geometry import Geometry, Image
from fontanelle.imaging.head import Head, axis_aligned
from fontanelle.imaging.pose import Canonical, Pose, canonical_grid
from fontanelle.imaging.resample import averaged, sampled
from fontanelle.imaging.window import windowed

MARGIN_MM = 4.0
"""Least distance of the head's box from the faces of the field."""

Window = Callable[[NDArray[np.float32], float, float, float], NDArray[np.float32]]
"""Of HU, both ends of the window, and the isotropic voxel in mm."""


def _hu_window(
    image_hu: NDArray[np.float32], low_hu: float, high_hu: float, _spacing_mm: float
) -> NDArray[np.float32]:
    return windowed(image_hu, low_hu, high_hu)


PREPROCESSING: dict[str, Window] = {"hu_window": _hu_window, "equalised": equalised}
"""Functions by the name that a package gives them; training calls the same ones."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a package wants its input.

    Attributes
    ----------
    name
        Key of `PREPROCESSING`.
    low_hu, high_hu
        Ends of the window.
    outside_hu
        Value where the scan ends.
    spacing_mm
        Isotropic voxel of the field.
    fields
        Sizes served, (slice, row, column), smallest first: few, so that an engine is warm.
    """

    name: str
    low_hu: float
    high_hu: float
    outside_hu: float
    spacing_mm: float
    fields: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What goes into the network.

    Attributes
    ----------
    array
        float32 on `geometry`, as the package wants it.
    hu
        The same before the window, HU.
    geometry
        Axes growing towards (S, P, L): of the patient, or of the upright head.
    """

    array: NDArray[np.float32]
    hu: NDArray[np.float32]
    geometry: Geometry


def choose_field(head: Head, preprocessing: Preprocessing) -> Geometry:
    """Return the smallest field that holds the head, centred on it.

    Raises
    ------
    Refused
        If the head does not fit the largest field.
    """
    needed_mm = np.array(head.size_mm[::-1]) + 2 * MARGIN_MM
    for shape in preprocessing.fields:
        if (np.array(shape) * preprocessing.spacing_mm >= needed_mm).all():
            half_mm = (np.array(shape[::-1]) - 1) / 2 * preprocessing.spacing_mm
            first = np.array(head.center_lps_mm) - half_mm
            return axis_aligned(shape, preprocessing.spacing_mm, first)
    sides = " x ".join(f"{side:.0f}" for side in needed_mm)
    raise Refused(Code.ENGINE_FIELD, f"The head needs {sides} mm, more than the package's field.")


def prepare(image: Image, head: Head, preprocessing: Preprocessing) -> Prepared:
    """Sample an image on the smallest field around the head, along the patient, and window it.

    Raises
    ------
    Refused
        If the head does not fit the largest field.
    """
    return prepared_on(choose_field(head, preprocessing), image, preprocessing)


def prepare_upright(
    image: Image, pose: Pose, canonical: Canonical, preprocessing: Preprocessing
) -> Prepared:
    """Sample an image in the canonical frame, so that the head is upright and of one size."""
    return prepared_on(canonical_grid(pose, canonical), image, preprocessing)


def prepared_on(geometry: Geometry, image: Image, preprocessing: Preprocessing) -> Prepared:
    """Sample an image on a grid, averaged where its voxels are much smaller, and window it."""
    hu = sampled(averaged(image, geometry), geometry, preprocessing.outside_hu)
    window = PREPROCESSING[preprocessing.name]
    ends = preprocessing.low_hu, preprocessing.high_hu
    array = window(hu, *ends, preprocessing.spacing_mm)
    return Prepared(np.ascontiguousarray(array, dtype=np.float32), hu, geometry)
