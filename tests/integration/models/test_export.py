"""From checkpoints to a package of two steps: all of it or nothing, and nothing overwritten."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from fontanelle.imaging.pose import Canonical  # noqa: E402
from models.export import Evaluation, Said, export_package, packaging, read_levelled  # noqa: E402
from models.package import file_sha256, load  # noqa: E402
from models.training.config import TrainingConfig  # noqa: E402
from models.training.train import Run  # noqa: E402
from tests.integration.models.tiny import tiny  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = tiny(base=2, widest=4, side=32)
SAID = Said(
    name="tiny",
    version="0",
    model_card="Knows nothing.",
    known_limits=('It calls all "background".',),
    likeness_samples=0,
    levelling_samples=0,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "checkpoint.pt"
    Run.fresh(CONFIG, torch.device("cpu")).save(path)
    return path


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    return packaging.golden_image(TrainingConfig.parse(CONFIG), (32, 32, 32))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, golden: np.ndarray) -> Canonical:
    """Let the frame be small, and its head be drawn once: what is exported is free in its sides."""
    monkeypatch.setattr(packaging, "golden_image", lambda *_: golden)
    spacing_mm = packaging.CANONICAL.spacing_mm
    frame = Canonical(1030.0, (32, 32, 32), spacing_mm, (0.0, -16.0, 0.5))
    monkeypatch.setattr(packaging, "CANONICAL", frame)
    return frame


def test_two_checkpoints_become_a_package_that_loads(
    checkpoint: Path, small: Canonical, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "package"

    proved = export_package(checkpoint, checkpoint, folder, SAID)

    assert set(proved) == {"model.onnx", "localiser.onnx"}
    assert all(parity.logits < 1e-4 for parity in proved.values())
    package = load(folder)
    assert package.canonical is not None
    assert package.canonical.intracranial_ml == small.intracranial_ml
    np.testing.assert_allclose(package.canonical.center_lps_mm, small.center_lps_mm)
    assert package.localiser is not None
    assert package.known_limits == SAID.known_limits
    assert package.measurement_error_percent == {}
    assert package.metrics == {}
    assert not package.qualified
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]

    # A finished package is left alone, and replaced only where that is asked for.
    before = package.sha256
    with pytest.raises(Refused) as refusal:
        export_package(checkpoint, checkpoint, folder, SAID)
    assert refusal.value.reason.code is Code.PACKAGE_EXISTS
    assert load(folder).sha256 == before
    other = Said("other", "1", "A card.", likeness_samples=0, levelling_samples=1)
    with monkeypatch.context() as patched:
        patched.setattr(packaging, "measured_gains", None)
        with pytest.raises(Refused, match="not empty"):
            export_package(checkpoint, checkpoint, folder, other)
    export_package(checkpoint, checkpoint, folder, other, replace=True)
    assert load(folder).name == "other"
    assert training_of(folder)["levelled"] == read_levelled(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]


def training_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "package.toml").read_text(encoding="utf-8"))["training"]


@pytest.mark.usefixtures("small")
def test_a_package_holds_what_was_found_of_its_own_networks_and_no_others(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    export_package(checkpoint, checkpoint, folder, SAID)
    files = ("model.onnx", "localiser.onnx")
    networks = {name: file_sha256(folder / name) for name in files}
    found = Evaluation(networks, {"brainstem": 1.2}, {"planted": {"slope": "1.0"}}, qualified=True)

    export_package(checkpoint, checkpoint, folder, replace(SAID, evaluation=found), replace=True)

    package = load(folder)
    assert package.qualified
    assert package.measurement_error_percent == {"brainstem": 1.2}
    assert package.metrics == {"planted": {"slope": "1.0"}}

    # As in another package, without drawing heads anew.
    other = tmp_path / "other"
    gained = {"outer_csf": 0.5, "ventricles": -0.25}
    export_package(checkpoint, checkpoint, other, replace(SAID, levelled=gained))
    assert read_levelled(other) == gained
    assert file_sha256(other / "model.onnx") != networks["model.onnx"]
    with pytest.raises(Refused, match="does not say"):
        read_levelled(folder)

    of_others = replace(found, networks=networks | {"localiser.onnx": "0" * 64})
    new = tmp_path / "new"
    with pytest.raises(Refused, match=r"another localiser\.onnx"):
        export_package(checkpoint, checkpoint, new, replace(SAID, evaluation=of_others))
    assert not new.exists()


def test_an_export_that_fails_leaves_nothing_and_takes_nothing_away(
    checkpoint: Path, small: Canonical, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kept").write_text("mine")
    digests = {"model.onnx": "0" * 64}
    wrong = replace(SAID, evaluation=Evaluation(digests, {}, {}, qualified=True))
    with pytest.raises(Refused, match=r"another localiser\.onnx"):
        export_package(checkpoint, checkpoint, folder, wrong, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    assert (folder / "kept").read_text() == "mine"
    assert small.field == (32, 32, 32)
