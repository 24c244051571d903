"""The phantom itself: a label map scaled to a child of two, changed where asked, painted in HU.

Shares nothing with `models.training.synthesis` but the label maps: what a network has learnt from
that painter is tried on another hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from models.training.heads import class_map, read_map
from models.training.protocol import (
    BACKGROUND,
    MIRRORED,
    OUTER_CSF,
    XI2025_MATCHED,
    Protocol,
)

BOY_OF_TWO_ICV_ML: Final = 1071.71
"""Mean intracranial volume of boys at 2.0 years (fontanelle/norms/references/cranium_0-10y.csv)."""

CENTER_LPS_MM: Final = (3.0, -17.0, 612.0)
"""Where the middle of the brain lies in the scanner: not at the origin, as in a hospital."""

# Tissue numbers of the label maps that are told apart here.
_AIR, _CSF, _BONE, _SOFT = 0, 3, 6, 9

# HU of each tissue number of the label maps, 120 kVp, a child of two.
_HU: Final[Mapping[int, float]] = {
    _AIR: -1000.0,
    1: 37.0,
    2: 30.0,
    _CSF: 9.0,
    4: 7.0,
    5: 38.0,
    _BONE: 850.0,
    7: 500.0,
    8: 60.0,
    _SOFT: 55.0,
    10: 12.0,
    11: 48.0,
    12: 40.0,
    13: -980.0,
    14: 52.0,
    15: 46.0,
    16: 34.0,
    17: 33.0,
    18: 25.0,
    19: 33.0,
}
_FAT_HU = -95.0
_SUTURE_HU = 45.0
_SUTURE_MM = 1.6
# A scanner's point spread: full width at half maximum about 1.2 mm at this voxel size.
_BLUR_VOXELS = 0.55


@dataclass(frozen=True, slots=True)
class Atrophy:
    """Parenchyma lost at the surface of a region; the skull stays, CSF takes the place.

    Attributes
    ----------
    class_code
        Class of the protocol, for example 1 (left frontal).
    percent
        Share of the region's parenchyma that is lost, 0..100.
    """

    class_code: int
    percent: float


@dataclass(frozen=True, slots=True)
class Resize:
    """A region made larger or smaller by bending all of the head around it, skull included.

    Attributes
    ----------
    class_code
        Class of the protocol.
    percent
        Change of the region's volume, to first order; negative shrinks.
    """

    class_code: int
    percent: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is to be drawn; every default is the plain boy of two.

    Attributes
    ----------
    label_map
        Name of one of the label maps.
    intracranial_ml
        The map is scaled, alike in all directions, until it holds so much.
    angles_deg
        Turn of the head about the patient's (left, posterior, superior) axes; the first is pitch.
    mirrored
        Swap left and right, anatomy and truth alike.
    change
        One region made different; volumes of `Phantom.truth_ml` follow.
    table, head_holder, shoulders
        What else lies in the field. Shoulders need a long field to be seen.
    noise_hu
        Standard deviation of the noise in soft tissue.
    seed
        Of texture and noise; the same recipe draws the same voxels.
    """

    label_map: str = "toddler_24mo"
    intracranial_ml: float = BOY_OF_TWO_ICV_ML
    angles_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirrored: bool = False
    change: Atrophy | Resize | None = None
    table: bool = True
    head_holder: bool = True
    shoulders: bool = False
    noise_hu: float = 4.0
    seed: int = 2
    protocol: Protocol = field(default=XI2025_MATCHED)


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A painted head before it is scanned.

    Attributes
    ----------
    recipe
        What it was made from.
    hu
        int16, about 1 mm, axes (slice, row, column); without noise.
    codes
        Class of each voxel (models.training.protocol), same shape.
    affine_lps_mm
        Shape (4, 4): (slice, row, column, 1) to LPS mm; holds scale and turn.
    """

    recipe: Recipe
    hu: NDArray[np.int16]
    codes: NDArray[np.uint8]
    affine_lps_mm: NDArray[np.float64]

    @property
    def truth_ml(self) -> NDArray[np.float64]:
        """True volume of each class in mL, shape (13,)."""
        voxel_ml = abs(np.linalg.det(self.affine_lps_mm[:3, :3])) / 1000.0
        voxels = np.bincount(self.codes.ravel(), minlength=OUTER_CSF + 1)
        return np.asarray(voxels * voxel_ml)

    @property
    def floor_mm(self) -> float:
        """Height of the lowest painted plane above the middle of the brain (negative)."""
        lowest = int(np.flatnonzero((self.hu > -500).any(axis=(1, 2)))[0])
        step = self.affine_lps_mm[:3, 0]
        middle = np.linalg.solve(
            self.affine_lps_mm[:3, :3], np.array(CENTER_LPS_MM) - self.affine_lps_mm[:3, 3]
        )
        return float((lowest - middle[0]) * np.linalg.norm(step))


def make(recipe: Recipe) -> Phantom:
    """Draw a head.

    Parameters
    ----------
    recipe
        What is to be drawn.

    Returns
    -------
    Phantom
        The middle of its intracranial space lies at `CENTER_LPS_MM`.
    """
    tissues = read_map(recipe.label_map, "tissues")
    codes = class_map(recipe.label_map, recipe.protocol.name)
    scale = (recipe.intracranial_ml * 1000.0 / np.count_nonzero(codes)) ** (1 / 3)
    tissues, codes = _changed(tissues, codes, recipe.change)
    if recipe.mirrored:
        tissues, codes = tissues[:, :, ::-1], MIRRORED[codes[:, :, ::-1]]
    hu = _painted(tissues, codes, np.random.default_rng(recipe.seed))
    affine = _placed(codes, scale, turned(recipe.angles_deg))
    return Phantom(recipe, hu, np.ascontiguousarray(codes), affine)


def _changed(
    tissues: NDArray[np.uint8], codes: NDArray[np.uint8], change: Atrophy | Resize | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    match change:
        case None:
            return tissues, codes
        case Atrophy(class_code, percent):
            lost = _surface(codes, class_code, percent)
            return np.where(lost, _CSF, tissues).astype(np.uint8), np.where(
                lost, OUTER_CSF, codes
            ).astype(np.uint8)
        case Resize(class_code, percent):
            source = _bent(codes == class_code, percent / 100.0)
            return _nearest(tissues, source), _nearest(codes, source)


def _surface(codes: NDArray[np.uint8], class_code: int, percent: float) -> NDArray[np.bool_]:
    """Mark the given share of a region's voxels, those nearest to outer CSF first."""
    depth = ndimage.distance_transform_edt(codes != OUTER_CSF)
    # Distances on a grid come in few values; the blurred ones break ties without a bias.
    depth = np.asarray(depth) + 0.01 * ndimage.gaussian_filter(np.asarray(depth), 2.0)
    inside = np.flatnonzero(codes == class_code)
    order = inside[np.argsort(depth.ravel()[inside], kind="stable")]
    lost = np.zeros(codes.size, dtype=np.bool_)
    lost[order[: round(len(order) * percent / 100.0)]] = True
    return lost.reshape(codes.shape)


def _bent(region: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return where each voxel comes from, shape (3, *region.shape), so that `region` grows.

    The displacement is the gradient of a potential whose Laplacian is the wanted dilation, so
    that all round the region yields smoothly and nothing tears.
    """
    soft = np.asarray(ndimage.gaussian_filter(region.astype(np.float64), 1.5))
    # Voxels look back to where they come from, so a region that shall grow by `share` must
    # find its sources closer together by so much; the whole box itself cannot grow.
    closer = 3.0 * (1.0 - (1.0 + share) ** (-1 / 3))
    dilation = soft * closer / (soft[region].mean() - soft.mean())
    waves = np.meshgrid(*(2j * np.pi * np.fft.fftfreq(n) for n in region.shape), indexing="ij")
    squared = sum(wave**2 for wave in waves)
    squared[0, 0, 0] = 1.0
    potential = fft.fftn(dilation) / squared
    potential[0, 0, 0] = 0.0
    moved = np.stack([np.real(fft.ifftn(wave * potential)) for wave in waves])
    return np.asarray(np.indices(region.shape) - moved)


def _nearest(labels: NDArray[np.uint8], source: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(
        ndimage.map_coordinates(labels, source, order=0, mode="nearest"), dtype=np.uint8
    )


def _painted(
    tissues: NDArray[np.uint8], codes: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.int16]:
    table = np.array([_HU.get(tissue, _HU[_AIR]) for tissue in range(256)], dtype=np.float32)
    hu = table[tissues]
    hu[_fat(tissues, random)] = _FAT_HU
    hu[_sutures(tissues, codes)] = _SUTURE_HU
    texture = ndimage.gaussian_filter(random.standard_normal(hu.shape, dtype=np.float32), 4.0)
    hu += np.where(tissues == _AIR, 0.0, texture / texture.std()).astype(np.float32)
    return np.rint(ndimage.gaussian_filter(hu, _BLUR_VOXELS)).astype(np.int16)


def _fat(tissues: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.bool_]:
    """Tell fat from muscle, which the label maps do not: a layer under the skin, and lobules."""
    soft = tissues == _SOFT
    depth = np.asarray(ndimage.distance_transform_edt(tissues != _AIR))
    lobules = ndimage.gaussian_filter(random.standard_normal(tissues.shape, dtype=np.float32), 2.5)
    return np.asarray(soft & ((depth < 3.5) | (lobules > 0.8 * lobules.std())))


def _sutures(tissues: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Sagittal and coronal suture: not fused at two, gaps of soft tissue in the vault."""
    slices, rows, columns = np.nonzero(codes != BACKGROUND)
    top, front, back = slices.max(), rows.min(), rows.max()
    middle = (columns.min() + columns.max()) / 2
    height, row, column = np.ogrid[tuple(slice(0, n) for n in tissues.shape)]
    vault = (tissues == _BONE) & (height > slices.min() + 0.6 * (top - slices.min()))
    bregma = front + 0.38 * (back - front)
    # The coronal suture runs forward as it goes down.
    coronal = np.abs(row - (bregma - 0.3 * (top - height))) <= _SUTURE_MM / 2
    sagittal = (np.abs(column - middle) <= _SUTURE_MM / 2) & (row > bregma)
    return np.asarray(vault & (coronal | sagittal))


def turned(angles_deg: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the rotation about the left, then posterior, then superior axis: 3x3, in LPS."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(angles_deg)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[second, first], step[first, second] = np.sin(angle), -np.sin(angle)
        turn = step @ turn
    return turn


def _placed(
    codes: NDArray[np.uint8], scale_mm: float, turn: NDArray[np.float64]
) -> NDArray[np.float64]:
    inside = np.nonzero(codes != BACKGROUND)
    middle = np.array([(axis.min() + axis.max()) / 2 for axis in inside])
    # Array axes grow towards (S, P, L), patient axes are (L, P, S).
    axes = turn @ (scale_mm * np.eye(3)[:, ::-1])
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = np.array(CENTER_LPS_MM) - axes @ middle
    return affine
