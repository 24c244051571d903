"""What training makes small: losses by name, and the targets that they are measured against.

Shapes are (N, classes, S, R, C). All is computed in float32, whatever the network's precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

PRESENT_VOXELS: Final = 8.0
"""A class that fills less than this of a batch says nothing by its Dice."""
_AXES = (0, 2, 3, 4)

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as a configuration names it.

    Attributes
    ----------
    measure
        Of logits and targets.
    weight_l2
        Factor of the sum of the squared weights of all convolutions; 0 leaves it out.
    """

    measure: Measure
    weight_l2: float = 0.0

    def __call__(
        self, logits: torch.Tensor, target: torch.Tensor, network: nn.Module | None = None
    ) -> torch.Tensor:
        """Return the loss; `network` is needed where its weights are part of it."""
        value = self.measure(logits.float(), target)
        if not self.weight_l2:
            return value
        if network is None:
            raise TypeError("this loss holds the network's weights: pass the network")
        return value + self.weight_l2 * squared_weights(network)


def one_hot(classes: torch.Tensor, count: int) -> torch.Tensor:
    """Return labels (N, S, R, C) as targets (N, count, S, R, C), float32."""
    target = torch.zeros(len(classes), count, *classes.shape[1:], device=classes.device)
    return target.scatter_(1, classes.long()[:, None], 1.0)


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the voxels."""
    return -(target * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the mean soft Dice of the classes that are present in the batch.

    With squares in the denominator, after Milletari et al. 2016 (doi 10.1109/3DV.2016.79).
    """
    probability = torch.softmax(logits, dim=1)
    size = target.sum(_AXES)
    overlap = 2 * (probability * target).sum(_AXES)
    both = probability.square().sum(_AXES) + target.square().sum(_AXES)
    scores = (overlap + 1.0) / (both + 1.0)
    return 1 - scores[size > PRESENT_VOXELS].mean()


def dice_ce(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy plus Dice loss."""
    return cross_entropy(logits, target) + dice(logits, target)


def squared_weights(network: nn.Module) -> torch.Tensor:
    """Return the sum of the squared weights of all convolutions."""
    convolutions = (m for m in network.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d))
    return torch.stack([conv.weight.square().sum() for conv in convolutions]).sum()


LOSSES: Final[Mapping[str, Loss]] = {
    "dice_ce": Loss(dice_ce),
    # Zhao et al. 2020 (arXiv 2006.05513) train a V-Net on 'a Dice loss and a L2 regularizer'; the
    # factor is ours.
    "dice_l2": Loss(dice, weight_l2=1e-5),
    # Xi et al. 2025.
    "cross_entropy": Loss(cross_entropy),
}
"""By the name that a configuration gives."""
