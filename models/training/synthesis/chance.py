"""Random numbers of a synthesis; the same seed gives the same sequence."""

import math

import torch
from torch.nn import functional

Field = tuple[int, int, int]


class Chance:
    """One stream of random numbers."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)

    def happens(self, probability: float) -> bool:
        """Return True with the given probability."""
        return float(torch.rand((), generator=self._random)) < probability

    def uniform(self, low: float, high: float) -> float:
        """Draw between two ends."""
        return low + (high - low) * float(torch.rand((), generator=self._random))

    def uniforms(self, low: float, high: float, count: int) -> torch.Tensor:
        """Draw several between two ends."""
        return low + (high - low) * torch.rand(count, generator=self._random)

    def normal(self, *shape: int) -> torch.Tensor:
        """Draw from the standard normal distribution."""
        return torch.randn(shape, generator=self._random)

    def choose(self, weights: torch.Tensor) -> int:
        """Draw an index in proportion to weights."""
        return int(torch.multinomial(weights, 1, generator=self._random))

    def permuted(self, count: int) -> list[int]:
        """Return the numbers below `count` in random order."""
        return [int(i) for i in torch.randperm(count, generator=self._random)]

    def smooth(self, field: Field, step: float, channels: int = 1) -> torch.Tensor:
        """Return noise of SD near 1 that varies over `step` voxels; shape (channels, *field)."""
        coarse = [max(2, math.ceil(side / step) + 1) for side in field]
        return functional.interpolate(
            self.normal(1, channels, *coarse), size=field, mode="trilinear", align_corners=True
        )[0]
