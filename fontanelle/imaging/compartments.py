"""From the network's classes to the codes of a region set, and whose the CSF is.

The network tells parenchyma of each region, ventricles and outer CSF apart. The rule: outer CSF
belongs to the compartment of the nearest region. Where that region has no CSF of its own, as the
brainstem, the CSF round it (the cisterns) stays outer CSF: inside the skull, in no compartment.
Ventricles belong to none either.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fontanelle.imaging.regions import RegionSet


def assemble(
    classes: NDArray[np.uint8], region_set: RegionSet, outer_csf: int
) -> NDArray[np.uint8]:
    """Return codes of `region_set`, without what is not connected to the brain.

    Parameters
    ----------
    classes
        Network output: codes of regions and ventricles, and `outer_csf`; 0 elsewhere.
    region_set
        What the codes mean.
    outer_csf
        Class of CSF outside the ventricles.
    """
    codes = np.where(_connected(classes > 0), classes, np.uint8(0))
    box = _box(codes > 0)
    inner = codes[box]
    csf = inner == outer_csf
    inner[csf] = _nearest_csf_code(inner, region_set, outer_csf)[csf]
    return codes


def _connected(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else (slice(0, 0),) * mask.ndim


def _nearest_csf_code(
    codes: NDArray[np.uint8], region_set: RegionSet, outer_csf: int
) -> NDArray[np.uint8]:
    """Return for every voxel the CSF code of the nearest region; 0 where there is no region.

    The distance transform gives ties to the lower index, so that a fissure would go to the
    patient's right. It is run on the mirrored array as well, and where the two disagree, every
    second voxel follows either.
    """
    table = np.zeros(256, dtype=np.uint8)
    for region in region_set.regions:
        table[region.code] = outer_csf if region.csf_code is None else region.csf_code
    seeds = table[codes]
    if not seeds.any():
        return seeds
    with ThreadPoolExecutor(2) as pair:
        lower, mirrored = pair.map(_filled, (seeds, seeds[:, :, ::-1]))
    higher = mirrored[:, :, ::-1]
    slices, rows, columns = codes.shape
    s, r, c = np.ogrid[:slices, :rows, :columns]
    return np.where((s + r + c) % 2 == 1, higher, lower)


def _filled(seeds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give every voxel the value of the nearest one that is not 0."""
    nearest = ndimage.distance_transform_edt(
        seeds == 0, return_distances=False, return_indices=True
    )
    return np.asarray(seeds[tuple(nearest)])
