"""CT images synthesised from label maps: draw a head, move it, paint it, degrade it.

After SynthSeg (Billot et al. 2023, doi 10.1016/j.media.2023.102789): nothing real is shown to the
network, so the labels are exact and every appearance can be drawn. Vectorised torch, seeded.
Axes are (slice, row, column) growing towards (S, P, L), 1 mm, as a package's field is served.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from models.training.heads import Head
from models.training.protocol import MIRRORED

Field = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SynthesisConfig:
    """What is drawn, and how widely.

    Angles are standard deviations about the (slice, row, column) axis, clipped at 35 degrees;
    pitch, about the column axis, varies most: a head pitched by 18 degrees was once taken for
    another one (docs/decisions/0003).
    """

    intracranial_ml: tuple[float, float] = (1030.0, 115.0)
    keep_adult_size: float = 0.15
    angle_sd_deg: tuple[float, float, float] = (9.0, 9.0, 16.0)
    angle_max_deg: float = 35.0
    stretch_sd: float = 0.05
    elastic_mm: float = 3.5
    elastic_step_mm: float = 28.0
    shift_mm: float = 12.0
    thick_slices: float = 0.4
    cut_field: float = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A painted head: HU (slice, row, column) float32 and classes (same shape) int64."""

    image_hu: torch.Tensor
    classes: torch.Tensor


# HU of each tissue number of the label maps: mean, spread of that mean between heads, texture
# within. Brain: CT of normal young children, grey 32-40, white 24-33, contrast 3-8 HU.
_TISSUE_HU: dict[int, tuple[float, float, float]] = {
    0: (-1000.0, 5.0, 0.0),
    1: (36.0, 3.0, 1.0),
    2: (29.5, 3.0, 1.0),
    3: (8.0, 4.0, 1.5),
    4: (6.0, 3.5, 1.0),
    5: (34.0, 8.0, 3.0),
    6: (900.0, 250.0, 80.0),
    7: (450.0, 150.0, 100.0),
    8: (30.0, 30.0, 20.0),
    9: (-20.0, 30.0, 60.0),
    10: (14.0, 6.0, 2.0),
    11: (45.0, 10.0, 5.0),
    12: (35.0, 15.0, 10.0),
    13: (-950.0, 40.0, 20.0),
    14: (50.0, 8.0, 3.0),
    15: (45.0, 8.0, 3.0),
    16: (35.0, 8.0, 3.0),
    17: (32.0, 5.0, 2.0),
    18: (24.0, 4.0, 2.0),
    19: (33.0, 3.0, 1.0),
}


class Synthesizer:
    """Draws samples from a set of heads; the same seed gives the same sequence."""

    def __init__(
        self, heads: list[Head], weights: list[float], config: SynthesisConfig, seed: int
    ) -> None:
        self._config = config
        self._heads = heads
        self._codes = [torch.from_numpy(head.codes.reshape(-1)) for head in heads]
        self._weights = torch.tensor(weights)
        self._random = torch.Generator().manual_seed(seed)

    def draw(self, field: Field) -> Sample:
        """Draw one head on a field of `field` voxels of 1 mm."""
        which = int(torch.multinomial(self._weights, 1, generator=self._random))
        head = self._heads[which]
        mirrored = self._chance(0.5)
        codes = self._codes_on_field(head, self._codes[which], field, mirrored=mirrored)
        classes = torch.from_numpy(head.class_of).long()
        if mirrored:
            classes = torch.from_numpy(MIRRORED).long()[classes]
        labels = classes[codes]
        image = self._degraded(self._painted(head, codes))
        self._cut(image, labels)
        return Sample(image, labels)

    # Random numbers ------------------------------------------------------------------------

    def _chance(self, probability: float) -> bool:
        return float(torch.rand((), generator=self._random)) < probability

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self._random))

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self._random)

    def _smooth_noise(self, field: Field, step_mm: float, channels: int = 1) -> torch.Tensor:
        """Return noise of SD near 1 that varies over `step_mm`; shape (channels, *field)."""
        coarse = [max(2, math.ceil(side / step_mm) + 1) for side in field]
        return functional.interpolate(
            self._normal(1, channels, *coarse), size=field, mode="trilinear", align_corners=True
        )[0]

    # Shape ---------------------------------------------------------------------------------

    def _matrix(self, head: Head, *, mirrored: bool) -> torch.Tensor:
        """Return the 3x3 map from field offsets to head offsets, both in mm about the centre."""
        config = self._config
        sd = torch.tensor(config.angle_sd_deg)
        limit = config.angle_max_deg
        angles = torch.deg2rad((self._normal(3) * sd).clip(-limit, limit))
        rotation = torch.eye(3)
        for axis, angle in enumerate(angles.tolist()):
            rotation = rotation @ _rotation(axis, angle)
        scale = 1.0
        if not self._chance(config.keep_adult_size):
            mean, spread = config.intracranial_ml
            wanted_ml = min(max(mean + spread * float(self._normal(1)), 650.0), 1500.0)
            scale = (wanted_ml / head.intracranial_ml) ** (1 / 3)
        stretch = torch.exp(config.stretch_sd * self._normal(3))
        stretch = scale * stretch / stretch.prod() ** (1 / 3)
        flip = torch.tensor([1.0, 1.0, -1.0 if mirrored else 1.0])
        return torch.diag(flip / stretch) @ rotation

    def _codes_on_field(
        self, head: Head, codes: torch.Tensor, field: Field, *, mirrored: bool
    ) -> torch.Tensor:
        config = self._config
        matrix = self._matrix(head, mirrored=mirrored)
        shift = (torch.rand(3, generator=self._random) * 2 - 1) * config.shift_mm
        axes = [
            torch.arange(side) - (side - 1) / 2 + float(offset)
            for side, offset in zip(field, shift, strict=True)
        ]
        elastic = self._smooth_noise(field, config.elastic_step_mm, channels=3)
        elastic *= config.elastic_mm * self._uniform(0.3, 1.0)
        index = torch.zeros(field, dtype=torch.long)
        outside = torch.zeros(field, dtype=torch.bool)
        for axis, size in enumerate(head.codes.shape):
            position = elastic[axis]
            position += axes[0][:, None, None] * matrix[axis, 0]
            position += axes[1][None, :, None] * matrix[axis, 1]
            position += axes[2][None, None, :] * matrix[axis, 2]
            voxel = position.add_(head.center_ijk[axis] + 0.5).floor_().long()
            outside |= (voxel < 0) | (voxel >= size)
            index.mul_(size).add_(voxel.clip_(0, size - 1))
        air = int((head.tissue_of == 0).argmax())
        return codes[index].masked_fill_(outside, air).long()

    # Appearance ----------------------------------------------------------------------------

    def _painted(self, head: Head, codes: torch.Tensor) -> torch.Tensor:
        """Give every code its HU; fat and muscle, one code in the maps, are told apart."""
        field = (codes.shape[0], codes.shape[1], codes.shape[2])
        rows = [_TISSUE_HU[int(tissue)] for tissue in head.tissue_of]
        table = torch.tensor(rows)
        # The mean is drawn per tissue, not per code: grey matter looks alike in every lobe.
        drawn = self._normal(len(_TISSUE_HU))
        if self._chance(0.5):
            drawn[2] = drawn[1] - self._uniform(0.0, 1.2)
        mean = table[:, 0] + table[:, 1] * drawn[torch.from_numpy(head.tissue_of).long()]
        image = mean[codes]
        texture = self._smooth_noise(field, 5.0)[0]
        image += table[:, 2][codes] * texture
        soft = torch.from_numpy(head.tissue_of == 9)[codes]
        muscle = self._smooth_noise(field, 9.0)[0] > self._uniform(-0.6, 0.6)
        image = torch.where(soft, torch.where(muscle, 50.0, -95.0) + 8.0 * texture, image)
        return self._with_table(image)

    def _with_table(self, image: torch.Tensor) -> torch.Tensor:
        """Put a table or head holder behind most heads, in the air only."""
        if self._chance(0.3):
            return image
        rows = torch.arange(image.shape[1])[:, None]
        columns = torch.arange(image.shape[2])[None, :] - image.shape[2] / 2
        curve = self._uniform(0.0, 0.006) * (1 if self._chance(0.7) else -1)
        edge = image.shape[1] * self._uniform(0.72, 0.98) - curve * columns**2
        shell = (rows > edge) & (rows < edge + self._uniform(2.0, 14.0))
        hu = self._uniform(-900.0, 150.0)
        return torch.where(shell[None] & (image < -500.0), hu, image)

    def _degraded(self, image: torch.Tensor) -> torch.Tensor:
        """Blur, shade, average into slices, add noise: what a scanner does."""
        field = (image.shape[0], image.shape[1], image.shape[2])
        image = _blurred(image, self._uniform(0.35, 0.9))
        # Beam hardening: the skull's inside is brighter near bone, darker in the middle.
        image = image + self._smooth_noise(field, 40.0)[0] * self._uniform(0.0, 3.0)
        image = image + self._uniform(-4.0, 4.0)
        thickness = 1.0
        if self._chance(self._config.thick_slices):
            thickness = self._uniform(2.0, 7.5)
            image = _thick_slices(image, thickness, self._uniform(0.0, 1.0))
        noise = self._normal(*field)
        if self._chance(0.7):
            noise = _blurred(noise, self._uniform(0.4, 0.8))
            noise /= noise.std()
        noise_hu = self._uniform(1.0, 12.0) / math.sqrt(thickness)
        return image + noise * noise_hu

    def _cut(self, image: torch.Tensor, labels: torch.Tensor) -> None:
        """End the scan early below or above in some heads: what was not scanned has no label."""
        if not self._chance(self._config.cut_field):
            return
        depth = int(self._uniform(2.0, 40.0))
        unseen = slice(0, depth) if self._chance(0.5) else slice(-(depth // 2) - 1, None)
        image[unseen] = -1024.0
        labels[unseen] = 0


def _rotation(axis: int, angle: float) -> torch.Tensor:
    cosine, sine = math.cos(angle), math.sin(angle)
    matrix = torch.eye(3)
    i, j = [other for other in range(3) if other != axis]
    matrix[i, i], matrix[j, j] = cosine, cosine
    matrix[i, j], matrix[j, i] = -sine, sine
    return matrix


def _blurred(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur by a separable Gaussian of three taps; `sigma` in voxels, below 1."""
    side = math.exp(-0.5 / sigma**2)
    a, b = side / (1 + 2 * side), 1 / (1 + 2 * side)
    for axis in range(3):
        n = image.shape[axis]
        blurred = image * b
        blurred.narrow(axis, 1, n - 1).add_(image.narrow(axis, 0, n - 1), alpha=a)
        blurred.narrow(axis, 0, n - 1).add_(image.narrow(axis, 1, n - 1), alpha=a)
        blurred.narrow(axis, 0, 1).add_(image.narrow(axis, 0, 1), alpha=a)
        blurred.narrow(axis, n - 1, 1).add_(image.narrow(axis, n - 1, 1), alpha=a)
        image = blurred
    return image


def _thick_slices(image: torch.Tensor, thickness: float, phase: float) -> torch.Tensor:
    """Average over slices of `thickness` voxels and interpolate back linearly."""
    n = image.shape[0]
    count = max(2, round(n / thickness))
    edges = (torch.arange(count + 1) - phase) * (n / (count - 0.5))
    cumulative = torch.cat((torch.zeros_like(image[:1]), image.cumsum(0)))
    lower = edges.clip(0, n - 1).long()
    upper = edges.clip(1, n).ceil().long()
    slices = torch.stack(
        [
            (cumulative[max(int(u), int(low) + 1)] - cumulative[int(low)])
            / max(int(u) - int(low), 1)
            for low, u in zip(lower[:-1], upper[1:], strict=True)
        ]
    )
    middle = (edges[:-1] + edges[1:]) / 2
    position = torch.arange(n).float()
    place = ((position - float(middle[0])) / (n / (count - 0.5))).clip(0, count - 1)
    below = place.floor().long().clip(0, count - 2)
    weight = (place - below)[:, None, None]
    return slices[below] * (1 - weight) + slices[below + 1] * weight
