"""Where each voxel of the field comes from: place, turn, size, and regions drawn anew.

Everything is a map from the field back into the head: an affine one, and a displacement that is
computed on a coarse grid and interpolated.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from models.training.protocol import OUTER_CSF, VENTRICLES
from models.training.synthesis.anatomy import Anatomy
from models.training.synthesis.chance import Chance, Field

CLASSES = 13
_COARSE_MM = 5.0
_FAR_STEPS = 6400


@dataclass(frozen=True, slots=True)
class ShapeConfig:
    """How widely heads differ from the canonical frame.

    Attributes
    ----------
    angle_sd_deg, angle_max_deg
        Turn about the (slice, row, column) axes: what is left of it once the pose is found, or
        all of it for the network that finds the pose; pitch, about the column axis, varies most.
    size_sd
        SD of the logarithm of the linear size.
    shift_mm
        Largest shift of the head in the field.
    stretch_sd
        SD of the logarithm of each axis' length, at constant volume.
    elastic_mm, elastic_step_mm
        Displacement and the distance over which it varies.
    """

    angle_sd_deg: tuple[float, float, float] = (1.5, 1.5, 2.0)
    angle_max_deg: float = 8.0
    size_sd: float = 0.012
    shift_mm: float = 2.5
    stretch_sd: float = 0.04
    elastic_mm: float = 3.0
    elastic_step_mm: float = 28.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where the field lies.

    Attributes
    ----------
    field, spacing_mm
        Voxels and their size in canonical mm.
    center_spl_mm
        Shape (3,): middle of the field from the middle of the regions, canonical mm.
    """

    field: Field
    spacing_mm: float
    center_spl_mm: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A head on the field: the packed numbers of each voxel, and its height in the head.

    Attributes
    ----------
    packed
        int32, shape of the field; what lies outside the head's array is code 0's neighbour, air.
    above_vault
        Where the skull is vault, bool.
    """

    packed: torch.Tensor
    above_vault: torch.Tensor


def sample(
    anatomy: Anatomy, frame: Frame, config: ShapeConfig, chance: Chance, *, mirrored: bool
) -> Sampled:
    """Draw a shape and look it up.

    Parameters
    ----------
    anatomy
        The head.
    frame
        Of the field.
    config
        How widely to draw.
    mirrored
        Swap left and right of the shape; the caller swaps the labels.
    """
    flip = torch.tensor([1.0, 1.0, -1.0 if mirrored else 1.0])
    to_head = anatomy.to_head @ torch.diag(flip) @ _affine(config, chance)
    center = frame.center_spl_mm + chance.uniforms(-1.0, 1.0, 3) * config.shift_mm
    frame = replace(frame, center_spl_mm=center)
    coarse = _coarse_places(anatomy, frame, to_head, config, chance)
    # Trilinear interpolation is exact for the affine part, so all is interpolated at once.
    places = functional.interpolate(
        coarse[None], size=frame.field, mode="trilinear", align_corners=True
    )[0]
    above = places[0] > anatomy.vault
    voxels = places.add_(0.5).floor_().int()
    sizes = torch.tensor(anatomy.shape, dtype=torch.int32)[:, None, None, None]
    inside = voxels.clip(torch.zeros_like(sizes), sizes - 1)
    outside = (inside != voxels).any(0)
    _, rows, columns = anatomy.shape
    index = inside[0].mul_(rows).add_(inside[1]).mul_(columns).add_(inside[2])
    packed = anatomy.packed[index.reshape(-1)].reshape(frame.field)
    packed.masked_fill_(outside, (_FAR_STEPS << 16) | anatomy.code_of(0, 0))
    return Sampled(packed, above)


def _affine(config: ShapeConfig, chance: Chance) -> torch.Tensor:
    """Return the 3x3 map of a drawn turn, size and stretch, canonical mm to canonical mm."""
    limit = config.angle_max_deg
    angles = torch.deg2rad(
        (chance.normal(3) * torch.tensor(config.angle_sd_deg)).clip(-limit, limit)
    )
    turn = torch.eye(3)
    for axis, angle in enumerate(angles.tolist()):
        turn = turn @ rotation(axis, angle)
    stretch = config.stretch_sd * chance.normal(3)
    stretch = torch.exp(stretch - stretch.mean() + config.size_sd * chance.normal(1))
    return torch.diag(1.0 / stretch) @ turn


def rotation(axis: int, angle: float) -> torch.Tensor:
    """Return the rotation about one axis, 3x3."""
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = torch.eye(3)
    i, j = [other for other in range(3) if other != axis]
    matrix[i, i], matrix[j, j] = cosine, cosine
    matrix[i, j], matrix[j, i] = -sine, sine
    return matrix


def _coarse_places(
    anatomy: Anatomy, frame: Frame, to_head: torch.Tensor, config: ShapeConfig, chance: Chance
) -> torch.Tensor:
    """Return where the corners of a coarse grid come from, voxels of the head, (3, s, r, c)."""
    field, spacing_mm = frame.field, frame.spacing_mm
    counts = [max(8, round(side * spacing_mm / _COARSE_MM) + 1) for side in field]
    coarse: Field = (counts[0], counts[1], counts[2])
    steps = [(side - 1) * spacing_mm / (n - 1) for side, n in zip(field, coarse, strict=True)]
    step_mm = sum(steps) / 3
    grid = torch.stack(
        torch.meshgrid(
            *(
                (torch.arange(n) - (n - 1) / 2) * step + by
                for n, step, by in zip(coarse, steps, frame.center_spl_mm.tolist(), strict=True)
            ),
            indexing="ij",
        )
    )
    elastic = chance.smooth(coarse, config.elastic_step_mm / step_mm, channels=3)
    moved_mm = grid + elastic * config.elastic_mm * chance.uniform(0.2, 1.0)
    growth = region_growth(chance)
    if growth is not None:
        place = _in_head(anatomy, to_head, grid)
        moved_mm = moved_mm - spread(growth[_classes_at(anatomy, place)], step_mm)
    return _in_head(anatomy, to_head, moved_mm)


def _in_head(anatomy: Anatomy, to_head: torch.Tensor, grid_mm: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,jsrc->isrc", to_head, grid_mm) + anatomy.middle[:, None, None, None]


def _classes_at(anatomy: Anatomy, place: torch.Tensor) -> torch.Tensor:
    index = torch.zeros(place.shape[1:], dtype=torch.long)
    for axis, size in enumerate(anatomy.shape):
        index = index * size + (place[axis] + 0.5).floor().long().clip(0, size - 1)
    return anatomy.class_of[(anatomy.packed[index] & 255).long()]


def region_growth(chance: Chance) -> torch.Tensor | None:
    """Draw how much each class grows: shape (13,), 0.2 is a fifth more volume; None is none.

    Every region on its own, over more than five SD of the reference (some 8 %) both ways: so the
    network measures what is there, and one region tells it nothing about another.
    """
    if chance.happens(0.15):
        return None
    growth = 0.16 * chance.normal(CLASSES)
    if chance.happens(0.35):
        for region in chance.permuted(10)[: 1 + int(chance.uniform(0.0, 3.0))]:
            growth[1 + region] = chance.uniform(-0.5, 0.5)
    growth = growth.clip(-0.5, 0.6)
    growth[0] = 0.0
    growth[OUTER_CSF] = chance.uniform(-0.2, 0.4)
    growth[VENTRICLES] = 0.0
    if chance.happens(0.5):
        growth[VENTRICLES] = math.exp(chance.uniform(-0.7, 2.2)) - 1.0
    return growth


def spread(growth: torch.Tensor, step_mm: float) -> torch.Tensor:
    """Return the displacement that makes places grow, mm, shape (3, s, r, c).

    The gradient of a potential whose Laplacian is the wanted dilation: all round what grows
    yields smoothly and nothing tears. Voxels look back to where they come from, so what shall
    grow by g must find its sources closer together by so much.
    """
    closer = 3.0 * (1.0 - (1.0 + growth) ** (-1 / 3))
    closer = functional.avg_pool3d(closer[None, None], 3, stride=1, padding=1)[0, 0]
    waves = [2 * math.pi * torch.fft.fftfreq(side, step_mm) for side in growth.shape]
    k = torch.stack(torch.meshgrid(*waves, indexing="ij"))
    squared = k.square().sum(0)
    squared[0, 0, 0] = 1.0
    potential = torch.fft.fftn(closer) / squared
    potential[0, 0, 0] = 0.0
    # Laplacian(phi) = closer, so phi^ = -closer^ / k^2 and the gradient's is i k phi^.
    return torch.stack([torch.fft.ifftn(-1j * wave * potential).real for wave in k])
