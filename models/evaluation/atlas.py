"""A CT atlas from outside the product: an average head in HU with labels of the label maps."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from fontanelle.errors import Code, Refused
from fontanelle.imaging import nifti
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from models.evaluation.real import RealImage
from models.package import Package
from models.training.protocol import PROTOCOLS, XI2025_MATCHED, classes

EMPTY_HU = -500
CSF_HU, BONE_HU, SCALP_HU = 8.0, 900.0, 40.0
CSF_MM, BONE_MM, SCALP_MM = 2.0, 5.0, 5.0
"""An adult's, roughly."""
ROOM_VOXELS = 16


def read_atlas(folder: Path, package: Package) -> RealImage:
    """Read `*_hu.nii.gz` and `*_regions.nii.gz`, and apply the package's protocol to the labels.

    Raises
    ------
    Refused
        INPUT_NIFTI if the folder does not hold exactly one of each, on one grid.
    """
    found = [sorted(folder.glob(pattern)) for pattern in ("*_hu.nii.gz", "*_regions.nii.gz")]
    if any(len(paths) != 1 for paths in found):
        raise Refused(
            Code.INPUT_NIFTI, "An atlas is one *_hu.nii.gz and one *_regions.nii.gz in a folder."
        )
    image, structures = (_wider(nifti.read(paths[0]).image) for paths in found)
    if image.hu.shape != structures.hu.shape:
        raise Refused(Code.INPUT_NIFTI, "The atlas's labels do not lie on its grid.")
    protocol = PROTOCOLS.get(package.protocol, XI2025_MATCHED)
    numbers = np.clip(structures.hu, 0, 255).astype(np.uint8)
    # No tissues come with it: outer CSF is not known.
    labelled = classes(numbers, np.zeros_like(numbers), protocol)
    codes = assemble(labelled, package.region_set, package.outer_csf)
    labels = LabelArray(codes, image.grid)
    return RealImage("CT atlas", _skulled(image), labels, "put on by coordinates alone")


def _wider(image: Image) -> Image:
    """Give an image room for a skull on all sides: the average was cut close to the brain."""
    if not isinstance(image.grid, Geometry):
        raise Refused(Code.INPUT_NIFTI, "The atlas does not lie on an even grid.")
    affine = image.grid.affine_lps_mm.copy()
    affine[:3, 3] -= affine[:3, :3].sum(axis=1) * ROOM_VOXELS
    hu = np.pad(image.hu.astype(np.int16), ROOM_VOXELS, constant_values=int(image.hu.min()))
    slices, rows, columns = hu.shape
    return Image(hu, Geometry((slices, rows, columns), affine))


def _skulled(image: Image) -> Image:
    """Draw CSF, a vault and scalp around a brain that was stripped of them: else it is no head."""
    brain = ndimage.binary_fill_holes(image.hu > EMPTY_HU)
    voxel_mm = float(image.grid.plane_voxel_mm3[0]) ** (1 / 3)
    away = voxel_mm * np.asarray(ndimage.distance_transform_edt(~brain))
    drawn = np.select(
        [brain, away <= CSF_MM, away <= CSF_MM + BONE_MM, away <= CSF_MM + BONE_MM + SCALP_MM],
        [np.maximum(image.hu, CSF_HU), CSF_HU, BONE_HU, SCALP_HU],
        -1000.0,
    )
    return Image(np.rint(drawn).astype(np.int16), image.grid)
