"""From checkpoints to a package of two steps: all of it or nothing, and nothing overwritten."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, FontanelleError, Refused  # noqa: E402
from fontanelle.imaging.pose import Canonical  # noqa: E402
from models.export import Said, export_package, packaging  # noqa: E402
from models.package import load  # noqa: E402
from models.training.config import TrainingConfig  # noqa: E402
from models.training.train import Run  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = """
protocol = "xi2025-matched"
window_hu = [-30.0, 130.0]
seed = 1
learning_rate = 2e-3
warmup = 2
averaging = 0.5
heads = {toddler_24mo = 1.0}
[architecture]
classes = 13
base = 2
widest = 4
kernel = [3, 3, 3]
stem = false
[[phases]]
iterations = 6
batch = 2
field = [32, 32, 32]
"""
SAID = Said(
    name="tiny",
    version="0",
    model_card="Knows nothing.",
    known_limits=('It calls all "background".',),
    measurement_error_percent={"brainstem": 1.2},
    metrics={"dice": {"mean": 0.0}},
    likeness_samples=0,
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
    checkpoint: Path, small: Canonical, tmp_path: Path
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
    assert package.measurement_error_percent == {"brainstem": 1.2}
    assert package.metrics == {"dice": {"mean": 0.0}}
    assert not package.qualified
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]

    # A finished package is left alone, and replaced only where that is asked for.
    before = package.sha256
    with pytest.raises(Refused) as refusal:
        export_package(checkpoint, checkpoint, folder, SAID)
    assert refusal.value.reason.code is Code.PACKAGE_EXISTS
    assert load(folder).sha256 == before
    other = Said("other", "1", "A card.", likeness_samples=0)
    export_package(checkpoint, checkpoint, folder, other, replace=True)
    assert load(folder).name == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]


def test_an_export_that_fails_leaves_nothing_and_takes_nothing_away(
    checkpoint: Path, small: Canonical, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kept").write_text("mine")
    wrong = Said("x", "1", "card", measurement_error_percent={"pons": 1.0}, likeness_samples=0)
    with pytest.raises(FontanelleError, match="pons"):
        export_package(checkpoint, checkpoint, folder, wrong, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    assert (folder / "kept").read_text() == "mine"
    assert small.field == (32, 32, 32)
