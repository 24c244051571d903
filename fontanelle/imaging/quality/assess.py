"""All checks of a finished segmentation, in the order in which they are told."""

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import Head
from fontanelle.imaging.placement import Placement
from fontanelle.imaging.quality.amounts import sides_alike, tissue_share, total_plausible
from fontanelle.imaging.quality.check import QualityCheck
from fontanelle.imaging.quality.likeness import Likeness, like_training
from fontanelle.imaging.quality.places import regions_in_place
from fontanelle.imaging.quality.voxels import (
    free_of_metal,
    free_of_streaks,
    parenchyma,
    values_plausible,
)
from fontanelle.imaging.quality.whole import (
    brain_in_skull,
    brain_whole,
    regions_found,
    regions_in_one_piece,
)
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import Volumes


def assess(
    labels: LabelArray,
    on_field: LabelArray,
    head: Head,
    volumes: Volumes,
    *,
    region_set: RegionSet,
    placement: Placement,
) -> tuple[QualityCheck, ...]:
    """Judge labels and volumes.

    Parameters
    ----------
    labels
        On the source planes.
    on_field
        The same on the network's field.
    head
        As found in the voxels.
    volumes
        As measured on the source planes.
    region_set, placement
        Of the package.
    """
    return (
        brain_whole(labels, on_field),
        regions_found(volumes),
        total_plausible(volumes, head),
        tissue_share(volumes),
        sides_alike(volumes, region_set),
        regions_in_place(on_field, volumes.intracranial_ml, region_set, placement),
        regions_in_one_piece(on_field, region_set),
    )


def assess_values(
    hu: NDArray[np.float32],
    on_field: LabelArray,
    region_set: RegionSet,
    known: Likeness | None,
) -> tuple[QualityCheck, ...]:
    """Judge the image under the labels.

    Parameters
    ----------
    hu
        The network's field before the window, HU.
    on_field
        Labels on it.
    region_set
        Of the package.
    known
        What the package was trained on, where it says so.
    """
    tissue = parenchyma(on_field, region_set)
    voxel_mm3 = float(on_field.grid.plane_voxel_mm3[0])
    found = (
        brain_in_skull(on_field, hu),
        values_plausible(hu, tissue),
        free_of_metal(hu, voxel_mm3),
        free_of_streaks(hu, tissue),
    )
    if known is None:
        return found
    return (*found, like_training(hu, on_field, region_set, known))
