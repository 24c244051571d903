"""What lies at each voxel: sulci wider or narrower, parenchyma lost, a child's thin vault."""

import torch

from models.training.protocol import OUTER_CSF
from models.training.synthesis.anatomy import DISTANCE_STEP_MM, Anatomy
from models.training.synthesis.chance import Chance, Field
from models.training.synthesis.shape import CLASSES, Sampled

AIR, GREY, CSF, BONE, SKIN, SOFT = 0, 1, 3, 6, 8, 9


def codes_of(anatomy: Anatomy, sampled: Sampled, chance: Chance) -> torch.Tensor:
    """Return the code of each voxel after what was drawn: int64, shape of the field."""
    packed = sampled.packed
    codes = packed & 255
    distance_mm = (packed >> 16).float() * DISTANCE_STEP_MM
    if chance.happens(0.7):
        codes = _sulci(anatomy, packed, codes, distance_mm, chance)
    if chance.happens(0.6):
        codes = _vault(anatomy, codes, distance_mm, sampled.above_vault, chance)
    return codes.long()


def cortex_loss_mm(chance: Chance) -> torch.Tensor:
    """Draw how much of its surface each class loses: shape (13,), mm; below 0 it gains."""
    loss = torch.full((CLASSES,), chance.uniform(-1.3, 1.2)) + 0.4 * chance.normal(CLASSES)
    if chance.happens(0.3):
        for region in chance.permuted(10)[: 1 + int(chance.uniform(0.0, 3.0))]:
            loss[1 + region] += chance.uniform(0.5, 3.5)
    return loss


def _sulci(
    anatomy: Anatomy,
    packed: torch.Tensor,
    codes: torch.Tensor,
    distance_mm: torch.Tensor,
    chance: Chance,
) -> torch.Tensor:
    """Replace surface by CSF where the cortex is lost, and CSF by cortex where it gains."""
    near = (packed >> 8) & 255
    loss = cortex_loss_mm(chance)
    brain = (anatomy.class_of > 0) & (anatomy.class_of < 11)
    csf = anatomy.class_of == OUTER_CSF
    field: Field = (codes.shape[0], codes.shape[1], codes.shape[2])
    # The surface is drawn on a 1 mm grid; noise lets it move by less.
    surface_mm = distance_mm + 0.5 * chance.smooth(field, 3.0)[0]
    beyond = surface_mm > loss[anatomy.class_of][near.long()]
    lost = anatomy.code_of(OUTER_CSF, CSF)
    is_brain, is_csf = brain[codes.long()], csf[codes.long()]
    cortex = _cortex_codes(anatomy)[near.long()]
    codes = torch.where(is_brain & ~beyond, lost, codes)
    return torch.where(is_csf & beyond, cortex, codes)


def _cortex_codes(anatomy: Anatomy) -> torch.Tensor:
    """Return, for each code, that of grey matter of the same class."""
    return torch.tensor(
        [anatomy.code_of(int(c), GREY) for c in anatomy.class_of], dtype=torch.int32
    )


def _vault(
    anatomy: Anatomy,
    codes: torch.Tensor,
    distance_mm: torch.Tensor,
    above: torch.Tensor,
    chance: Chance,
) -> torch.Tensor:
    """Rebuild the vault by distance: a child's bone is 1.5 to 4 mm thick, its scalp 2 to 7."""
    bone_mm = chance.uniform(1.5, 4.0)
    scalp_mm = bone_mm + chance.uniform(2.0, 7.0)
    outside = above & (anatomy.class_of == 0)[codes.long()]
    bone, soft, skin, air = (anatomy.code_of(0, tissue) for tissue in (BONE, SOFT, SKIN, AIR))
    layer = torch.full_like(codes, air)
    layer[distance_mm <= scalp_mm] = skin
    layer[distance_mm <= scalp_mm - 1.5] = soft
    layer[distance_mm <= bone_mm] = bone
    if chance.happens(0.7):
        layer[_sutures(codes, chance) & (distance_mm <= bone_mm)] = soft
    return torch.where(outside, layer, codes)


def _sutures(codes: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Return the gaps between the vault's bones: sagittal, coronal, lambdoid; a fontanelle."""
    slices, rows, columns = (
        torch.linspace(-1.0, 1.0, side).reshape(shape)
        for side, shape in zip(codes.shape, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    width = chance.uniform(0.008, 0.03)
    middle = columns + 0.05 * float(chance.normal(1))
    bregma = -0.35 + 0.05 * float(chance.normal(1))
    sagittal = (middle.abs() < width) & (rows > bregma)
    coronal = (rows - bregma + 0.35 * (1 - slices)).abs() < width
    lambdoid = (rows - 0.75 + 0.5 * middle.abs()).abs() < width
    open_mm = chance.uniform(0.0, 0.12) if chance.happens(0.3) else 0.0
    fontanelle = (middle.abs() + (rows - bregma).abs()) < open_mm
    return sagittal | coronal | lambdoid | fontanelle
