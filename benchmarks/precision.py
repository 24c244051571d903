"""What fewer bits do to volumes: OpenVINO in bf16, and int8 by static quantisation.

    python -m benchmarks.precision [--package NAME] [--heads toddler_12mo head_04 head_20]

Runs the network on the golden case and on painted heads as the service would see them, in each
precision, and prints Markdown: the bias of each region's volume against OpenVINO in fp32, mean and
worst over the cases, seconds, and a verdict. A precision may be served only if no region's mean
bias reaches 0.5 %. Int8 is calibrated on other heads than it is judged on. Needs the extra `train`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from fontanelle.clock import SystemClock
from fontanelle.norms.reference import shipped
from models.package import Package, find, load
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid, scan
from worker.inference.engine import Engine, Network, network_of
from worker.inference.onnx_runtime import open_cpu
from worker.inference.open_vino import has_bf16, open_openvino
from worker.inference.opening import open_engine
from worker.measuring import Stopwatch, Tools, measure_image

BIAS_MAX_PERCENT = 0.5
CALIBRATED_ON = ("toddler_24mo", "head_13")
CALIBRATION_SIDES = (96, 128, 96)
"""Middle of the field: calibration keeps every layer's output at once."""
AS_A_CHILD_ML = 1030.0

Image = NDArray[np.float32]


@dataclass(slots=True)
class Heard:
    """An engine that keeps the last image it was asked about."""

    engine: Engine
    image: Image | None = None

    @property
    def description(self) -> object:
        """What runs."""
        return self.engine.description

    def segment(self, image: Image) -> NDArray[np.uint8]:
        """Keep the last image: the second look at a head, which counts."""
        self.image = image
        return self.engine.segment(image)


@dataclass(frozen=True, slots=True)
class Tried:
    """One precision on all cases: voxels (cases, classes) and the least seconds of a call."""

    name: str
    voxels: NDArray[np.int64]
    seconds: float


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package")
    parser.add_argument("--heads", nargs="+", default=["toddler_12mo", "head_04", "head_20"])
    arguments = parser.parse_args()
    package = load(find(arguments.package))
    cases = [package.golden_case().image, *(_seen(package, head) for head in arguments.heads)]
    network = network_of(package)
    exact = _tried("OpenVINO fp32", open_openvino(network), cases)
    others = [_tried("ONNX Runtime CPU fp32", open_cpu(network), cases)]
    if has_bf16():
        others.append(_tried("OpenVINO bf16", open_openvino(network, "bf16"), cases))
    with tempfile.TemporaryDirectory() as folder:
        quantised = _quantised(package, Path(folder) / "int8.onnx")
        others.append(_tried("OpenVINO int8", open_openvino(quantised), cases))
    _print(package, exact, others, arguments.heads)


def _seen(package: Package, head: str) -> Image:
    """Return what the network is given of a painted head of a child's size."""
    phantom = make(Recipe(label_map=head, intracranial_ml=AS_A_CHILD_ML))
    image, _ = scan(phantom, grid(View.AXIAL, Field(190, (224, 224), 1.0, 1.0)))
    engine = open_engine(package, "openvino")
    heard = Heard(engine.network)
    tools = Tools(
        package,
        shipped("xi2025"),
        replace(engine, network=heard),  # type: ignore[arg-type]
    )
    measure_image(image, tools, Stopwatch(SystemClock()))
    if heard.image is None:
        raise SystemExit(f"{head}: the localiser could not tell how the head lies.")
    return heard.image


def _tried(name: str, engine: Engine, cases: list[Image]) -> Tried:
    voxels, seconds = [], []
    for image in cases:
        started = time.monotonic()
        voxels.append(np.bincount(engine.segment(image).ravel(), minlength=13))
        seconds.append(time.monotonic() - started)
    return Tried(name, np.array(voxels), min(seconds))


class _Heads(CalibrationDataReader):  # type: ignore[misc]
    """Images for calibration, as ONNX Runtime asks for them."""

    def __init__(self, images: list[Image]) -> None:
        self._images: Iterator[Image] = iter(images)

    def get_next(self) -> dict[str, Image] | None:
        """Return the next image, None at the end."""
        image = next(self._images, None)
        return None if image is None else {"image": image[None, None]}


def _quantised(package: Package, path: Path) -> Network:
    """Quantise weights and activations to 8 bits (QDQ, per channel) and return that network."""
    images = [_middle(_seen(package, head)) for head in CALIBRATED_ON]
    images += [np.ascontiguousarray(image[:, :, ::-1]) for image in images]
    quantize_static(
        str(package.network),
        str(path),
        _Heads(images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "Concat", "Relu"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    return replace(network_of(package), path=path)


def _middle(image: Image) -> Image:
    cut = tuple(
        slice((side - min(side, wanted)) // 2, (side + min(side, wanted)) // 2)
        for side, wanted in zip(image.shape, CALIBRATION_SIDES, strict=True)
    )
    return np.ascontiguousarray(image[cut])


def _print(package: Package, exact: Tried, others: list[Tried], heads: list[str]) -> None:
    print(f"Package {package.name} {package.version}: golden case and {', '.join(heads)}.")
    print(f"OpenVINO fp32: {exact.seconds:.2f} s a call.\n")
    print(f"| region | {' | '.join(f'{one.name}: mean, worst %' for one in others)} |")
    print(f"|---|{'---|' * len(others)}")
    for segment in package.region_set.segments:
        cells = []
        for one in others:
            bias = _bias_percent(one, exact)[:, segment.code]
            cells.append(f"{bias.mean():+.2f}, {bias[np.abs(bias).argmax()]:+.2f}")
        print(f"| {segment.label} | {' | '.join(cells)} |")
    codes = [region.code for region in package.region_set.regions]
    print()
    for one in others:
        worst = float(np.abs(_bias_percent(one, exact)[:, codes].mean(axis=0)).max())
        may = "may be served" if worst < BIAS_MAX_PERCENT else "is not served"
        print(
            f"- {one.name}: {one.seconds / exact.seconds:.2f} x the time; largest mean bias "
            f"{worst:.2f} % of a region (limit {BIAS_MAX_PERCENT} %): {may}."
        )


def _bias_percent(one: Tried, exact: Tried) -> NDArray[np.float64]:
    """Return the difference of each class in each case, percent; shape (cases, classes)."""
    return np.asarray(100.0 * (one.voxels - exact.voxels) / np.maximum(exact.voxels, 1))


if __name__ == "__main__":
    main()
