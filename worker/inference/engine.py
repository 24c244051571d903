"""What an engine is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What really runs, as the engine itself reports it.

    Attributes
    ----------
    provider
        `TensorRT`, `CUDA`, `OpenVINO` or `ONNX Runtime CPU`.
    precision
        `fp32`, `fp16` or `bf16`: of the arithmetic, not of the file.
    device
        Name of the processor or card.
    versions
        Library to version.
    """

    provider: str
    precision: str
    device: str
    versions: Mapping[str, str]


class Engine(Protocol):
    """A network that is loaded and warm."""

    description: EngineDescription

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel of a prepared image; both (slice, row, column)."""
        ...


RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""Builds that install into one folder and overwrite each other."""
