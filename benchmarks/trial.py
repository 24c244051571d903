"""A network's trial on a small budget: one stream of samples to learn from, held-out heads to meet.

Shared by `benchmarks.networks` and `benchmarks.preprocessing`.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.pose import Canonical, canonical_grid, find_pose
from fontanelle.imaging.prepare import PREPROCESSING
from fontanelle.imaging.resample import averaged, restored, sampled
from models.network import Network
from models.phantom.head import Recipe, make
from models.phantom.scan import Field as ScanField
from models.phantom.scan import View, grid, scan
from models.training import heads
from models.training.config import TrainingConfig
from models.training.losses import Loss
from models.training.protocol import BACKGROUND, OUTER_CSF, PROTOCOLS
from models.training.synthesis import SynthesisConfig, Synthesizer
from models.training.synthesis.anatomy import placement, region_set
from models.training.train import has_bf16, loss_of

FIELD: Final = (64, 64, 64)
"""Divisible by 32, as the stem asks."""
SPACING_MM: Final = 3.0
BATCH: Final = 1
LEARNING_RATE: Final = 2e-3
WARM_UP: Final = 0.05
"""Share of the budget over which the rate rises; then it falls by half a cosine."""
OUTSIDE_HU: Final = -1024.0
CLASSES: Final = 13
SEED: Final = 1041
ANGLES_DEG: Final = ((0.0, 0.0, 0.0), (14.0, -6.0, 8.0))


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to HU before a network sees them."""

    name: str
    window_hu: tuple[float, float]
    spacing_mm: float

    def prepared(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return -1..1, same shape."""
        return PREPROCESSING[self.name](hu, *self.window_hu, self.spacing_mm)


class Stream:
    """Synthesised samples, drawn once and kept: every network sees the same ones in order."""

    def __init__(self, config: TrainingConfig, preparation: Preparation, length: int) -> None:
        chosen = heads.load_all(list(config.heads), PROTOCOLS[config.protocol])
        synthesis = SynthesisConfig(spacing_mm=preparation.spacing_mm)
        weights = list(config.heads.values())
        self._synthesizer = Synthesizer(chosen, weights, synthesis, SEED)
        self._preparation, self._length = preparation, length
        self._drawn: list[tuple[torch.Tensor, torch.Tensor]] = []

    def batch(self, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and classes; after `length` samples it begins again."""
        pairs = [self._sample((iteration * BATCH + one) % self._length) for one in range(BATCH)]
        images = torch.stack([image.float() for image, _ in pairs])
        classes = torch.stack([each for _, each in pairs])
        return images.contiguous(memory_format=torch.channels_last_3d), classes

    def _sample(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        while len(self._drawn) <= index:
            sample = self._synthesizer.draw(FIELD)
            image = self._preparation.prepared(sample.image_hu.numpy())
            self._drawn.append((torch.from_numpy(image)[None].half(), sample.classes.byte()))
        return self._drawn[index]


def trained(network: Network, loss: Loss, stream: Stream, seconds: float) -> tuple[int, float]:
    """Train until the budget is used up; return iterations and CPU-seconds."""
    bf16 = has_bf16(torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    network.train()
    iteration, used = 0, 0.0
    while used < seconds:
        image, classes = stream.batch(iteration)
        started = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = _rate(used / seconds)
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, loss, image, classes, bf16=bf16).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        used += time.process_time() - started
        iteration += 1
    return iteration, used


def _rate(done: float) -> float:
    rising = min(1.0, (done + 0.01) / WARM_UP)
    return LEARNING_RATE * rising * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A held-out head as the networks get it, and its true classes on the same grid."""

    head: str
    image: torch.Tensor
    classes: NDArray[np.uint8]


def held_out(config: TrainingConfig, preparation: Preparation) -> list[Case]:
    """Paint the heads that no network has seen, in each pose, and bring them upright."""
    protocol = PROTOCOLS[config.protocol]
    places = placement(heads.load_all(list(config.heads), protocol))
    served = heads.CANONICAL
    frame = Canonical(served.intracranial_ml, FIELD, preparation.spacing_mm, served.center_lps_mm)
    cases = []
    for name in heads.HELD_OUT:
        for angles in ANGLES_DEG:
            recipe = Recipe(label_map=name, angles_deg=angles, protocol=protocol)
            image, truth = scan(make(recipe), grid(View.AXIAL, ScanField(200, (224, 224), 1, 1)))
            ml = float(np.count_nonzero(truth.codes != BACKGROUND)) / 1000.0
            pose = find_pose(truth, ml, region_set(), places, frame)
            if pose is None:
                raise SystemExit(f"{name} was painted without one of its regions.")
            cases.append(_case(name, image, truth, preparation, canonical_grid(pose, frame)))
    return cases


def _case(
    name: str, image: Image, truth: LabelArray, preparation: Preparation, target: Geometry
) -> Case:
    hu = sampled(averaged(image, target), target, OUTSIDE_HU)
    if not isinstance(truth.grid, Geometry):
        raise TypeError("the phantom was scanned on a regular grid")
    classes = restored(truth.codes, truth.grid, target).codes
    return Case(name, torch.from_numpy(preparation.prepared(hu))[None, None], classes)


def tried(network: Network, cases: Sequence[Case]) -> tuple[float, tuple[float, ...]]:
    """Return the mean Dice of compartments and the volume error of each, % of the true volume."""
    network.eval()
    scores, errors = [], []
    for case in cases:
        with torch.inference_mode():
            found = network(case.image).argmax(dim=1)[0].numpy().astype(np.uint8)
        truth, codes = _compartments(case.classes), _compartments(found)
        for region in region_set().regions:
            true, seen = truth == region.code, codes == region.code
            volume, other = int(true.sum()), int(seen.sum())
            scores.append(2.0 * int((true & seen).sum()) / (volume + other))
            errors.append(100.0 * (other / volume - 1.0))
    return statistics.fmean(scores), tuple(errors)


def _compartments(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not classes.any():
        return classes
    return region_set().compartment_table[assemble(classes, region_set(), OUTER_CSF)]
