"""OpenVINO: the fast path on a CPU."""

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from worker.inference.engine import EngineDescription, Network


def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return find_spec("openvino") is not None


class OpenVinoEngine:
    """A compiled network; one request, all cores."""

    def __init__(self, network: Network) -> None:
        # Without this the import reports itself to Google Analytics, under an id kept in HOME.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        import openvino

        core = openvino.Core()
        # fp32 is asked for in words: on a CPU without bf16 instructions a bf16 hint is obeyed by
        # emulation, and on one with them OpenVINO would take it unasked.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(len(os.sched_getaffinity(0))),
            "INFERENCE_PRECISION_HINT": "f32",
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


def open_openvino(network: Network) -> OpenVinoEngine:
    """Compile a network for the CPU.

    Raises
    ------
    Unavailable
        If OpenVINO is absent or cannot compile the network.
    """
    if not has_openvino():
        raise Unavailable(
            Code.ENGINE_ABSENT, "OpenVINO is not installed: pip install 'fontanelle[cpu]'."
        )
    try:
        return OpenVinoEngine(network)
    except RuntimeError as error:
        raise Unavailable(Code.ENGINE_ABSENT, "OpenVINO cannot compile the network.") from error
