"""The 3-D U-Net of Çiçek et al. 2016 (doi 10.1007/978-3-319-46723-8_49): 18 convolutions.

Four levels of two convolutions each, the second of which doubles the channels before the maximum
over 2x2x2 is taken; transposed convolutions up, which have neither bias nor activation. As
published base is 32 and widest 512. Kept from it: BatchNorm before each ReLU. Changed: borders are
padded, so that the field comes out as large as it went in.
"""

from itertools import pairwise

import torch
from torch import nn

from models.networks.architecture import Architecture, Kernel, Network, block, doubled, last, same


class UNet3D(Network):
    """Image (N, 1, S, R, C) to logits (N, classes, S, R, C); sides a multiple of 8."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        kernel = architecture.kernel
        # What leaves a level is twice as wide as what its first convolution makes of its input.
        widths = architecture.widths
        outs = tuple(min(2 * width, architecture.widest) for width in widths)
        self.encoder = nn.ModuleList(
            _pair(1 if level == 0 else outs[level - 1], width, out, kernel)
            for level, (width, out) in enumerate(zip(widths, outs, strict=True))
        )
        self.down = nn.MaxPool3d(2)
        self.up = nn.ModuleList(doubled(below, below) for _, below in pairwise(outs))
        self.decoder = nn.ModuleList(
            _pair(above + below, above, above, kernel) for above, below in pairwise(outs)
        )
        self.output = last(outs[0], architecture)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return features; the network's own grid is the image's."""
        x, skips = image, []
        for pair in self.encoder[:-1]:
            skips.append(pair(x))
            x = self.down(skips[-1])
        x = self.encoder[-1](x)
        for level in reversed(range(len(skips))):
            x = torch.cat((skips[level], self.up[level](x)), dim=1)
            x = self.decoder[level](x)
        return torch.as_tensor(x)


def _pair(channels_in: int, middle: int, out: int, kernel: Kernel) -> nn.Sequential:
    return nn.Sequential(
        block(same(channels_in, middle, kernel), middle, nn.ReLU(inplace=True)),
        block(same(middle, out, kernel), out, nn.ReLU(inplace=True)),
    )
