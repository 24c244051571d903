"""OpenVINO: the fast path on a CPU."""

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from worker.inference.engine import EngineDescription, Network


def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return find_spec("openvino") is not None


Precision = Literal["fp32", "bf16"]
_HINTS: Final[dict[Precision, str]] = {"fp32": "f32", "bf16": "bf16"}


def has_bf16() -> bool:
    """Return whether the processor multiplies bf16 itself; else a hint is obeyed by emulation."""
    return has_openvino() and "BF16" in _capabilities()


def _capabilities() -> list[str]:
    return list(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _core() -> Any:  # noqa: ANN401 (openvino has no types)
    # Without this the import reports itself to Google Analytics, under an id kept in HOME.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino.Core()


class OpenVinoEngine:
    """A compiled network; one request, all cores."""

    def __init__(self, network: Network, precision: Precision = "fp32") -> None:
        core = _core()
        # fp32 is asked for in words: on a CPU with bf16 instructions OpenVINO takes them unasked.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(len(os.sched_getaffinity(0))),
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        self._model = core.compile_model(str(network.path), "CPU", options)
        self._request = self._model.create_infer_request()
        self.description = EngineDescription(
            provider="OpenVINO",
            precision=_precision(str(self._model.get_property("INFERENCE_PRECISION_HINT"))),
            device=str(core.get_property("CPU", "FULL_DEVICE_NAME")),
            versions={"openvino": version("openvino")},
        )

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel."""
        found = self._request.infer([image[None, None]], share_inputs=True)
        return np.asarray(found[0][0], dtype=np.uint8)


def _precision(hint: str) -> str:
    for name, short in (("float32", "fp32"), ("bfloat16", "bf16"), ("float16", "fp16")):
        if name in hint or hint == f"f{name[5:]}":
            return short
    return hint


def open_openvino(network: Network, precision: Precision = "fp32") -> OpenVinoEngine:
    """Compile a network for the CPU.

    Parameters
    ----------
    network
        Of a package.
    precision
        bf16 is never taken unasked: it moves volumes, by how much benchmarks/precision.py says.

    Raises
    ------
    Unavailable
        If OpenVINO is absent or cannot compile the network, or the processor has no bf16.
    """
    if not has_openvino():
        raise Unavailable(
            Code.ENGINE_ABSENT, "OpenVINO is not installed: pip install 'fontanelle[cpu]'."
        )
    if precision == "bf16" and not has_bf16():
        raise Unavailable(
            Code.ENGINE_ABSENT, "This processor has no bf16 instructions; fp32 is faster here."
        )
    try:
        return OpenVinoEngine(network, precision)
    except RuntimeError as error:
        raise Unavailable(Code.ENGINE_ABSENT, "OpenVINO cannot compile the network.") from error


def open_openvino_bf16(network: Network) -> OpenVinoEngine:
    """Compile a network for a CPU with bf16 instructions, as `open_openvino`."""
    return open_openvino(network, "bf16")
