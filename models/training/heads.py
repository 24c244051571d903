"""The label maps as heads ready to be painted: one array of codes with two look-up tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.pose import Canonical
from models.training.protocol import BACKGROUND, PROTOCOLS, Protocol, classes

_FOLDER = files("models.training") / "label_maps"

HELD_OUT: Final = ("toddler_12mo", "head_04", "head_20")
"""Never trained on, nor used for a protocol's borders or a registration.

head_13 cannot be held out: both toddlers have its face and skull base.
"""

CANONICAL: Final = Canonical(
    intracranial_ml=1030.0,
    field=(128, 160, 128),
    spacing_mm=1.15,
    center_lps_mm=(0.0, -16.0, 0.5),
)
"""The frame of the packages trained here: 147 x 184 x 147 mm round a head of 1,030 mL."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One head at 1 mm, axes (slice, row, column) growing towards (S, P, L).

    Attributes
    ----------
    name
        As the label map is called.
    codes
        Index into the two tables.
    class_of, tissue_of
        Class of the protocol and tissue number of each code.
    intracranial_ml
        Volume of all classes but background.
    center_ijk
        Middle of the intracranial bounding box.
    """

    name: str
    codes: NDArray[np.uint8]
    class_of: NDArray[np.uint8]
    tissue_of: NDArray[np.uint8]
    intracranial_ml: float
    center_ijk: tuple[float, float, float]

    @property
    def classes(self) -> NDArray[np.uint8]:
        """Class of each voxel."""
        return self.class_of[self.codes]


def names() -> list[str]:
    """Return the names of the label maps that are shipped."""
    suffix = "_regions.nii.gz"
    return sorted(f.name.removesuffix(suffix) for f in _FOLDER.iterdir() if f.name.endswith(suffix))


def read_map(name: str, kind: str) -> NDArray[np.uint8]:
    """Read `regions` or `tissues` of a head; axes (slice, row, column) towards (S, P, L)."""
    with as_file(_FOLDER / f"{name}_{kind}.nii.gz") as path:
        ras = np.asarray(nibabel.nifti1.load(path).dataobj, dtype=np.uint8)
    return np.ascontiguousarray(ras[::-1, ::-1, :].transpose(2, 1, 0))


@cache
def class_map(name: str, protocol: str) -> NDArray[np.uint8]:
    """Return the class of each voxel of a label map; read-only, kept for the next caller."""
    structures, tissues = read_map(name, "regions"), read_map(name, "tissues")
    labels = classes(structures, tissues, PROTOCOLS[protocol])
    labels.flags.writeable = False
    return labels


def load(name: str, protocol: Protocol) -> Head:
    """Read one head under a protocol; kept for the next caller."""
    return _loaded(name, protocol.name)


@cache
def _loaded(name: str, protocol: str) -> Head:
    return head_of(name, class_map(name, protocol), read_map(name, "tissues"))


def head_of(name: str, labels: NDArray[np.uint8], tissues: NDArray[np.uint8]) -> Head:
    """Put classes and tissues of a head together."""
    both = labels.astype(np.uint16) * 256 + tissues
    pairs = np.flatnonzero(np.bincount(both.ravel()))
    code_of = np.zeros(pairs[-1] + 1, dtype=np.uint8)
    code_of[pairs] = np.arange(len(pairs))
    inside = np.nonzero(labels != BACKGROUND)
    center = tuple(float(axis.min() + axis.max()) / 2 for axis in inside)
    return Head(
        name=name,
        codes=code_of[both],
        class_of=(pairs // 256).astype(np.uint8),
        tissue_of=(pairs % 256).astype(np.uint8),
        intracranial_ml=float(np.count_nonzero(labels)) / 1000.0,
        center_ijk=(center[0], center[1], center[2]),
    )


def load_all(wanted: Sequence[str], protocol: Protocol) -> list[Head]:
    """Read several heads."""
    return [load(name, protocol) for name in wanted]
