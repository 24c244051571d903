"""What a package says of its training samples: one of them as golden case, and how all look."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.quality import Likeness, features, learnt
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.window import windowed
from models.training import heads
from models.training.protocol import OUTER_CSF, PROTOCOLS
from models.training.synthesis import Field, Synthesizer
from models.training.train import TrainingConfig

GOLDEN_HEAD = "toddler_24mo"
GOLDEN_SEED = 7
LIKENESS_SEED = 20251122


def golden_image(config: TrainingConfig, field: Field) -> NDArray[np.float32]:
    """Return a synthesised head on a field as the network sees it, rounded as it is stored."""
    head = heads.load_all([GOLDEN_HEAD], PROTOCOLS[config.protocol])
    whole = replace(config.synthesis, cut_field=0.0)
    sample = Synthesizer(head, [1.0], whole, seed=GOLDEN_SEED).draw(field)
    stored = torch.round(windowed(sample.image_hu, *config.window_hu) * 127).to(torch.int8)
    return (stored.float() / 127.0).numpy()


def likeness(config: TrainingConfig, field: Field, region_set: RegionSet, count: int) -> Likeness:
    """Return what `count` training samples look like, cut fields left out."""
    chosen = heads.load_all(list(config.heads), PROTOCOLS[config.protocol])
    whole = replace(config.synthesis, cut_field=0.0)
    synthesizer = Synthesizer(chosen, list(config.heads.values()), whole, LIKENESS_SEED)
    grid = axis_aligned(field, config.synthesis.spacing_mm, np.zeros(3))
    found = []
    for _ in range(count):
        sample = synthesizer.draw(field)
        codes = assemble(sample.classes.numpy().astype(np.uint8), region_set, OUTER_CSF)
        found.append(features(sample.image_hu.numpy(), LabelArray(codes, grid), region_set))
    return learnt(found)
