"""The paper's comparison on the same data and budget: which network measures best for its cost.

    python -m benchmarks.networks [--seconds 300] [--spacing-mm 3] [--preprocessing hu_window]

Each network learns from one stream of synthesised heads, the same samples in the same order, until
it has used so many CPU-seconds; it is then tried on held-out heads that another painter drew
(`models.phantom`), brought upright by their true pose, so that networks are compared and nothing
else. Prints one Markdown table. Spacing and budget are coarse: the order of the networks is what
it can show, not what they reach.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import openvino
import torch

from benchmarks.trial import (
    ANGLES_DEG,
    BATCH,
    CLASSES,
    FIELD,
    SEED,
    SPACING_MM,
    Preparation,
    Stream,
    held_out,
    trained,
    tried,
)
from models.export.to_onnx import Served, export_onnx, folded
from models.network import Architecture, Network, build, count_convolutions
from models.training import heads
from models.training.config import TrainingConfig, config_text
from models.training.losses import LOSSES
from models.training.train import has_bf16

DATA: Final = "canonical32"
"""Configuration whose protocol, heads and window are taken."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network and the loss that it is trained by."""

    name: str
    architecture: Architecture
    loss: str = "dice_ce"


CANDIDATES: Final = (
    Candidate("ResU-Net (3,3,3), base 16", Architecture(CLASSES)),
    Candidate("ResU-Net (1,3,3), base 16", Architecture(CLASSES, kernel=(1, 3, 3))),
    Candidate("3-D U-Net, base 8", Architecture(CLASSES, base=8, kind="unet3d")),
    Candidate("V-Net, base 12", Architecture(CLASSES, base=12, widest=192, kind="vnet"), "dice_l2"),
    Candidate("ResU-Net (3,3,3) behind a stem, base 32", Architecture(CLASSES, base=32, stem=True)),
)
"""Of about the same cost, but for (1,3,3) and the stem, whose point is to cost less."""
AS_PUBLISHED: Final = (
    Candidate("3-D U-Net as published", Architecture(CLASSES, base=32, widest=512, kind="unet3d")),
    Candidate(
        "V-Net as published",
        Architecture(CLASSES, base=16, widest=256, kernel=(5, 5, 5), kind="vnet"),
        "dice_l2",
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is printed of one network."""

    candidate: Candidate
    parameters: int
    convolutions: int
    inference_s: float
    iterations: int
    cpu_s: float
    dice: float
    errors_percent: tuple[float, ...]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="CPU-seconds a network")
    parser.add_argument("--spacing-mm", type=float, default=SPACING_MM)
    parser.add_argument("--samples", type=int, default=800, help="length of the stream")
    parser.add_argument("--preprocessing", choices=["hu_window", "equalised"], default="hu_window")
    parser.add_argument("--published", action="store_true", help="two more, as wide as published")
    arguments = parser.parse_args()
    config = TrainingConfig.parse(config_text(DATA))
    preparation = Preparation(arguments.preprocessing, config.window_hu, arguments.spacing_mm)
    print(_conditions(preparation, arguments.seconds, arguments.samples))
    candidates = (*CANDIDATES, *(AS_PUBLISHED if arguments.published else ()))
    print(as_markdown(compared(config, preparation, candidates, arguments.seconds,
                               arguments.samples)))  # fmt: skip


def compared(
    config: TrainingConfig,
    preparation: Preparation,
    candidates: Sequence[Candidate],
    seconds: float,
    samples: int,
) -> list[Row]:
    """Train, try and time every candidate."""
    stream = Stream(config, preparation, samples)
    cases = held_out(config, preparation)
    rows = []
    for candidate in candidates:
        torch.manual_seed(SEED)
        network = build(candidate.architecture).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        iterations, cpu_s = trained(network, LOSSES[candidate.loss], stream, seconds)
        dice, errors = tried(network, cases)
        print(f"{candidate.name}: {iterations} iterations, Dice {dice:.3f}", file=sys.stderr)
        rows.append(
            Row(
                candidate,
                sum(weights.numel() for weights in network.parameters()),
                count_convolutions(network),
                timed(network),
                iterations,
                cpu_s,
                dice,
                errors,
            )
        )
    return rows


def timed(network: Network, runs: int = 3) -> float:
    """Return the least seconds of one inference on the served field, OpenVINO in fp32."""
    field = heads.CANONICAL.field
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(Served(folded(network)), path, FIELD)
        model = core.read_model(str(path))
        model.reshape([1, 1, *field])
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(model, "CPU", settings)
    image = np.zeros((1, 1, *field), dtype=np.float32)
    seconds = []
    for _ in range(runs + 1):
        started = time.monotonic()
        compiled(image)
        seconds.append(time.monotonic() - started)
    return min(seconds[1:])


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    lines = [
        "| network | loss | parameters, M | convolutions | s an inference | iterations | CPU-s | "
        "Dice | volume error, %: median | mean | bias |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        absolute = [abs(error) for error in row.errors_percent]
        lines.append(
            f"| {row.candidate.name} | {row.candidate.loss} | {row.parameters / 1e6:.2f} | "
            f"{row.convolutions} | {row.inference_s:.2f} | {row.iterations} | {row.cpu_s:.0f} | "
            f"{row.dice:.3f} | {statistics.median(absolute):.1f} | "
            f"{statistics.fmean(absolute):.1f} | {statistics.fmean(row.errors_percent):+.1f} |"
        )
    return "\n".join(lines)


def _conditions(preparation: Preparation, seconds: float, samples: int) -> str:
    precision = "bf16 (autocast)" if has_bf16(torch.device("cpu")) else "fp32"
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    served = " x ".join(str(side) for side in heads.CANONICAL.field)
    return (
        f"{cores} cores, load {load:.1f}; torch {torch.__version__}, OpenVINO "
        f"{openvino.__version__.split('-')[0]}\n"
        f"Training: {seconds:g} CPU-seconds a network in {precision}, batch {BATCH}, fields of "
        f"{' x '.join(map(str, FIELD))} voxels of {preparation.spacing_mm:g} mm, "
        f"{preparation.name}, the same {samples} samples in turn\n"
        f"Tried on: {', '.join(heads.HELD_OUT)}, each in {len(ANGLES_DEG)} poses, at the same "
        f"spacing; compartments of ten regions\n"
        f"Inference: OpenVINO fp32 on the served field, {served}, least of three\n"
    )


if __name__ == "__main__":
    main()
