"""ONNX Runtime: CUDA and TensorRT where there is a card, its CPU provider as the reference."""

import ctypes
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from worker.inference.engine import RUNTIMES, EngineDescription, Network

_NAMES = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
    "CPUExecutionProvider": "ONNX Runtime CPU",
}


_FP32 = "fp32"
"""True of CUDA and TensorRT only after `_turn_off_tf32`."""


def has_runtime() -> bool:
    """Return whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


def has_cuda() -> bool:
    """Return whether there are an NVIDIA card and a build of ONNX Runtime for it."""
    return bool(_cards()) and "CUDAExecutionProvider" in _providers()


def has_tensorrt() -> bool:
    """Return whether TensorRT is installed beside a build for CUDA."""
    return has_cuda() and find_spec("tensorrt") is not None


def _cards() -> list[Path]:
    """Return the device nodes of cards; a container may be given any one of them."""
    return sorted(Path("/dev").glob("nvidia[0-9]*"))


def _providers() -> list[str]:
    if not has_runtime():
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


class OnnxRuntimeEngine:
    """A session whose first provider is the one that was asked for, and no other."""

    def __init__(
        self, network: Network, provider: str, options: Mapping[str, Any], precision: str
    ) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        if provider == "CPUExecutionProvider":
            settings.enable_cpu_mem_arena = False
            settings.intra_op_num_threads = len(os.sched_getaffinity(0))
            settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        else:
            # Without this a missing library is a log line, and the CPU works in silence.
            settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            onnxruntime.preload_dlls()
        self._session = onnxruntime.InferenceSession(
            str(network.path), settings, providers=[(provider, dict(options))]
        )
        running = self._session.get_providers()[0]
        if running != provider:
            raise Unavailable(
                Code.ENGINE_ABSENT, f"{_NAMES[provider]} was asked for, {running} came."
            )
        self.description = EngineDescription(
            provider=_NAMES[provider],
            precision=precision,
            device=_device(provider),
            versions=_versions(),
        )

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the class of each voxel."""
        found = self._session.run(None, {"image": image[None, None]})
        return np.asarray(found[0][0], dtype=np.uint8)


def _device(provider: str) -> str:
    if provider == "CPUExecutionProvider":
        return platform.processor() or platform.machine()
    return _first_card() or "NVIDIA"


def _first_card() -> str | None:
    """Return the name of CUDA's device 0, on which sessions run; None where CUDA does not say.

    CUDA itself is asked: it alone knows what CUDA_VISIBLE_DEVICES leaves, and in which order.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    # Each call returns 0 where it succeeded.
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if cuda.cuDeviceGetName(name, len(name), device):
        return None
    return name.value.decode()


def _turn_off_tf32() -> None:
    """Let NVIDIA's libraries multiply in fp32: from Ampere on they take TF32 (10 bits) unasked.

    TensorRT's provider has no option for it. The libraries read the variable once, when a
    process's first session opens.
    """
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in (*RUNTIMES, "tensorrt-cu13"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _open(
    network: Network, provider: str, options: Mapping[str, Any], precision: str
) -> OnnxRuntimeEngine:
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail

    try:
        return OnnxRuntimeEngine(network, provider, options, precision)
    except (EPFail, Fail, RuntimeError) as error:
        raise Unavailable(
            Code.ENGINE_ABSENT, f"{_NAMES[provider]} cannot run the network here."
        ) from error


def _require(provider: str) -> None:
    if provider not in _providers():
        raise Unavailable(
            Code.ENGINE_ABSENT, f"This ONNX Runtime was built without {_NAMES[provider]}."
        )


def open_cpu(network: Network) -> OnnxRuntimeEngine:
    """Open the CPU provider."""
    _require("CPUExecutionProvider")
    return _open(network, "CPUExecutionProvider", {}, _FP32)


def open_cuda(network: Network) -> OnnxRuntimeEngine:
    """Open CUDA; TF32 is off, so that the precision is what it says."""
    _require("CUDAExecutionProvider")
    _turn_off_tf32()
    options = {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
    }
    return _open(network, "CUDAExecutionProvider", options, _FP32)


def open_tensorrt(network: Network) -> OnnxRuntimeEngine:
    """Open TensorRT; TF32 is off, so that the precision is what it says.

    Engines are kept by package, network, TensorRT's version and precision: one built with TF32
    would be taken as it is.
    """
    _require("TensorrtExecutionProvider")
    _turn_off_tf32()
    built_by = _versions().get("tensorrt-cu13", "unknown")
    kept = Path.home() / ".cache" / "fontanelle" / "tensorrt"
    cache = kept / network.sha256[:16] / network.path.stem / f"{built_by}-{_FP32}"
    cache.mkdir(parents=True, exist_ok=True)
    shapes = [f"image:1x1x{s}x{r}x{c}" for s, r, c in network.fields]
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        "trt_profile_min_shapes": shapes[0],
        "trt_profile_opt_shapes": shapes[0],
        "trt_profile_max_shapes": shapes[-1],
    }
    return _open(network, "TensorrtExecutionProvider", options, _FP32)
