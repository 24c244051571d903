"""The region set of a package: what its codes mean, as data. Nothing here counts to ten."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Coded:
    """A DICOM code triplet."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a region set.

    Attributes
    ----------
    code
        Its number in label arrays (parenchyma) and its segment number in a SEG.
    csf_code
        Number of the CSF that the protocol counts to this region's compartment; None where the
        region has none (the ventricles).
    name
        Slug, for example `left_frontal`.
    label
        For people, for example `Left frontal lobe`.
    laterality
        `left`, `right` or None.
    pair
        Name that a left and a right region share, for example `frontal`; None without a twin.
    property_type
        DICOM code of the anatomy, without laterality.
    rgb
        Display colour, 0-255.
    """

    code: int
    csf_code: int | None
    name: str
    label: str
    laterality: str | None
    pair: str | None
    property_type: Coded
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class RegionSet:
    """The regions that are compared, and the ventricles beside them.

    Attributes
    ----------
    name
        For example `xi2025`.
    regions
        In the order of their codes.
    ventricles
        Measured and segmented, never compared.
    """

    name: str
    regions: tuple[Region, ...]
    ventricles: Region

    @property
    def segments(self) -> tuple[Region, ...]:
        """All that is drawn: the regions, then the ventricles."""
        return (*self.regions, self.ventricles)

    @property
    def compartment_table(self) -> NDArray[np.uint8]:
        """Table of 256 codes: CSF of a region becomes that region, all else stays."""
        table = np.arange(256, dtype=np.uint8)
        for region in self.regions:
            if region.csf_code is not None:
                table[region.csf_code] = region.code
        return table

    def __getitem__(self, name: str) -> Region:
        """Return the region called `name`."""
        return next(region for region in self.segments if region.name == name)
