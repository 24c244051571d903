"""The ResU-Net of 27 convolutions and its variant behind a stride-2 stem.

Xi et al. 2025 (doi 10.3389/fneur.2025.1573060) give residual units, skips and 27 convolutions,
but no list of layers. This reading has five levels: nine residual units of two convolutions, four
strided convolutions down, four transposed ones up, one 1x1x1 output. No unit needs a projection.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Architecture:
    """What has to be known to build a network again.

    Attributes
    ----------
    classes
        Output channels, background included.
    base
        Channels of the first level; doubled at each level down.
    widest
        Upper limit of channels at any level.
    kernel
        Convolution kernel along (slice, row, column): (3, 3, 3) or (1, 3, 3).
    stem
        Whether a 2x2x2 convolution of stride 2 comes first; logits are then interpolated back.
    """

    classes: int
    base: int = 16
    widest: int = 128
    kernel: tuple[int, int, int] = (3, 3, 3)
    stem: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the five levels."""
        return tuple(min(self.base * 2**level, self.widest) for level in range(5))

    @property
    def multiple(self) -> int:
        """Every side of the field must be a multiple of this many voxels."""
        return 32 if self.stem else 16


def _block(conv: nn.Module, width: int, *, relu: bool = True) -> nn.Sequential:
    # Convolution, BatchNorm, ReLU in this order: only so can the export fold every BatchNorm.
    layers: list[nn.Module] = [conv, nn.BatchNorm3d(width, momentum=0.05)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class ResidualUnit(nn.Module):
    """Two convolutions and a shortcut that is added without a projection."""

    def __init__(self, channels_in: int, width: int, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.first = _block(
            nn.Conv3d(channels_in, width, kernel, padding=padding, bias=False), width
        )
        self.second = _block(
            nn.Conv3d(width, width, kernel, padding=padding, bias=False), width, relu=False
        )

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        """Return ReLU(second(first(x)) + shortcut)."""
        return torch.relu(self.second(self.first(x)) + shortcut)


class ResUNet(nn.Module):
    """Image (N, 1, S, R, C) to logits (N, classes, S, R, C); sides a multiple of 16, or 32."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths, kernel = architecture.widths, architecture.kernel
        self.stem = (
            _block(nn.Conv3d(1, widths[0], 2, stride=2, bias=False), widths[0])
            if architecture.stem
            else None
        )
        first = widths[0] if architecture.stem else 1
        self.encoder = nn.ModuleList(
            ResidualUnit(first if level == 0 else width, width, kernel)
            for level, width in enumerate(widths)
        )
        self.down = nn.ModuleList(
            _block(nn.Conv3d(above, below, 2, stride=2, bias=False), below)
            for above, below in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _block(nn.ConvTranspose3d(below, above, 2, stride=2, bias=False), above)
            for above, below in pairwise(widths)
        )
        self.decoder = nn.ModuleList(
            ResidualUnit(2 * width, width, kernel) for width in widths[:-1]
        )
        self.output = nn.Conv3d(widths[0], architecture.classes, 1)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits on the network's own grid: half resolution behind a stem."""
        x = image if self.stem is None else self.stem(image)
        skips = []
        for unit, down in zip(self.encoder[:-1], self.down, strict=True):
            skips.append(unit(x, x))
            x = down(skips[-1])
        x = self.encoder[-1](x, x)
        for level in reversed(range(len(skips))):
            x = self.up[level](x)
            x = self.decoder[level](torch.cat((skips[level], x), dim=1), x)
        return torch.as_tensor(self.output(x))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits at the resolution of `image`."""
        logits = self.features(image)
        if self.stem is None:
            return logits
        return nn.functional.interpolate(
            logits, scale_factor=2.0, mode="trilinear", align_corners=False
        )


def count_convolutions(network: nn.Module) -> int:
    """Count convolutions and transposed convolutions."""
    return sum(isinstance(m, nn.Conv3d | nn.ConvTranspose3d) for m in network.modules())
