"""What a package says of its training samples: one of them as golden case, and how all look."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.quality import Likeness, features, learnt
from fontanelle.imaging.regions import RegionSet
from models.training import heads
from models.training.protocol import OUTER_CSF, PROTOCOLS
from models.training.synthesis import Field, Synthesizer
from models.training.train import TrainingConfig, heads_of

Segment = Callable[[NDArray[np.float32]], NDArray[np.uint8]]

GOLDEN_HEAD = "toddler_24mo"
GOLDEN_SEED = 7
LIKENESS_SEED = 20251122


def golden_image(config: TrainingConfig, field: Field) -> NDArray[np.float32]:
    """Return a synthesised head on a field as the network sees it, rounded as it is stored."""
    head = heads.load_all([GOLDEN_HEAD], PROTOCOLS[config.protocol])
    whole = replace(config.synthesis, cut_field=0.0)
    sample = Synthesizer(head, [1.0], whole, seed=GOLDEN_SEED).draw(field)
    stored = np.rint(config.prepared(sample.image_hu.numpy()) * 127).astype(np.int8)
    return stored.astype(np.float32) / np.float32(127)


def likeness(
    config: TrainingConfig, field: Field, region_set: RegionSet, count: int, segment: Segment
) -> Likeness:
    """Return what training samples look like through the labels that the network gives them.

    Parameters
    ----------
    config
        Of the training.
    field
        On which samples are drawn; none is cut.
    region_set
        What the labels mean.
    count
        How many samples.
    segment
        Prepared image (slice, row, column) to classes, as it is served: what is looked at later
        is labelled so too.
    """
    whole = replace(config.synthesis, cut_field=0.0)
    synthesizer = Synthesizer(heads_of(config), list(config.heads.values()), whole, LIKENESS_SEED)
    grid = axis_aligned(field, config.synthesis.spacing_mm, np.zeros(3))
    found = []
    for _ in range(count):
        hu = synthesizer.draw(field).image_hu.numpy()
        codes = assemble(segment(config.prepared(hu)), region_set, OUTER_CSF)
        found.append(features(hu, LabelArray(codes, grid), region_set))
    return learnt(found)
