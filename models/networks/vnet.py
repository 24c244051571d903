"""The V-Net of Milletari et al. 2016 (doi 10.1109/3DV.2016.79): 30 convolutions.

Five levels of one to three convolutions each, whose input is added to what comes out of them;
strided convolutions down, transposed ones up, PReLU throughout. As published base is 16, widest 256
and the kernel 5x5x5. Added, as its common implementations do: BatchNorm before each PReLU.
"""

from itertools import pairwise
from typing import Final

import torch
from torch import nn

from models.networks.architecture import (
    Architecture,
    Kernel,
    Network,
    block,
    doubled,
    halved,
    last,
    same,
)

_DOWN: Final = (1, 2, 3, 3, 3)
"""Convolutions of each level on the way down; the deepest is the turn."""
_UP: Final = (1, 2, 3, 3)
"""Of each level on the way up, finest first."""


class Stage(nn.Module):
    """Convolutions of one level, and their input added to their output."""

    def __init__(self, channels_in: int, width: int, count: int, kernel: Kernel) -> None:
        super().__init__()
        ins = (channels_in, *[width] * (count - 1))
        self.early = nn.Sequential(*(_active(same(i, width, kernel), width) for i in ins[:-1]))
        self.last = block(same(ins[-1], width, kernel), width)
        self.activation = nn.PReLU(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return PReLU(convolutions(x) + x); one channel of input is added to all."""
        return torch.as_tensor(self.activation(self.last(self.early(x)) + x))


class VNet(Network):
    """Image (N, 1, S, R, C) to logits (N, classes, S, R, C); sides a multiple of 16."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        widths, kernel = architecture.widths, architecture.kernel
        self.encoder = nn.ModuleList(
            Stage(1 if level == 0 else width, width, count, kernel)
            for level, (width, count) in enumerate(zip(widths, _DOWN, strict=True))
        )
        self.down = nn.ModuleList(
            _active(halved(above, below), below) for above, below in pairwise(widths)
        )
        # A level on the way up is as wide as its skip and what comes from below, side by side.
        below = (*(2 * width for width in widths[1:-1]), widths[-1])
        self.up = nn.ModuleList(
            _active(doubled(wide, width), width)
            for wide, width in zip(below, widths[:-1], strict=True)
        )
        self.decoder = nn.ModuleList(
            Stage(2 * width, 2 * width, count, kernel)
            for width, count in zip(widths[:-1], _UP, strict=True)
        )
        self.output = last(2 * widths[0], architecture)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return features; the network's own grid is the image's."""
        x, skips = image, []
        for stage, down in zip(self.encoder[:-1], self.down, strict=True):
            skips.append(stage(x))
            x = down(skips[-1])
        x = self.encoder[-1](x)
        for level in reversed(range(len(skips))):
            x = torch.cat((skips[level], self.up[level](x)), dim=1)
            x = self.decoder[level](x)
        return torch.as_tensor(x)


def _active(conv: nn.Module, width: int) -> nn.Sequential:
    return block(conv, width, nn.PReLU(width))
