"""Precisions of the shipped package: equal volumes per engine, and nothing lesser unasked."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fontanelle.errors import Code, Unavailable
from models.package import Package, find, load
from worker.inference import open_vino
from worker.inference.engine import network_of
from worker.inference.onnx_runtime import open_cpu
from worker.inference.open_vino import has_bf16, open_openvino, open_openvino_bf16


@pytest.fixture(scope="module")
def package() -> Package:
    return load(find())


@pytest.fixture(scope="module")
def exact(package: Package) -> NDArray[np.uint8]:
    """Classes of the golden case by OpenVINO in fp32."""
    return open_openvino(network_of(package)).segment(package.golden_case().image)


def test_both_cpu_engines_give_every_class_the_volume_that_the_package_stores(
    package: Package, exact: NDArray[np.uint8]
) -> None:
    golden = package.golden_case()
    reference = open_cpu(network_of(package)).segment(golden.image)

    assert (reference != exact).mean() < 1e-5
    for classes in (reference, exact):
        found = np.bincount(classes.ravel(), minlength=256)
        assert np.abs(found - golden.voxels).max() <= 1e-4 * golden.voxels[1:].max()


def test_without_bf16_instructions_bf16_is_refused_and_not_emulated(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_vino, "_capabilities", lambda: ["FP32", "INT8"])

    with pytest.raises(Unavailable, match="no bf16 instructions") as refusal:
        open_openvino_bf16(network_of(package))

    assert refusal.value.reason.code is Code.ENGINE_ABSENT
    assert open_openvino(network_of(package)).description.precision == "fp32"


def test_bf16_runs_where_the_processor_has_it_says_so_and_stays_near_fp32(
    package: Package, exact: NDArray[np.uint8]
) -> None:
    """Near is not enough to be served: benchmarks/precision.py asks for 0.5 % of each region."""
    if not has_bf16():
        with pytest.raises(Unavailable):
            open_openvino_bf16(network_of(package))
        return
    engine = open_openvino_bf16(network_of(package))

    found = engine.segment(package.golden_case().image)

    assert engine.description.precision == "bf16"
    assert (found != exact)[exact > 0].mean() < 0.05
    assert (found != exact).any()
