"""Engines: what runs is what is said, and the golden case is reproduced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fontanelle.errors import Code, Unavailable
from models.package import Package, find, load
from worker.inference import engine as engines
from worker.inference.engine import open_engine, prove


@pytest.fixture(scope="module")
def package() -> Package:
    return load(find())


@pytest.mark.parametrize(
    ("wanted", "provider"), [("openvino", "OpenVINO"), ("cpu", "ONNX Runtime CPU")]
)
def test_an_engine_runs_the_golden_case_and_says_what_it_is(
    package: Package, wanted: str, provider: str
) -> None:
    engine = open_engine(package, wanted)
    assert engine.description.provider == provider
    assert engine.description.precision == "fp32"
    assert engine.description.device
    assert engine.description.versions


def test_without_a_card_openvino_is_taken(package: Package) -> None:
    if Path("/dev/nvidia0").exists():
        assert open_engine(package).description.provider in {"TensorRT", "CUDA"}
    else:
        assert open_engine(package).description.provider == "OpenVINO"


def test_two_engines_give_the_same_classes(package: Package) -> None:
    image = package.golden_case().image
    one = open_engine(package, "openvino").segment(image)
    other = open_engine(package, "cpu").segment(image)
    assert one.dtype == np.uint8
    assert (one != other).mean() < 1e-5


def test_a_mirrored_head_is_segmented_as_the_mirrored_head(package: Package) -> None:
    engine = open_engine(package, "openvino")
    image = package.golden_case().image
    left = {r.code for r in package.region_set.regions if r.laterality == "left"}
    right = {r.code for r in package.region_set.regions if r.laterality == "right"}
    for picture in (image, image[:, :, ::-1]):
        classes = engine.segment(np.ascontiguousarray(picture))
        lower, higher = classes[:, :, :70], classes[:, :, 90:]
        assert np.isin(lower, list(right)).sum() > 20 * np.isin(lower, list(left)).sum()
        assert np.isin(higher, list(left)).sum() > 20 * np.isin(higher, list(right)).sum()


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is an NVIDIA card")
def test_an_accelerator_that_is_not_there_is_never_replaced_in_silence(
    package: Package, wanted: str
) -> None:
    with pytest.raises(Unavailable) as refusal:
        open_engine(package, wanted)
    assert refusal.value.reason.code is Code.ENGINE_ABSENT


def test_an_unknown_engine_is_refused(package: Package) -> None:
    with pytest.raises(Unavailable, match="openvino"):
        open_engine(package, "abacus")


def test_two_builds_of_onnx_runtime_are_refused(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_installed", lambda name: name != "onnxruntime-openvino")
    with pytest.raises(Unavailable, match="onnxruntime-gpu") as refusal:
        open_engine(package)
    assert refusal.value.reason.code is Code.ENGINE_TWO_RUNTIMES


def test_an_engine_that_misses_the_golden_case_is_refused(package: Package) -> None:
    class Blind:
        description = open_engine(package, "cpu").description

        def segment(self, image: np.ndarray) -> np.ndarray:
            return np.zeros(image.shape, dtype=np.uint8)

    with pytest.raises(Unavailable) as refusal:
        prove(Blind(), package)
    assert refusal.value.reason.code is Code.PACKAGE_GOLDEN


def test_the_allowance_is_the_packages(package: Package) -> None:
    engine = open_engine(package, "cpu")
    with pytest.raises(Unavailable, match="golden"):
        prove(engine, replace(package, golden_tolerance_ml=-1.0))
