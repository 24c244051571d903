"""The ResU-Net of 27 convolutions and its variant behind a stride-2 stem.

Xi et al. 2025 (doi 10.3389/fneur.2025.1573060) give residual units, skips and 27 convolutions,
but no list of layers. This reading has five levels: nine residual units of two convolutions, four
strided convolutions down, four transposed ones up, one 1x1x1 output. No unit needs a projection.
"""

from itertools import pairwise

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


class ResidualUnit(nn.Module):
    """Two convolutions and a shortcut that is added without a projection."""

    def __init__(self, channels_in: int, width: int, kernel: Kernel) -> None:
        super().__init__()
        self.first = _with_relu(same(channels_in, width, kernel), width)
        self.second = block(same(width, width, kernel), width)

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        """Return ReLU(second(first(x)) + shortcut)."""
        return torch.relu(self.second(self.first(x)) + shortcut)


class ResUNet(Network):
    """Image (N, 1, S, R, C) to logits (N, classes, S, R, C); sides a multiple of 16, or 32."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        widths, kernel = architecture.widths, architecture.kernel
        first = widths[0] if architecture.stem else 1
        self.stem = _with_relu(halved(1, first), first) if architecture.stem else None
        self.encoder = nn.ModuleList(
            ResidualUnit(first if level == 0 else width, width, kernel)
            for level, width in enumerate(widths)
        )
        self.down = nn.ModuleList(
            _with_relu(halved(above, below), below) for above, below in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _with_relu(doubled(below, above), above) for above, below in pairwise(widths)
        )
        self.decoder = nn.ModuleList(
            ResidualUnit(2 * width, width, kernel) for width in widths[:-1]
        )
        self.output = last(widths[0], architecture)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return features on the network's own grid: half resolution behind a stem."""
        x = image if self.stem is None else self.stem(image)
        skips = []
        for unit, down in zip(self.encoder[:-1], self.down, strict=True):
            skips.append(unit(x, x))
            x = down(skips[-1])
        x = self.encoder[-1](x, x)
        for level in reversed(range(len(skips))):
            x = self.up[level](x)
            x = self.decoder[level](torch.cat((skips[level], x), dim=1), x)
        return torch.as_tensor(x)


def _with_relu(conv: nn.Module, width: int) -> nn.Sequential:
    return block(conv, width, nn.ReLU(inplace=True))
