"""Engines: what runs is what is said, and the golden case is reproduced."""

import ctypes
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fontanelle.errors import Code, Unavailable
from models.package import Package, find, load
from tests.regions import swapped_sides
from worker.inference import onnx_runtime, opening
from worker.inference.engine import Segmenter, network_of
from worker.inference.opening import open_engine, prove

NVIDIA = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


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


def test_without_a_card_openvino_is_taken(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "_cards", list)

    assert open_engine(package).description.provider == "OpenVINO"


@pytest.mark.parametrize("number", [0, 3, 12])
def test_a_card_is_seen_whatever_its_number(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nvidiactl", "nvidia-uvm", f"nvidia{number}"):
        (tmp_path / name).touch()
    monkeypatch.setattr(onnx_runtime, "Path", lambda _: tmp_path)
    monkeypatch.setattr(onnx_runtime, "_providers", lambda: list(NVIDIA))

    assert onnx_runtime.has_cuda()
    (tmp_path / f"nvidia{number}").unlink()
    assert not onnx_runtime.has_cuda()


def test_two_engines_give_the_same_classes(package: Package) -> None:
    image = package.golden_case().image
    one = open_engine(package, "openvino").segment(image)
    other = open_engine(package, "cpu").segment(image)
    assert one.dtype == np.uint8
    assert (one != other).mean() < 1e-5


def test_a_mirrored_head_is_segmented_as_the_mirrored_head(package: Package) -> None:
    engine = open_engine(package, "openvino")
    image = package.golden_case().image
    as_is, mirrored = (
        engine.segment(np.ascontiguousarray(picture)) for picture in (image, image[:, :, ::-1])
    )
    # Patient's left lies at the higher columns, and the network looks both ways.
    left = {r.code for r in package.region_set.regions if r.laterality == "left"}
    lower, higher = np.array_split(np.isin(as_is, list(left)), 2, axis=2)
    assert higher.sum() > 20 * lower.sum()
    assert (swapped_sides(as_is) == mirrored).mean() > 0.99999


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_an_accelerator_that_the_runtime_was_built_without_is_refused(
    package: Package, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(Unavailable, match="built without") as refusal:
        open_engine(package, wanted)

    assert refusal.value.reason.code is Code.ENGINE_ABSENT


@pytest.fixture
def opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[dict[str, str | None]]]:
    """Stand in for a build for NVIDIA: its sessions run on the provider that is named."""
    import onnxruntime

    def running_on(provider: str | None) -> list[dict[str, str | None]]:
        sessions: list[dict[str, str | None]] = []

        def session(_path: str, _settings: object, providers: list) -> SimpleNamespace:
            name, options = providers[0]
            sessions.append({**options, "tf32": os.environ.get("NVIDIA_TF32_OVERRIDE")})
            return SimpleNamespace(get_providers=lambda: [provider or name])

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        return sessions

    monkeypatch.setattr(onnx_runtime, "_providers", lambda: list(NVIDIA))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    return running_on


@pytest.mark.parametrize("wanted", ["cuda", "tensorrt"])
def test_an_accelerator_is_never_replaced_in_silence(
    package: Package, wanted: str, opened: Callable[..., list]
) -> None:
    opened("CPUExecutionProvider")

    with pytest.raises(Unavailable, match="was asked for, CPUExecutionProvider came") as refusal:
        open_engine(package, wanted)

    assert refusal.value.reason.code is Code.ENGINE_ABSENT


@pytest.mark.parametrize("opener", [onnx_runtime.open_cuda, onnx_runtime.open_tensorrt])
def test_fp32_on_a_card_means_that_tf32_was_off_when_the_session_opened(
    package: Package, opener: Callable, opened: Callable[..., list]
) -> None:
    sessions = opened(None)

    assert opener(network_of(package)).description.precision == "fp32"
    assert [options["tf32"] for options in sessions] == ["0"]


def test_an_engine_of_another_precision_or_tensorrt_is_not_taken_from_the_cache(
    package: Package, opened: Callable[..., list], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = opened(None)
    for version in ("10.16.1.11", "10.17.0.1"):
        monkeypatch.setattr(onnx_runtime, "_versions", lambda v=version: {"tensorrt-cu13": v})
        onnx_runtime.open_tensorrt(network_of(package))

    first, second = (Path(options["trt_engine_cache_path"]) for options in sessions)
    assert first != second
    assert first.name == "10.16.1.11-fp32"
    assert first.is_dir()


@pytest.mark.parametrize(("fails", "named"), [(None, "NVIDIA H200"), ("cuInit", "NVIDIA")])
def test_the_card_that_is_named_is_the_one_that_cuda_counts_first(
    fails: str | None, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cuda:
        """Two cards, of which CUDA_VISIBLE_DEVICES puts the one with handle 7 first."""

        def cuInit(self, _flags: int) -> int:  # noqa: N802 (CUDA's names)
            return 100 if fails == "cuInit" else 0

        def cuDeviceGet(self, device: object, ordinal: int) -> int:  # noqa: N802
            device._obj.value = {0: 7, 1: 3}[ordinal]
            return 0

        def cuDeviceGetName(self, name: object, _size: int, device: object) -> int:  # noqa: N802
            name.value = {7: b"NVIDIA H200", 3: b"NVIDIA L4"}[device.value]
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Cuda())

    assert onnx_runtime._device("CUDAExecutionProvider") == named


def test_an_unknown_engine_is_refused(package: Package) -> None:
    with pytest.raises(Unavailable, match="openvino"):
        open_engine(package, "abacus")


def test_two_builds_of_onnx_runtime_are_refused(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_installed", lambda name: name != "onnxruntime-openvino")
    with pytest.raises(Unavailable, match="onnxruntime-gpu") as refusal:
        open_engine(package)
    assert refusal.value.reason.code is Code.ENGINE_TWO_RUNTIMES


def test_an_engine_that_misses_the_golden_case_is_refused(package: Package) -> None:
    class Blind:
        description = open_engine(package, "cpu").description

        def segment(self, image: np.ndarray) -> np.ndarray:
            return np.zeros(image.shape, dtype=np.uint8)

    with pytest.raises(Unavailable) as refusal:
        prove(Segmenter(Blind(), open_engine(package, "cpu").localiser), package)
    assert refusal.value.reason.code is Code.PACKAGE_GOLDEN


def test_the_allowance_is_the_packages(package: Package) -> None:
    engine = open_engine(package, "cpu")
    with pytest.raises(Unavailable, match="golden"):
        prove(engine, replace(package, golden_tolerance_ml=-1.0))
