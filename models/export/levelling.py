"""How readily a network says CSF, levelled: as much is found as was drawn.

A network that is unsure says what is larger. Sulci and ventricles are thin, so a voxel of theirs is
taken for the parenchyma beside it more often than the other way round, by some per cent of their
volume. One number for each class of CSF, added to its logit, puts that right in the median of heads
drawn as for training. Borders between lobes stay as they were learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, cast

import torch

from models.export.to_onnx import Served
from models.training.protocol import OUTER_CSF, VENTRICLES
from models.training.synthesis import Field, Synthesizer
from models.training.train import TrainingConfig, heads_of

LEVELLED: Final = {"outer_csf": OUTER_CSF, "ventricles": VENTRICLES}
SEED: Final = 20251123
_REACH: Final = 12.0
"""Voxels that would need more are left out: no gain comes near it."""
_ROUNDS: Final = 4
_DECIMALS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """The logits of one head where CSF could be found.

    Attributes
    ----------
    own
        Of each class of `LEVELLED`, shape (classes, voxels).
    others
        The largest of all other classes, shape (voxels,).
    true
        Voxels of each class of `LEVELLED` in the head as drawn.
    """

    own: torch.Tensor
    others: torch.Tensor
    true: tuple[int, ...]


def votes(logits: torch.Tensor, classes: torch.Tensor) -> Votes:
    """Return what can be decided otherwise: logits (classes, S, R, C), true classes (S, R, C)."""
    codes = list(LEVELLED.values())
    own = logits[codes].flatten(1)
    left = [code for code in range(len(logits)) if code not in codes]
    others = logits[left].amax(0).flatten()
    near = others - own.amax(0) < _REACH
    return Votes(own[:, near], others[near], tuple(int((classes == code).sum()) for code in codes))


def gains(heads: Sequence[Votes]) -> tuple[float, ...]:
    """Return what each class' logit has to gain, so that the median head has its true volume.

    A class that no head has gains nothing.
    """
    found = [0.0] * len(LEVELLED)
    for _ in range(_ROUNDS):
        for index in range(len(found)):
            said = [head for head in heads if head.true[index] and head.others.numel()]
            needed = [_needed(head, index, found) for head in said]
            found[index] = round(median(needed), _DECIMALS) if needed else 0.0
    return tuple(found)


def _needed(head: Votes, index: int, found: Sequence[float]) -> float:
    """Return the gain at which one class wins as many voxels as it has."""
    rivals = head.others
    for other, gain in enumerate(found):
        if other != index:
            rivals = torch.maximum(rivals, head.own[other] + gain)
    behind = rivals - head.own[index]
    return float(behind.kthvalue(min(head.true[index], len(behind))).values)


def measured_gains(
    served: Served, config: TrainingConfig, field: Field, count: int
) -> dict[str, float]:
    """Draw heads as for training, and return what levels the classes of CSF in them.

    Parameters
    ----------
    served
        The network as it was learnt.
    config
        Of its training.
    field
        On which heads are drawn; none is cut.
    count
        How many.

    Returns
    -------
    Name of each class to what its logit has to gain.
    """
    whole = replace(config.synthesis, cut_field=0.0)
    synthesizer = Synthesizer(heads_of(config), list(config.heads.values()), whole, SEED)
    heads = []
    for _ in range(count):
        sample = synthesizer.draw(field)
        image = torch.from_numpy(config.prepared(sample.image_hu.numpy()))[None, None]
        with torch.inference_mode():
            heads.append(votes(served.logits(image)[0], sample.classes))
    return dict(zip(LEVELLED, gains(heads), strict=True))


def level(served: Served, gained: Mapping[str, float]) -> None:
    """Add what classes gain, by name, to the bias of the last layer, in place."""
    added = torch.zeros(served.network.architecture.classes)
    for name, gain in gained.items():
        # The bias is counted once for each look.
        added[LEVELLED[name]] = gain / served.looks
    with torch.no_grad():
        cast("torch.Tensor", served.network.output.bias).add_(added)
