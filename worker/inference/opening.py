"""Which engine is taken, and the proof that it does what the package says."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from models.package import GoldenCase, Package
from worker.inference import onnx_runtime, open_vino
from worker.inference.engine import (
    RUNTIMES,
    Engine,
    Network,
    Segmenter,
    localiser_of,
    network_of,
)

Opener = Callable[[Network], Engine]


def open_engine(package: Package, wanted: str = "auto") -> Segmenter:
    """Open the package's networks on one engine and run their golden cases on it.

    Parameters
    ----------
    package
        What to serve.
    wanted
        Key of `ENGINES`, or `auto`: the first of them that this machine has the parts for. What
        was chosen must then run; there is no silent step down to another one.

    Raises
    ------
    Unavailable
        If the engine cannot run here or does not reproduce a golden case.
    """
    refuse_two_runtimes()
    opener, coarse = _opener(wanted), localiser_of(package)
    segmenter = Segmenter(opener(network_of(package)), None if coarse is None else opener(coarse))
    prove(segmenter, package)
    return segmenter


def refuse_two_runtimes() -> None:
    """Refuse two builds of ONNX Runtime in one environment: one hides the other's providers."""
    present = [name for name in RUNTIMES if _installed(name)]
    if len(present) > 1:
        raise Unavailable(
            Code.ENGINE_TWO_RUNTIMES,
            f"Installed together: {', '.join(present)}. Uninstall all, then install one extra.",
        )


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _opener(wanted: str) -> Opener:
    engines: dict[str, tuple[Callable[[], bool], Opener]] = {
        "tensorrt": (onnx_runtime.has_tensorrt, onnx_runtime.open_tensorrt),
        "cuda": (onnx_runtime.has_cuda, onnx_runtime.open_cuda),
        "openvino": (open_vino.has_openvino, open_vino.open_openvino),
        "cpu": (onnx_runtime.has_runtime, onnx_runtime.open_cpu),
    }
    if wanted != "auto":
        if wanted not in engines:
            raise Unavailable(
                Code.ENGINE_ABSENT, f"There is no engine {wanted}: {', '.join(engines)} or auto."
            )
        return engines[wanted][1]
    for has, opener in engines.values():
        if has():
            return opener
    raise Unavailable(
        Code.ENGINE_ABSENT, "No engine is installed: pip install 'fontanelle[cpu]' or [gpu]."
    )


def prove(engine: Segmenter, package: Package) -> None:
    """Run the golden cases and compare the volume of every class.

    Raises
    ------
    Unavailable
        If one lies farther from its stored volume than the package allows.
    """
    steps = [(package.golden_case(), engine.segment, package.preprocessing)]
    if package.localiser is not None:
        golden = package.golden_case("localiser")
        steps.append((golden, engine.localise, package.localiser))
    for golden, ask, preprocessing in steps:
        worst_ml = _missed_voxels(golden, ask) * preprocessing.spacing_mm**3 / 1000.0
        if worst_ml > package.golden_tolerance_ml:
            raise Unavailable(
                Code.PACKAGE_GOLDEN,
                f"{engine.description.provider} misses the golden case by {worst_ml:.2f} mL; "
                f"{package.golden_tolerance_ml:.2f} mL are allowed.",
            )


def _missed_voxels(
    golden: GoldenCase, ask: Callable[[NDArray[np.float32]], NDArray[np.uint8]]
) -> int:
    """Return the largest difference of any class."""
    voxels = np.bincount(ask(golden.image).ravel(), minlength=256)
    return int(np.abs(voxels - golden.voxels).max())
