"""One synthesised sample after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from models.training.heads import CANONICAL, Head
from models.training.protocol import MIRRORED
from models.training.synthesis import paint, scanner, tissue
from models.training.synthesis.anatomy import placement, prepared
from models.training.synthesis.chance import Chance, Field
from models.training.synthesis.shape import Frame, ShapeConfig, sample


@dataclass(frozen=True, slots=True)
class SynthesisConfig:
    """What is drawn, and how widely.

    Attributes
    ----------
    spacing_mm
        Voxel of the field, in canonical mm.
    cut_field
        Share of scans that end inside the head.
    shape
        Turn, size, and what is left of them.
    """

    spacing_mm: float = CANONICAL.spacing_mm
    cut_field: float = 0.1
    shape: ShapeConfig = field(default_factory=ShapeConfig)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A painted head: HU (slice, row, column) float32 and classes (same shape) int64."""

    image_hu: torch.Tensor
    classes: torch.Tensor


class Synthesizer:
    """Draws samples from a set of heads; the same seed gives the same sequence."""

    def __init__(
        self, heads: Sequence[Head], weights: Sequence[float], config: SynthesisConfig, seed: int
    ) -> None:
        self._config = config
        places = placement(heads)
        self._heads = [prepared(head, places) for head in heads]
        self._weights = torch.tensor([float(weight) for weight in weights])
        self._chance = Chance(seed)

    def draw(self, field: Field) -> Sample:
        """Draw one head on a field of voxels of the configuration's spacing."""
        chance, config = self._chance, self._config
        anatomy = self._heads[chance.choose(self._weights)]
        mirrored = chance.happens(0.5)
        center = torch.tensor(CANONICAL.center_lps_mm[::-1], dtype=torch.float32)
        frame = Frame(field, config.spacing_mm, center)
        sampled = sample(anatomy, frame, config.shape, chance, mirrored=mirrored)
        codes = tissue.codes_of(anatomy, sampled, chance)
        classes = anatomy.class_of
        if mirrored:
            classes = torch.from_numpy(MIRRORED).long()[classes]
        labels = classes[codes]
        image = scanner.scanned(paint.painted(anatomy, codes, chance), config.spacing_mm, chance)
        if chance.happens(config.cut_field):
            scanner.cut(image, labels, config.spacing_mm, chance)
        return Sample(image, labels)
