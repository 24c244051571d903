"""What an engine is, and how a package's two networks are asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from models.package import Package


@dataclass(frozen=True, slots=True)
class Network:
    """One network of a package, as an engine has to know it.

    Attributes
    ----------
    path
        The ONNX file.
    fields
        Sizes that it is going to be asked for, smallest first.
    sha256
        Of the package: what an engine keeps between runs, it keeps by this.
    """

    path: Path
    fields: tuple[tuple[int, int, int], ...]
    sha256: str


def network_of(package: Package) -> Network:
    """Return the network that segments."""
    return Network(package.network, package.preprocessing.fields, package.sha256)


def localiser_of(package: Package) -> Network | None:
    """Return the network that looks coarsely first; None in a package of one step."""
    if package.localiser is None:
        return None
    return Network(package.localiser_network, package.localiser.fields, package.sha256)


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

    @property
    def description(self) -> EngineDescription:
        """What really runs."""
        ...

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel of a prepared image; both (slice, row, column)."""
        ...


@dataclass(frozen=True, slots=True)
class Segmenter:
    """The networks of a package on engines of one kind; without a localiser it has one step."""

    network: Engine
    localiser: Engine | None = None

    @property
    def description(self) -> EngineDescription:
        """What runs the network, and the localiser beside it."""
        return self.network.description

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel of the network's field."""
        return self.network.segment(image)

    def localise(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel of the localiser's field.

        Raises
        ------
        Unavailable
            If the package has one step.
        """
        if self.localiser is None:
            raise Unavailable(Code.PACKAGE_INVALID, "The package has no localiser.")
        return self.localiser.segment(image)


RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""Builds that install into one folder and overwrite each other."""
