"""What all networks share: the description they are built from, their interface, their blocks."""

from dataclasses import dataclass

import torch
from torch import nn

Kernel = tuple[int, int, int]


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
        Convolution kernel along (slice, row, column), odd: (3, 3, 3), (1, 3, 3), (5, 5, 5).
    stem
        Whether a 2x2x2 convolution of stride 2 comes first; logits are then interpolated back.
    kind
        Key of `models.network.NETWORKS`.
    """

    classes: int
    base: int = 16
    widest: int = 128
    kernel: Kernel = (3, 3, 3)
    stem: bool = False
    kind: str = "resunet"

    @property
    def levels(self) -> int:
        """Resolutions between the image's and the coarsest, both counted, the stem's not."""
        return 4 if self.kind == "unet3d" else 5

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the levels."""
        return tuple(min(self.base * 2**level, self.widest) for level in range(self.levels))

    @property
    def step(self) -> int:
        """Voxels of the image along one voxel of the network's own grid."""
        return 2 if self.stem else 1

    @property
    def multiple(self) -> int:
        """Every side of the field must be a multiple of this many voxels."""
        return self.step << (self.levels - 1)


class Network(nn.Module):
    """Image (N, 1, S, R, C) to logits (N, classes, S, R, C)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits on the network's own grid: half resolution behind a stem."""
        raise NotImplementedError

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits at the resolution of `image`."""
        logits = self.features(image)
        step = self.architecture.step
        if step == 1:
            return logits
        return nn.functional.interpolate(
            logits, scale_factor=float(step), mode="trilinear", align_corners=False
        )


def block(conv: nn.Module, width: int, *last: nn.Module) -> nn.Sequential:
    """Return convolution, BatchNorm, activation: only in this order can the export fold."""
    return nn.Sequential(conv, nn.BatchNorm3d(width, momentum=0.05), *last)


def same(channels_in: int, width: int, kernel: Kernel) -> nn.Conv3d:
    """Return a convolution that keeps the field's size; its bias is the BatchNorm's."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(channels_in, width, kernel, padding=padding, bias=False)


def halved(above: int, below: int) -> nn.Conv3d:
    """Return the 2x2x2 convolution of stride 2 that leads one level down."""
    return nn.Conv3d(above, below, 2, stride=2, bias=False)


def doubled(below: int, above: int) -> nn.ConvTranspose3d:
    """Return the transposed 2x2x2 convolution of stride 2 that leads one level up."""
    return nn.ConvTranspose3d(below, above, 2, stride=2, bias=False)
