"""Volumes: voxels counted on the source planes, plane by plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.regions import RegionSet


@dataclass(frozen=True, slots=True)
class RegionVolumes:
    """Volumes of one region in mL: the compartment is parenchyma plus CSF."""

    region: str
    compartment_ml: float
    parenchyma_ml: float
    csf_ml: float


@dataclass(frozen=True, slots=True)
class Volumes:
    """All that was measured, in mL, on the source planes.

    `intracranial_ml` is all that was labelled, cisterns included: the space inside the inner table.
    """

    regions: tuple[RegionVolumes, ...]
    ventricles_ml: float
    intracranial_ml: float

    @property
    def total_ml(self) -> float:
        """Sum of the compartments."""
        return sum(region.compartment_ml for region in self.regions)

    @property
    def by_region_ml(self) -> dict[str, float]:
        """Compartment of each region."""
        return {region.region: region.compartment_ml for region in self.regions}


def measure(labels: LabelArray, region_set: RegionSet) -> Volumes:
    """Measure every region of a label array.

    Parameters
    ----------
    labels
        Codes of `region_set` on the source planes.
    region_set
        What the codes mean.
    """
    ml = _ml_by_code(labels)
    regions = tuple(
        RegionVolumes(
            region=region.name,
            compartment_ml=float(ml[region.code] + _csf_ml(ml, region.csf_code)),
            parenchyma_ml=float(ml[region.code]),
            csf_ml=_csf_ml(ml, region.csf_code),
        )
        for region in region_set.regions
    )
    ventricles_ml = float(ml[region_set.ventricles.code])
    return Volumes(
        regions=regions,
        ventricles_ml=ventricles_ml,
        intracranial_ml=float(ml[1:].sum()),
    )


def _ml_by_code(labels: LabelArray) -> NDArray[np.float64]:
    # Plane by plane: where steps are uneven, each plane's voxels have a volume of their own.
    plane_ml = labels.grid.plane_voxel_mm3 / 1000.0
    total = np.zeros(256)
    for plane, voxel_ml in zip(labels.codes, plane_ml, strict=True):
        total += np.bincount(plane.ravel(), minlength=256) * voxel_ml
    return total


def _csf_ml(ml: NDArray[np.float64], code: int | None) -> float:
    return 0.0 if code is None else float(ml[code])
