"""Configurations and training; needs torch."""

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

# The imports below need it, so this comes before any marker; conftest lets no skip pass in CI.
torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from models.training import heads  # noqa: E402
from models.training.config import FOLDS, TrainingConfig, config_text  # noqa: E402
from models.training.protocol import MIRRORED, OUTER_CSF, XI2025_MATCHED  # noqa: E402
from models.training.train import Run, train  # noqa: E402
from tests.integration.models.tiny import tiny  # noqa: E402
from tests.regions import REGIONS  # noqa: E402

pytestmark = pytest.mark.torch

TINY = tiny()


@pytest.fixture(scope="module")
def toddler() -> heads.Head:
    return heads.load("toddler_24mo", XI2025_MATCHED)


def test_mirroring_twice_is_no_change_and_spares_what_has_no_side() -> None:
    assert (MIRRORED[MIRRORED] == np.arange(13)).all()
    for region in REGIONS.regions:
        twin = REGIONS[f"right_{region.pair}"] if region.laterality == "left" else None
        if twin is not None:
            assert MIRRORED[region.code] == twin.code
        elif region.laterality is None:
            assert MIRRORED[region.code] == region.code


def test_every_structure_has_a_class_and_the_brain_is_in_its_skull(toddler: heads.Head) -> None:
    classes = toddler.classes
    assert set(np.unique(classes)) == set(range(13))
    assert (classes == OUTER_CSF).sum() > 100_000
    # The label map's brain, ventricles and CSF: 1064 mL (its source) and what lies around it.
    parenchyma_ml = np.isin(classes, range(1, 11)).sum() / 1000
    assert parenchyma_ml == pytest.approx(1064, rel=0.01)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Run.fresh(tiny(iterations=3), torch.device("cpu"))
    train(first, tmp_path, save_every=1)
    resumed = Run.resume(tmp_path / "checkpoint.pt", torch.device("cpu"), TINY)
    assert resumed.iteration == 3
    assert resumed.changed_at == [3]
    before = resumed.network.output.weight.clone()
    train(resumed, tmp_path)
    assert resumed.iteration == 6
    assert not torch.equal(before, resumed.network.output.weight)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 6


def test_training_learns(tmp_path: Path) -> None:
    text = tiny(iterations=30, learning_rate=2e-2).replace("[64, 64, 64]", "[32, 64, 64]")
    train(Run.fresh(text, torch.device("cpu")), tmp_path)
    rows = (tmp_path / "log.jsonl").read_text().splitlines()
    losses = [float(row.split('"loss": ')[1].split(",")[0]) for row in rows]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3


SHIPPED = sorted(Path(file.name).stem for file in (files("models.training") / "configs").iterdir())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_holds_out_what_is_judged(name: str) -> None:
    config = TrainingConfig.parse(config_text(name))
    assert set(config.heads).isdisjoint(heads.HELD_OUT)
    assert set(config.heads) <= set(heads.names())


def test_five_folds_leave_every_head_out_once_but_the_one_whose_face_is_everywhere() -> None:
    left_out = [name for fold in FOLDS for name in fold]
    assert len(FOLDS) == 5
    assert sorted([*left_out, *heads.HELD_OUT, "head_13"]) == heads.names()
    for fold, names in enumerate(FOLDS):
        config = TrainingConfig.parse(config_text("canonical32", fold))
        assert config.fold == fold
        assert set(config.heads).isdisjoint(names)
        assert "head_13" in config.heads


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("multiples of 32", TINY.replace("[64, 64, 64]", "[64, 64, 80]")),
        ("there is no protocol xi2024", TINY.replace("xi2025-matched", "xi2024")),
        ("there is no label map head_99", TINY.replace("toddler_24mo", "head_99")),
        ("toddler_12mo is held out", TINY.replace("toddler_24mo", "toddler_12mo")),
        ("learning_rte", TINY.replace("learning_rate", "learning_rte")),
        ("there is no loss l9", 'loss = "l9"' + TINY),
        ("there is no preprocessing blur", 'preprocessing = "blur"' + TINY),
        ("no TOML", "protocol = "),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_what_is_wrong(
    said: str, wrong: str
) -> None:
    with pytest.raises(Refused, match=re.escape(said)) as refused:
        TrainingConfig.parse(wrong)
    assert refused.value.reason.code is Code.TRAINING_CONFIG


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = TrainingConfig.parse(config_text("canonical32"))
    rates = [config.rate_at(i) for i in range(config.iterations)]
    flat = slice(config.warmup, int(0.55 * config.iterations))
    assert rates[0] < 0.1 * config.learning_rate
    assert set(rates[flat]) == {config.learning_rate}
    assert rates[-1] == pytest.approx(0.01 * config.learning_rate, rel=0.05)
    assert all(a >= b for a, b in pairwise(rates[config.warmup :]))
