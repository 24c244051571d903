"""The segment step against the bare engine call on the same graph, and against the machine.

    python -m benchmarks.segment [--package NAME] [--runs 5]

Prints Markdown: seconds of `Engine.segment` and of the engine's own call on one field of 160 x 192
x 160 (aim: a ratio of at most 1.1), and the share that both reach of the machine's matrix product,
measured in the same run. On a busy machine seconds are upper bounds; ratios hold, as the calls
alternate.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.rates import gemm_gflop_per_s, gflop
from models.package import Package, find, load
from worker.inference.engine import Engine, Network, network_of
from worker.inference.onnx_runtime import open_cpu
from worker.inference.open_vino import has_bf16, open_openvino

FIELD = (160, 192, 160)
AIM = 1.1


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    package = load(find(arguments.package))
    image = _field(package)
    work = gflop(package.network, FIELD)
    rate = gemm_gflop_per_s()
    print(f"Package {package.name} {package.version}, field {FIELD}, {work:.0f} GFLOP")
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; ", end="")
    print(f"matrix product {rate:.0f} GFLOP/s\n")
    print(f"| engine | segment s | bare call s | ratio (aim {AIM}) | GFLOP/s | of matrix product |")
    print("|---|---|---|---|---|---|")
    for name, engine, bare in _engines(package, image):
        step_s, bare_s = _alternating(lambda e=engine: e.segment(image), bare, arguments.runs)  # type: ignore[misc]
        print(
            f"| {name} | {step_s:.2f} | {bare_s:.2f} | {step_s / bare_s:.2f} | "
            f"{work / step_s:.0f} | {100 * work / step_s / rate:.0f} % |"
        )


def _field(package: Package) -> NDArray[np.float32]:
    """Return the golden case on the benchmark's field, cut or padded by what lies outside."""
    golden = package.golden_case().image
    field = np.full(FIELD, golden.min(), dtype=np.float32)
    common = tuple(slice(0, min(a, b)) for a, b in zip(FIELD, golden.shape, strict=True))
    field[common] = golden[common]
    return field


def _engines(
    package: Package, image: NDArray[np.float32]
) -> list[tuple[str, Engine, Callable[[], object]]]:
    """Return each engine beside its library's own call on the same file."""
    network = network_of(package)
    found: list[tuple[str, Engine, Callable[[], object]]] = [
        ("OpenVINO fp32", open_openvino(network), _bare_openvino(network, image, "f32")),
        ("ONNX Runtime CPU fp32", open_cpu(network), _bare_runtime(network, image)),
    ]
    if has_bf16():
        lesser = open_openvino(network, "bf16")
        found.insert(1, ("OpenVINO bf16", lesser, _bare_openvino(network, image, "bf16")))
    return found


def _bare_openvino(
    network: Network, image: NDArray[np.float32], precision: str
) -> Callable[[], object]:
    """Return the call that OpenVINO's own examples make, at the same precision."""
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    model = openvino.Core().compile_model(str(network.path), "CPU", options)
    run = model.create_infer_request()
    batch = image[None, None]
    return lambda: run.infer([batch])


def _bare_runtime(network: Network, image: NDArray[np.float32]) -> Callable[[], object]:
    """Return the call that ONNX Runtime's own examples make."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(network.path), providers=["CPUExecutionProvider"])
    batch = image[None, None]
    return lambda: session.run(None, {"image": batch})


def _alternating(
    one: Callable[[], object], other: Callable[[], object], runs: int
) -> tuple[float, float]:
    """Time two calls in turn, so that a busy machine slows both alike; medians in seconds."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs + 1):
        for work, kept in zip((one, other), seconds, strict=True):
            started = time.monotonic()
            work()
            kept.append(time.monotonic() - started)
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


if __name__ == "__main__":
    main()
