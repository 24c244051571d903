"""ONNX Runtime: CUDA and TensorRT where there is a card, its CPU provider as the reference."""

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
from models.package import Package
from worker.inference.engine import RUNTIMES, EngineDescription

_NAMES = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
    "CPUExecutionProvider": "ONNX Runtime CPU",
}


def has_runtime() -> bool:
    """Return whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


def has_cuda() -> bool:
    """Return whether there are an NVIDIA card and a build of ONNX Runtime for it."""
    return Path("/dev/nvidia0").exists() and "CUDAExecutionProvider" in _providers()


def has_tensorrt() -> bool:
    """Return whether TensorRT is installed beside a build for CUDA."""
    return has_cuda() and find_spec("tensorrt") is not None


def _providers() -> list[str]:
    if not has_runtime():
        return []
    import onnxruntime

    return list(onnxruntime.get_available_providers())


class OnnxRuntimeEngine:
    """A session whose first provider is the one that was asked for, and no other."""

    def __init__(
        self, package: Package, provider: str, options: Mapping[str, Any], precision: str
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
            str(package.network), settings, providers=[(provider, dict(options))]
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
    models = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = models[0].read_text().splitlines() if models else []
    return next((line.split(":", 1)[1].strip() for line in lines if "Model" in line), "NVIDIA")


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in (*RUNTIMES, "tensorrt-cu13"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _open(
    package: Package, provider: str, options: Mapping[str, Any], precision: str
) -> OnnxRuntimeEngine:
    if provider not in _providers():
        raise Unavailable(
            Code.ENGINE_ABSENT, f"This ONNX Runtime was built without {_NAMES[provider]}."
        )
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail

    try:
        return OnnxRuntimeEngine(package, provider, options, precision)
    except (EPFail, Fail, RuntimeError) as error:
        raise Unavailable(
            Code.ENGINE_ABSENT, f"{_NAMES[provider]} cannot run the network here."
        ) from error


def open_cpu(package: Package) -> OnnxRuntimeEngine:
    """Open the CPU provider."""
    return _open(package, "CPUExecutionProvider", {}, "fp32")


def open_cuda(package: Package) -> OnnxRuntimeEngine:
    """Open CUDA; TF32 is off, so that the precision is what it says."""
    options = {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
    }
    return _open(package, "CUDAExecutionProvider", options, "fp32")


def open_tensorrt(package: Package) -> OnnxRuntimeEngine:
    """Open TensorRT in fp32; engines are kept under the package's digest and TensorRT's version."""
    cache = Path.home() / ".cache" / "fontanelle" / "tensorrt" / package.sha256[:16]
    cache.mkdir(parents=True, exist_ok=True)
    shapes = [f"image:1x1x{s}x{r}x{c}" for s, r, c in package.preprocessing.fields]
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(cache),
        "trt_profile_min_shapes": shapes[0],
        "trt_profile_opt_shapes": shapes[0],
        "trt_profile_max_shapes": shapes[-1],
    }
    return _open(package, "TensorrtExecutionProvider", options, "fp32")
