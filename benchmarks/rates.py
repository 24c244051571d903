"""What a network costs and what the machine can do: shared by the benchmarks of engines."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

GEMM_SIDE = 2048


def least_s(work: Callable[[], object], runs: int) -> float:
    """Return the shortest of some runs after one to warm up, seconds."""
    work()
    times = []
    for _ in range(runs):
        started = time.monotonic()
        work()
        times.append(time.monotonic() - started)
    return min(times)


def gemm_gflop_per_s(runs: int = 5) -> float:
    """Return the rate of a float32 matrix product of numpy, GFLOP/s."""
    left = np.random.default_rng(0).random((GEMM_SIDE, GEMM_SIDE), dtype=np.float32)
    return 2 * GEMM_SIDE**3 / 1e9 / least_s(lambda: left @ left, runs)


def gflop(network: Path, shape: tuple[int, ...]) -> float:
    """Count the multiply-adds of all convolutions on a field, twice, in GFLOP."""
    import openvino

    model = openvino.Core().read_model(str(network))
    model.reshape([1, 1, *shape])
    macs = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() not in {"Convolution", "ConvolutionBackpropData"}:
            continue
        weights = list(node.input(1).get_shape())
        up = node.get_type_name() == "ConvolutionBackpropData"
        spread = list(node.input(0).get_shape())[2:] if up else list(node.output(0).get_shape())[2:]
        macs += int(np.prod(weights)) * int(np.prod(spread))
    return 2 * macs / 1e9
