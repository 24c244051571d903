"""What a package says of its training heads: where regions lie, and how samples look."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.placement import Placement, centroids, rigid_fit
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
LEAST_TOLERANCE = 0.05
"""5 mm in a head of a litre: few heads stray less than those to come."""


def golden_image(config: TrainingConfig, field: Field) -> NDArray[np.float32]:
    """Return a synthesised head on a field as the network sees it, rounded as it is stored."""
    head = heads.load_all([GOLDEN_HEAD], PROTOCOLS[config.protocol])
    whole = replace(config.synthesis, cut_field=0.0)
    sample = Synthesizer(head, [1.0], whole, seed=GOLDEN_SEED).draw(field)
    stored = torch.round(windowed(sample.image_hu, *config.window_hu) * 127).to(torch.int8)
    return (stored.float() / 127.0).numpy()


def placement(config: TrainingConfig, region_set: RegionSet) -> Placement:
    """Return the mean place of each region over the training heads, and four times the worst stray.

    Heads are turned onto the first one before.
    """
    found = []
    for head in heads.load_all(list(config.heads), PROTOCOLS[config.protocol]):
        grid = axis_aligned(head.codes.shape, 1.0, np.zeros(3))
        found.append(centroids(LabelArray(head.classes, grid), head.intracranial_ml, region_set))
    names = [region.name for region in region_set.regions]
    places = np.array([[one[name] for name in names] for one in found])
    places = np.array([one @ rigid_fit(places[0], one)[0] for one in places])
    mean = places.mean(axis=0)
    stray = float(np.linalg.norm(places - mean, axis=2).max())
    rounded = {n: (float(x), float(y), float(z)) for n, (x, y, z) in zip(names, mean, strict=True)}
    return Placement(rounded, max(4.0 * stray, LEAST_TOLERANCE))


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
