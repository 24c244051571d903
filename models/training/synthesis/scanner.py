"""What a scanner makes of a head: blur, shading, slices, motion, noise, an end of the scan."""

import math

import torch

from models.training.synthesis.chance import Chance, Field

AIR_HU = -1024.0


def scanned(image: torch.Tensor, spacing_mm: float, chance: Chance) -> torch.Tensor:
    """Degrade an image.

    Parameters
    ----------
    image
        HU, float32 (slice, row, column).
    spacing_mm
        Its isotropic voxel.
    """
    field: Field = (image.shape[0], image.shape[1], image.shape[2])
    image = blurred(image, chance.uniform(0.35, 0.85))
    if chance.happens(0.08):
        image = _moved(image, chance)
    # Beam hardening and scatter: brighter near bone, darker in the middle; and a scale that is off.
    image = image + chance.smooth(field, 40.0)[0] * chance.uniform(0.0, 3.0)
    image += chance.uniform(-4.0, 4.0)
    if chance.happens(0.1):
        image = _streaked(image, chance)
    if chance.happens(0.12):
        image = _sharpened(image, chance.uniform(0.2, 1.0))
    thickness_mm = chance.uniform(2.0, 7.0) if chance.happens(0.35) else 0.0
    if thickness_mm:
        image = sliced(image, thickness_mm / spacing_mm, _lean(chance), chance.uniform(0.0, 1.0))
    return image + _noise(field, thickness_mm, spacing_mm, chance)


def _noise(field: Field, thickness_mm: float, spacing_mm: float, chance: Chance) -> torch.Tensor:
    noise = chance.normal(*field)
    if chance.happens(0.7):
        noise = blurred(noise, chance.uniform(0.4, 0.8), axes=(1, 2))
        noise /= float(noise[0].std())
    # Doses for a child's head: 2 to 12 HU in slices of 1 mm, less in thicker ones.
    sd_hu = math.exp(chance.uniform(math.log(1.0), math.log(12.0)))
    return noise * (sd_hu / math.sqrt(max(thickness_mm, spacing_mm)))


def cut(image: torch.Tensor, labels: torch.Tensor, spacing_mm: float, chance: Chance) -> None:
    """End the scan early below or above: what was not scanned has no label."""
    depth = int(chance.uniform(2.0, 40.0) / spacing_mm)
    unseen = slice(0, depth) if chance.happens(0.6) else slice(-(depth // 2) - 1, None)
    image[unseen] = AIR_HU
    labels[unseen] = 0


def blurred(image: torch.Tensor, sigma: float, axes: tuple[int, ...] = (0, 1, 2)) -> torch.Tensor:
    """Blur by a separable Gaussian of three taps; `sigma` in voxels, below 1."""
    side = math.exp(-0.5 / sigma**2)
    a, b = side / (1 + 2 * side), 1 / (1 + 2 * side)
    for axis in axes:
        n = image.shape[axis]
        result = image * b
        result.narrow(axis, 1, n - 1).add_(image.narrow(axis, 0, n - 1), alpha=a)
        result.narrow(axis, 0, n - 1).add_(image.narrow(axis, 1, n - 1), alpha=a)
        result.narrow(axis, 0, 1).add_(image.narrow(axis, 0, 1), alpha=a)
        result.narrow(axis, n - 1, 1).add_(image.narrow(axis, n - 1, 1), alpha=a)
        image = result
    return image


def _sharpened(image: torch.Tensor, amount: float) -> torch.Tensor:
    """Overshoot at edges, as hard kernels do."""
    clipped = image.clip(-200.0, 400.0)
    return image + amount * (clipped - blurred(clipped, 0.8))


def _moved(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Mix in the head as it lay a moment later."""
    shift = [round(chance.uniform(-2.4, 2.4)) for _ in range(3)]
    weight = chance.uniform(0.15, 0.5)
    return image * (1 - weight) + torch.roll(image, shift, (0, 1, 2)) * weight


def _streaked(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Lay dark and bright bands across the base of the skull, as between the petrous bones."""
    rows, columns = (torch.arange(side) - side / 2 for side in image.shape[1:])
    angle = chance.uniform(-0.5, 0.5)
    across = rows[:, None] * math.cos(angle) + columns[None] * math.sin(angle)
    bands = torch.sin(across * chance.uniform(0.2, 0.8) + chance.uniform(0.0, 6.0))
    slices = torch.arange(image.shape[0]) / image.shape[0]
    where = torch.exp(-((slices - chance.uniform(0.1, 0.4)) / 0.1).square())
    return image + where[:, None, None] * bands * chance.uniform(2.0, 12.0)


def _lean(chance: Chance) -> tuple[float, float]:
    """Draw how slices lean in the field (rise a row, a column): turned heads, tilted gantries."""
    row = math.tan(math.radians(max(-35.0, min(35.0, 14.0 * float(chance.normal(1))))))
    column = math.tan(math.radians(max(-20.0, min(20.0, 6.0 * float(chance.normal(1))))))
    return row, column


def sliced(
    image: torch.Tensor, thickness: float, lean: tuple[float, float], phase: float
) -> torch.Tensor:
    """Average over leaning slices of `thickness` voxels and interpolate between them linearly.

    Parameters
    ----------
    image
        Axes (slice, row, column).
    thickness
        Of a slice and step between slices, voxels along the first axis.
    lean
        Rise of a slice a row and a column.
    phase
        Where the first slice begins, 0..1 of a slice.
    """
    n, rows, columns = image.shape
    rise = (torch.arange(rows) - rows / 2)[:, None] * lean[0]
    rise = rise + (torch.arange(columns) - columns / 2)[None] * lean[1]
    rise = rise / thickness + phase
    first = math.floor(-float(rise.max())) - 1
    count = math.ceil(n / thickness - float(rise.min())) + 1 - first
    # Cumulated along the first axis, a slice's sum is a difference of two interpolated sums.
    sums = torch.cat((torch.zeros_like(image[:1]), image.cumsum(0)))
    edges = (torch.arange(first, first + count + 1)[:, None, None] + rise) * thickness
    edges = edges.clip(0, n)
    width = edges.diff(dim=0).clip(min=0.05)
    means = _at(sums, edges).diff(dim=0) / width
    # Beyond the ends of the scan the last slice goes on.
    place = (torch.arange(n)[:, None, None] + 0.5) / thickness - rise - 0.5 - first
    return _at(means, _within(place, edges, thickness))


def _within(place: torch.Tensor, edges: torch.Tensor, thickness: float) -> torch.Tensor:
    full = edges.diff(dim=0) > 0.5 * thickness
    low = full.int().argmax(0)
    high = full.shape[0] - 1 - full.flip(0).int().argmax(0)
    return torch.minimum(torch.maximum(place, low[None]), high[None])


def _at(values: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Interpolate linearly along the first axis."""
    index = place.floor().clip(0, values.shape[0] - 2).long()
    lower = values.gather(0, index)
    return torch.lerp(lower, values.gather(0, index + 1), place - index)
