"""From HU to what a network sees. The same function serves training (torch) and service (numpy)."""

from typing import Protocol, Self, TypeVar


class _Array(Protocol):
    def clip(self, low: float, high: float, /) -> Self: ...
    def __sub__(self, other: float, /) -> Self: ...
    def __truediv__(self, other: float, /) -> Self: ...


A = TypeVar("A", bound=_Array)


def windowed(image_hu: A, low_hu: float, high_hu: float) -> A:
    """Clip to a window and scale it to -1..1.

    Parameters
    ----------
    image_hu
        HU, float, any shape; numpy array or torch tensor.
    low_hu, high_hu
        Ends of the window.
    """
    middle, half = (low_hu + high_hu) / 2, (high_hu - low_hu) / 2
    return (image_hu.clip(low_hu, high_hu) - middle) / half
