"""What the two preprocessings cost, and what a network makes of either.

    python -m benchmarks.preprocessing [--slices 224] [--runs 3] [--seconds 0]

Takes a synthetic head of 512 x 512 pixels a slice to a field of 1 mm: the HU window, which is
served, and the chain of Xi et al. 2025 (linear resampling to 1 mm, adaptive histogram equalisation,
threshold skull strip). With --seconds, the ResU-Net behind a stem is trained for so many
CPU-seconds on either, as `benchmarks.networks` does, and tried on held-out heads.
"""

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

from fontanelle.imaging.geometry import Geometry, Image
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.prepare import Preprocessing, prepared_on
from models.phantom.head import CENTER_LPS_MM, Recipe, make
from models.phantom.scan import Field, View, grid, scan

EXTENT_MM = 140.0
FIELD = (160, 192, 160)
"""Of 1 mm, as the paper has it."""
WINDOW_HU = (-30.0, 130.0)
OUTSIDE_HU = -1024.0
NAMES = ("hu_window", "equalised")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.0, help="CPU-seconds of training")
    parser.add_argument("--samples", type=int, default=400, help="length of the stream")
    arguments = parser.parse_args()
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(
        f"{cores} cores, load {load:.1f}; {arguments.slices} slices of 512 x 512, field {FIELD}\n"
    )
    print(prices(arguments.slices, arguments.runs))
    if arguments.seconds:
        print(accuracies(arguments.seconds, arguments.samples))


def prices(slices: int, runs: int, shape: tuple[int, int, int] = FIELD) -> str:
    """Return the table of seconds a scan; resampling is part of both."""
    field = Field(slices=slices, step_mm=EXTENT_MM / slices)
    image, _ = scan(make(Recipe()), grid(View.AXIAL, field))
    lines = ["| preprocessing | least s | least CPU-s |", "|---|---|---|"]
    for name in NAMES:
        seconds, cpu_s = _least(_work(image, name, shape), runs)
        lines.append(f"| {name} | {seconds:.3f} | {cpu_s:.3f} |")
    return "\n".join(lines) + "\n"


def _work(image: Image, name: str, shape: tuple[int, int, int]) -> Callable[[], object]:
    preprocessing = Preprocessing(name, *WINDOW_HU, OUTSIDE_HU, 1.0, (shape,))
    target = _field(shape)
    return lambda: prepared_on(target, image, preprocessing)


def _field(shape: tuple[int, int, int]) -> Geometry:
    half_mm = (np.array(shape[::-1]) - 1) / 2
    return axis_aligned(shape, 1.0, np.array(CENTER_LPS_MM) - half_mm)


def _least(work: Callable[[], object], runs: int) -> tuple[float, float]:
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.monotonic(), time.process_time()
        work()
        walls.append(time.monotonic() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def accuracies(seconds: float, samples: int) -> str:
    """Return the table of the network trained on either."""
    # Torch is needed for this part only.
    from benchmarks import networks
    from benchmarks.trial import SPACING_MM, Preparation
    from models.training.config import TrainingConfig, config_text

    config = TrainingConfig.parse(config_text(networks.DATA))
    stem = next(one for one in networks.CANDIDATES if one.architecture.stem)
    parts = []
    for name in NAMES:
        preparation = Preparation(name, config.window_hu, SPACING_MM)
        rows = networks.compared(config, preparation, (stem,), seconds, samples)
        parts.append(f"{name}\n\n{networks.as_markdown(rows)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
