"""Heads of known volumes: label maps painted once, then placed, bent or thinned as asked.

A head is painted by `models.phantom` and afterwards moved as a whole: picture, classes and truth
by the same field. So a hundred heads cost one painting each of a few label maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import Volumes, measure
from models.package import Package
from models.phantom.head import CENTER_LPS_MM, Phantom, Recipe, make, turned
from models.training.protocol import PROTOCOLS, XI2025_MATCHED

Voxel = TypeVar("Voxel", np.int16, np.uint8)

INTRACRANIAL_ML = 1030.0
"""Mean intracranial volume of children of two, boys and girls as in the reference."""

CSF_HU = 9.0
"""As `models.phantom.head` paints CSF."""
_BLUR_VOXELS = 0.55
_SOFT_VOXELS = 1.5
_ROUNDS = 5
_STEP = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A head before it is scanned.

    Attributes
    ----------
    person
        Label map: whose brain it is.
    phantom
        Its codes are those of the region set, CSF assembled by the rule that serves.
    classes
        The same voxels in the network's classes.
    """

    person: str
    phantom: Phantom
    classes: NDArray[np.uint8]

    def volumes(self, region_set: RegionSet) -> Volumes:
        """Return the true volumes, counted where the head was drawn."""
        phantom = self.phantom
        slices, rows, columns = phantom.codes.shape
        geometry = Geometry((slices, rows, columns), phantom.affine_lps_mm)
        return measure(LabelArray(phantom.codes.view(), geometry), region_set)


def drawn(person: str, package: Package) -> Shape:
    """Return a person's head as a child of two, upright; drawn once for each process."""
    protocol = package.protocol if package.protocol in PROTOCOLS else XI2025_MATCHED.name
    return _drawn(person, protocol, package.region_set, package.outer_csf)


@lru_cache(maxsize=6)
def _drawn(person: str, protocol: str, region_set: RegionSet, outer_csf: int) -> Shape:
    recipe = Recipe(label_map=person, intracranial_ml=INTRACRANIAL_ML, protocol=PROTOCOLS[protocol])
    phantom = make(recipe)
    return _assembled(person, phantom, phantom.codes, region_set, outer_csf)


def _assembled(
    person: str,
    phantom: Phantom,
    classes: NDArray[np.uint8],
    region_set: RegionSet,
    outer_csf: int,
) -> Shape:
    codes = assemble(classes, region_set, outer_csf)
    return Shape(person, replace(phantom, codes=codes), classes)


def placed(
    shape: Shape,
    *,
    intracranial_ml: float | None = None,
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Shape:
    """Return a head scaled, turned about its middle and shifted.

    Parameters
    ----------
    shape
        A head.
    intracranial_ml
        Volume wanted of the space inside the skull; None leaves it.
    angles_deg
        About the left, posterior and superior axes, as `models.phantom.head.Recipe` has it.
    shift_mm
        In LPS.
    """
    phantom = shape.phantom
    scale = 1.0
    if intracranial_ml is not None:
        voxels = np.count_nonzero(phantom.codes)
        now_ml = voxels * abs(np.linalg.det(phantom.affine_lps_mm[:3, :3])) / 1000.0
        scale = float((intracranial_ml / now_ml) ** (1 / 3))
    middle = np.array(CENTER_LPS_MM)
    affine = phantom.affine_lps_mm.copy()
    matrix = scale * turned(angles_deg)
    affine[:3, :3] = matrix @ affine[:3, :3]
    affine[:3, 3] = matrix @ (affine[:3, 3] - middle) + middle + np.array(shift_mm)
    # Neck and shoulders, where they are drawn, follow the turn that the recipe tells.
    recipe = replace(phantom.recipe, angles_deg=angles_deg)
    return replace(shape, phantom=replace(phantom, affine_lps_mm=affine, recipe=recipe))


def resized(shape: Shape, factors: Mapping[int, float], region_set: RegionSet) -> Shape:
    """Return a head whose compartments are larger or smaller, all else bent around them.

    Picture and truth are bent alike, skull included; nothing tears. The factors are met within
    about a per cent: what was really planted is counted, not assumed.

    Parameters
    ----------
    shape
        A head.
    factors
        Code of a region (its compartment is meant) or of the ventricles to the factor of its
        volume; what is not named yields as it must.
    region_set
        What the codes mean.
    """
    compartments = region_set.compartment_table[shape.phantom.codes]
    moved = _flow(compartments, factors)
    source = np.indices(compartments.shape, dtype=np.float32) - moved
    phantom = replace(
        shape.phantom,
        hu=_bent(shape.phantom.hu, source, 1),
        codes=_bent(shape.phantom.codes, source, 0),
    )
    return Shape(shape.person, phantom, _bent(shape.classes, source, 0))


def _bent(
    array: NDArray[Voxel], source: NDArray[np.float32], order: Literal[0, 1]
) -> NDArray[Voxel]:
    return np.asarray(
        ndimage.map_coordinates(array, source, order=order, mode="nearest"), dtype=array.dtype
    )


def _flow(compartments: NDArray[np.uint8], factors: Mapping[int, float]) -> NDArray[np.float32]:
    """Return how far each voxel's content comes, shape (3, *shape), so that factors are met.

    The field is the gradient of a potential whose Laplacian is the dilation wanted, as in
    `models.phantom.head.Resize`, for all regions at once. The dilations are corrected by what
    they gave on every second voxel.
    """
    sparse = compartments[::2, ::2, ::2]
    before = np.bincount(sparse.ravel(), minlength=256)
    places = 2 * np.indices(sparse.shape, dtype=np.float32)
    wanted = {code: float(np.log(factor)) for code, factor in factors.items()}
    gain = dict(wanted)
    for _ in range(_ROUNDS):
        moved = 2 * _gradient(sparse, gain, _SOFT_VOXELS / 2)
        after = np.bincount(_bent(compartments, places - moved, 0).ravel(), minlength=256)
        for code in gain:
            got = float(np.log(max(1, after[code]) / before[code]))
            gain[code] += _STEP * (wanted[code] - got)
    return _gradient(compartments, gain, _SOFT_VOXELS)


def _gradient(
    codes: NDArray[np.uint8], gain: Mapping[int, float], soft_voxels: float
) -> NDArray[np.float32]:
    table = np.zeros(256, dtype=np.float32)
    for code, amount in gain.items():
        # Content comes from places closer together by this much where a region shall grow.
        table[code] = 3.0 * (1.0 - np.exp(-amount / 3.0))
    dilation = ndimage.gaussian_filter(table[codes], soft_voxels)
    shape = codes.shape
    ways = [2j * np.pi * np.fft.fftfreq(n) for n in shape[:2]] + [
        2j * np.pi * np.fft.rfftfreq(shape[2])
    ]
    waves = [wave.astype(np.complex64) for wave in np.meshgrid(*ways, indexing="ij", sparse=True)]
    squared = waves[0] ** 2 + waves[1] ** 2 + waves[2] ** 2
    squared[0, 0, 0] = 1.0
    potential = fft.rfftn(dilation) / squared
    potential[0, 0, 0] = 0.0
    return np.stack([fft.irfftn(wave * potential, s=shape) for wave in waves]).astype(np.float32)


def thinned(
    shape: Shape, shares: Mapping[int, float], region_set: RegionSet, outer_csf: int
) -> Shape:
    """Return a head that has lost parenchyma at its surfaces; CSF takes the place, the skull stays.

    As `models.phantom.head.Atrophy`, for several regions at once.

    Parameters
    ----------
    shape
        A head.
    shares
        Code of a region to the share of its parenchyma that is lost, 0 to 1.
    region_set, outer_csf
        What the codes mean, and the class of CSF outside the ventricles.
    """
    lost = _surfaces(shape.classes, shares, outer_csf)
    classes = np.where(lost, outer_csf, shape.classes).astype(np.uint8)
    phantom = replace(shape.phantom, hu=_repainted(shape.phantom.hu, lost, classes == outer_csf))
    return _assembled(shape.person, phantom, classes, region_set, outer_csf)


def widened(shape: Shape, factor: float, region_set: RegionSet) -> Shape:
    """Return a head whose ventricles hold `factor` times as much, all else bent around them.

    Large factors are reached in several steps of at most two, each of which stays smooth.
    """
    ventricles = shape.classes == region_set.ventricles.code
    # The choroid plexus does not grow with them: all of the inside is CSF.
    emptied = _repainted(shape.phantom.hu, ventricles, ventricles)
    shape = replace(shape, phantom=replace(shape.phantom, hu=emptied))
    steps = max(1, int(np.ceil(np.log2(factor))))
    for _ in range(steps):
        shape = resized(shape, {region_set.ventricles.code: factor ** (1 / steps)}, region_set)
    return shape


def _surfaces(
    classes: NDArray[np.uint8], shares: Mapping[int, float], outer_csf: int
) -> NDArray[np.bool_]:
    """Mark the given share of each region's voxels, those nearest to outer CSF first."""
    depth = np.asarray(ndimage.distance_transform_edt(classes != outer_csf), dtype=np.float32)
    # Distances on a grid come in few values; the blurred ones break ties without a bias.
    depth += 0.01 * ndimage.gaussian_filter(depth, 2.0)
    flat, lost = depth.ravel(), np.zeros(classes.size, dtype=np.bool_)
    for code, share in shares.items():
        inside = np.flatnonzero(classes == code)
        order = inside[np.argsort(flat[inside], kind="stable")]
        lost[order[: round(len(order) * share)]] = True
    return lost.reshape(classes.shape)


def _repainted(
    hu: NDArray[np.int16], lost: NDArray[np.bool_], csf: NDArray[np.bool_]
) -> NDArray[np.int16]:
    # The old border's partial volume goes too, or a shell of it would show what was lost. Bone
    # beside the CSF keeps its own.
    near = ndimage.binary_dilation(lost, iterations=2) & (hu < 100)
    sharp = np.where(near & csf, np.float32(CSF_HU), hu.astype(np.float32))
    soft = ndimage.gaussian_filter(sharp, _BLUR_VOXELS)
    return np.where(near & (soft < 100), np.rint(soft), hu).astype(np.int16)
