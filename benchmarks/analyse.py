"""How long one analysis takes, stage by stage, and what limits it.

    python -m benchmarks.analyse [--slices 224] [--runs 3] [--busy-anyway]

Writes a synthetic head as a DICOM series, opens the engine once, warms up, and prints Markdown:
the stages beside the design's budget, the network beside the machine's own matrix product, and
each peer in the same run. It refuses where the machine is busy, unless --busy-anyway; what it then
prints says so.
"""

import argparse
import gzip
import os
import platform
import resource
import statistics
import tempfile
import time
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as CodedConcept

from benchmarks.rates import gemm_gflop_per_s, gflop, least_s
from fontanelle.clock import SystemClock
from fontanelle.imaging.geometry import Grid, LabelArray
from fontanelle.imaging.series import read_study, sorted_instances
from fontanelle.norms.reference import shipped
from fontanelle.reports import segmentation as ours
from models.package import Package, find, load
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, write_series
from worker.inference.engine import Engine
from worker.inference.opening import open_engine
from worker.pipeline import Outcome, Tools, analyse_path

BUDGET_S = {
    "read": "0.3",
    "find_head": "0.2",
    "prepare": "0.2",
    "segment": "1.0 (base 16 + stem, scaled)",
    "restore": "0.4-0.6",
    "measure": "0.4",
    "render": "1.0",
}
"""Seconds on two free cores for 512 x 512 x 224, uncompressed, as the design allots them.

That of the network belongs to the served architecture; a full-resolution one has 2.7 to 4.4 s.
"""


EXTENT_MM = 140.0
IDLE_LOAD = 0.5
"""Above it somebody else computes too."""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--busy-anyway", action="store_true")
    arguments = parser.parse_args()
    load_before = os.getloadavg()[0]
    if load_before > IDLE_LOAD and not arguments.busy_anyway:
        raise SystemExit(
            f"The machine is busy (load {load_before:.1f}, at most {IDLE_LOAD}): no seconds are "
            "printed. --busy-anyway prints them with a warning."
        )
    package = load(find())
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder)
        write_series(series, make(Recipe()), _grid(arguments.slices), Header())
        engine = open_engine(package)
        tools = Tools(package, shipped("xi2025"), engine)
        _print_machine(arguments.slices, engine, load_before)
        outcome = _print_stages(series, tools, arguments.runs)
        _print_network(package, engine, arguments.runs)
        _print_peers(series, package, outcome, arguments.runs)


def _grid(slices: int) -> Grid:
    """Cover the same 140 mm by more or fewer slices: a shorter stack would hold no head."""
    return grid(View.AXIAL, Field(slices=slices, step_mm=EXTENT_MM / slices))


def _print_machine(slices: int, engine: Engine, load_before: float) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"Machine: {_processor()}, {cores} cores, load {load_before:.1f}; {platform.platform()}")
    print(f"Engine: {engine.description}")
    if load_before > IDLE_LOAD:
        print("The machine is busy: seconds are upper bounds, only ratios hold.")
    step_mm = EXTENT_MM / slices
    print(f"\nSeries: 512 x 512 x {slices} of {step_mm:g} mm, uncompressed, warm process\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    known = [flag for flag in ("avx2", "avx512f", "amx_tile") if f" {flag}" in flags]
    return f"{name} ({', '.join(known)})"


def _print_stages(series: Path, tools: Tools, runs: int) -> Outcome:
    outcomes, walls = [], []
    for _ in range(runs + 1):
        started = time.monotonic()
        outcome = analyse_path(series, tools, age_days=None, sex=None, clock=SystemClock())
        walls.append(time.monotonic() - started)
        _refuse_without_volumes(outcome)
        outcomes.append(outcome)
    print("| stage | median s | least s | budget s |\n|---|---|---|---|")
    for stage in outcomes[-1].result.timings_s:
        seconds = [outcome.result.timings_s[stage] for outcome in outcomes[1:]]
        print(f"| {stage} | {_median_least(seconds)} | {BUDGET_S.get(stage, '')} |")
    print(f"| **sum (wall)** | {_median_least(walls[1:])} | aim 5; 7.5 at most with BINARY |")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nPeak memory of the process: {peak_gb:.2f} GB (limit 4)\n")
    return outcomes[-1]


def _refuse_without_volumes(outcome: Outcome) -> None:
    """End where a run failed: it had less to do, and the steps below need its labels."""
    if outcome.result.volumes is None:
        codes = ", ".join(reason.code for reason in outcome.result.reasons)
        raise SystemExit(f"The synthetic head gave no volumes ({codes}): nothing is printed of it.")


def _median_least(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} | {min(seconds):.2f}"


def _print_network(package: Package, engine: Engine, runs: int) -> None:
    image = package.golden_case().image
    work = gflop(package.network, image.shape)
    gemm_rate = gemm_gflop_per_s()
    print(
        "| network on one field | least s | GFLOP/s | share of matrix product |\n|---|---|---|---|"
    )
    for wanted in ("openvino", "cpu"):
        other = open_engine(package, wanted)
        seconds = least_s(lambda other=other: other.segment(image), runs)  # type: ignore[misc]
        rate = work / seconds
        name = other.description.provider
        print(f"| {name} | {seconds:.2f} | {rate:.0f} | {100 * rate / gemm_rate:.0f} % |")
    if engine.description.provider in {"OpenVINO", "ONNX Runtime CPU"}:
        print("| CUDA | not run | | |\n| TensorRT | not run | | |")
    print(f"\n{work:.0f} GFLOP on {image.shape}; matrix product {gemm_rate:.0f} GFLOP/s\n")


def _print_peers(series: Path, package: Package, outcome: Outcome, runs: int) -> None:
    study = read_study(sorted(series.iterdir()))
    instances = sorted_instances(study.series[0])
    sources: list[Dataset] = [instance.header for instance in instances]
    labels = _labels(outcome, len(sources))
    mine = least_s(lambda: _saved(ours.render_segmentation(outcome.result, labels, sources)), runs)
    plain = least_s(lambda: _saved(_plain_highdicom(package, labels, sources)), runs)
    names = [str(instance.path) for instance in instances]
    reading = outcome.result.timings_s["read"]
    itk = least_s(lambda: sitk.ReadImage(names), runs)
    print("| step | ours s | peer | peer s | ratio |\n|---|---|---|---|---|")
    print(
        f"| BINARY SEG, rendered and written | {mine:.2f} | highdicom alone | {plain:.2f} | "
        f"{mine / plain:.2f} |"
    )
    print(
        f"| read, select, decode, admit | {reading:.2f} | SimpleITK.ReadImage (pixels only) | "
        f"{itk:.2f} | {reading / itk:.2f} |"
    )


def _labels(outcome: Outcome, slices: int) -> LabelArray:
    """Read the label array back from the rendered NIfTI."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(outcome.files["labels.nii.gz"]))
    array = np.asarray(image.dataobj, dtype=np.uint8).transpose(2, 1, 0)
    return LabelArray(np.ascontiguousarray(array), _grid(slices))


def _saved(dataset: Dataset) -> None:
    dataset.save_as(BytesIO(), enforce_file_format=True)


def _plain_highdicom(package: Package, labels: LabelArray, sources: list[Dataset]) -> Dataset:
    """Make the same segmentation by highdicom's constructor alone."""
    described = [
        SegmentDescription(
            segment_number=segment.code,
            segment_label=segment.label,
            segmented_property_category=codes.SCT.BodyStructure,
            segmented_property_type=CodedConcept(
                segment.property_type.value,
                segment.property_type.scheme,
                segment.property_type.meaning,
            ),
            algorithm_type="MANUAL",
        )
        for segment in package.region_set.segments
    ]
    return Segmentation(
        sources,
        labels.codes,
        "BINARY",
        described,
        series_instance_uid="1.2.3",
        series_number=1,
        sop_instance_uid="1.2.3.4",
        instance_number=1,
        manufacturer="Peer",
        manufacturer_model_name="Peer",
        software_versions="1",
        device_serial_number="1",
    )


if __name__ == "__main__":
    main()
