"""What all networks share: the description they are built from, their interface, their blocks."""

from dataclasses import dataclass

import torch
from torch import nn

Kernel = tuple[int, int, int]
Corner = tuple[int, int, int]


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
        Whether a 2x2x2 convolution of stride 2 comes first; a transposed one then comes last.
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

    output: nn.Conv3d | nn.ConvTranspose3d

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the last layer makes logits of, on the network's own grid.

        Behind a stem that has half the resolution.
        """
        raise NotImplementedError

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits at the resolution of `image`."""
        return torch.as_tensor(self.output(self.features(image)))

    def logits_from(self, features: torch.Tensor, corner: Corner) -> torch.Tensor:
        """Return the logits of every `step`-th voxel of the image, from `corner` on.

        Behind a stem these are an eighth of all, at an eighth of the cost.
        """
        if self.architecture.step == 1:
            return torch.as_tensor(self.output(features))
        s, r, c = corner
        weight = self.output.weight[:, :, s, r, c].t()[:, :, None, None, None]
        return nn.functional.conv3d(features, weight, self.output.bias)


def last(width: int, architecture: Architecture) -> nn.Conv3d | nn.ConvTranspose3d:
    """Return the layer that turns features into logits at the image's resolution.

    Behind a stem each feature voxel says what its eight voxels are. Logits interpolated between
    feature voxels cannot: sulci are narrower than two voxels, and even perfect labels lose a tenth
    of the outer CSF to parenchyma on that way.
    """
    if architecture.step == 1:
        return nn.Conv3d(width, architecture.classes, 1)
    return nn.ConvTranspose3d(width, architecture.classes, 2, stride=2)


def block(conv: nn.Module, width: int, *after: nn.Module) -> nn.Sequential:
    """Return convolution, BatchNorm, activation: only in this order can the export fold."""
    return nn.Sequential(conv, nn.BatchNorm3d(width, momentum=0.05), *after)


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
