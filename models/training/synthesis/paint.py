"""HU: what each tissue looks like in this head, and what does not belong to a head."""

import torch

from models.training.synthesis.anatomy import Anatomy
from models.training.synthesis.chance import Chance, Field

# HU of each tissue number of the label maps: mean, spread of that mean between heads, texture
# within. Brain: CT of normal young children, grey 32-40, white 24-33, contrast 3-8 HU and lower.
TISSUE_HU: dict[int, tuple[float, float, float]] = {
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
_GREY, _WHITE, _CHOROID, _SOFT, _VEIN, _ARTERY = 1, 2, 5, 9, 14, 15
_MUSCLE_HU, _FAT_HU = 50.0, -95.0


def painted(anatomy: Anatomy, codes: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Give every voxel its HU: float32, shape of the field.

    The mean is drawn per tissue, not per code: grey matter looks alike in every lobe. Fat and
    muscle, one number in the maps, are told apart by lobules.
    """
    field: Field = (codes.shape[0], codes.shape[1], codes.shape[2])
    table = torch.tensor([TISSUE_HU[int(tissue)] for tissue in anatomy.tissue_of])
    means = table[:, 0] + table[:, 1] * _drawn(chance)[anatomy.tissue_of]
    means += _enhancement(chance)[anatomy.tissue_of]
    texture = chance.smooth(field, 4.0)[0]
    image = means[codes]
    image += table[:, 2][codes] * texture
    soft = (anatomy.tissue_of == _SOFT)[codes]
    muscle = chance.smooth(field, 7.0)[0] > chance.uniform(-0.6, 0.6)
    image = torch.where(soft, torch.where(muscle, _MUSCLE_HU, _FAT_HU) + 8.0 * texture, image)
    if chance.happens(0.12):
        image += _lesion(image, chance)
    if chance.happens(0.04):
        image = _shunt(image, chance)
    if chance.happens(0.03):
        image = _implant(image, chance)
    return _with_table(image, chance)


def _drawn(chance: Chance) -> torch.Tensor:
    """Return how many SD each tissue's mean is off; grey and white often come near each other."""
    drawn = chance.normal(len(TISSUE_HU))
    if chance.happens(0.5):
        drawn[_WHITE] = drawn[_GREY] - chance.uniform(0.0, 1.2)
    if chance.happens(0.1):
        # White as bright as grey, as in myelination's last months and at low dose.
        drawn[_WHITE] = drawn[_GREY] + 2.0 - chance.uniform(0.0, 0.6)
    return drawn


def _enhancement(chance: Chance) -> torch.Tensor:
    """Return what contrast medium adds to each tissue, HU."""
    added = torch.zeros(len(TISSUE_HU))
    if chance.happens(0.06):
        added[[_VEIN, _ARTERY]] = chance.uniform(40.0, 250.0)
        added[_CHOROID] = chance.uniform(10.0, 60.0)
        added[[_GREY, _WHITE]] = torch.tensor([1.0, 0.6]) * chance.uniform(1.0, 6.0)
    return added


def _grid(image: torch.Tensor) -> list[torch.Tensor]:
    shapes = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
    return [
        (torch.arange(side) - (side - 1) / 2).reshape(shape)
        for side, shape in zip(image.shape, shapes, strict=True)
    ]


def _lesion(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return a soft ball of blood, oedema or old infarct; the label stays."""
    radius = chance.uniform(4.0, 18.0)
    far = sum(
        (axis - float(chance.normal(1)) * side / 6).square()
        for axis, side in zip(_grid(image), image.shape, strict=True)
    )
    ball = torch.sigmoid((radius - torch.sqrt(torch.as_tensor(far))) / 1.5)
    inside = (image > -10.0) & (image < 90.0)
    return ball * inside * chance.uniform(-18.0, 30.0)


def _shunt(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Put a catheter from the vault to the middle."""
    slices, rows, columns = _grid(image)
    start = torch.tensor([chance.uniform(0.2, 0.45), chance.uniform(-0.3, 0.4), 0.35])
    start *= torch.tensor(image.shape) * torch.tensor(
        [1.0, 1.0, 1.0 if chance.happens(0.5) else -1]
    )
    length = float(start.norm())
    u, v, w = (start / length).tolist()
    along = slices * u + rows * v + columns * w
    far = slices.square() + rows.square() + columns.square() - along.square()
    tube = (far < 1.6) & (along > 0) & (along < length)
    return torch.where(tube, chance.uniform(150.0, 900.0), image)


def _implant(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Put metal beside the temporal bone, with dark and bright rays in its slices."""
    slices, rows, columns = _grid(image)
    side = 1 if chance.happens(0.5) else -1
    s, r, c = -25.0 + 8 * float(chance.normal(1)), 8.0, side * 0.42 * image.shape[2]
    angle = torch.atan2(rows - r, columns - c)
    far = torch.sqrt((rows - r).square() + (columns - c).square()) + 1.0
    rays = torch.sin(angle * round(chance.uniform(9.0, 25.0)) + chance.uniform(0.0, 6.0))
    near = torch.exp(-(slices - s).square() / chance.uniform(20.0, 90.0))
    image = image + near * rays * (chance.uniform(100.0, 700.0) / far)
    metal = ((slices - s).square() + (far - 1).square()) < chance.uniform(4.0, 25.0)
    return torch.where(metal, 3000.0, image)


def _with_table(image: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Put a table or head holder behind most heads, in the air only."""
    if chance.happens(0.3):
        return image
    _, rows, columns = _grid(image)
    curve = chance.uniform(0.0, 0.006) * (1 if chance.happens(0.7) else -1)
    edge = image.shape[1] * chance.uniform(0.22, 0.48) - curve * columns.square()
    shell = (rows > edge) & (rows < edge + chance.uniform(2.0, 14.0))
    return torch.where(shell & (image < -500.0), chance.uniform(-900.0, 150.0), image)
