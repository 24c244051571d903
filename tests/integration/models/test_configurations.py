"""The configurations that are shipped: each can be run, none trains on what it is judged by."""

from importlib.resources import files
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from models.network import build, count_convolutions  # noqa: E402
from models.training.config import TrainingConfig, config_text  # noqa: E402
from models.training.heads import HELD_OUT  # noqa: E402

pytestmark = pytest.mark.torch

SHIPPED = sorted(Path(file.name).stem for file in (files("models.training") / "configs").iterdir())


def parsed(name: str) -> TrainingConfig:
    return TrainingConfig.parse(config_text(name))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_configuration_builds_a_network_and_spares_the_held_out_heads(
    name: str,
) -> None:
    config = parsed(name)
    assert build(config.architecture).architecture.kind == config.architecture.kind
    assert set(config.heads).isdisjoint(HELD_OUT)


def test_the_papers_recipe_is_the_papers() -> None:
    # Xi et al. 2025: Adam 1e-5, batch 4, 200 epochs of 1,041 scans, 1 mm, 27 convolutions.
    config = parsed("xi2025")
    assert (config.optimizer, config.loss) == ("adam", "cross_entropy")
    assert config.rate_at(0) == config.rate_at(config.iterations - 1) == pytest.approx(1e-5)
    assert [phase.batch for phase in config.phases] == [4]
    assert config.iterations * 4 == pytest.approx(200 * 1041, rel=0.002)
    assert config.synthesis.spacing_mm == 1.0
    assert count_convolutions(build(config.architecture)) == 27
    assert not config.architecture.stem


def test_the_second_network_of_the_paper_differs_by_its_kernel_alone() -> None:
    one, other = (config_text(name).split('protocol = "')[1] for name in ("xi2025", "xi2025-133"))
    assert one.replace("kernel = [3, 3, 3]", "kernel = [1, 3, 3]") == other


def test_the_networks_that_are_compared_learn_from_the_same_data() -> None:
    served = parsed("canonical32")
    for name in ("unet3d", "vnet", "stem16"):
        config = parsed(name)
        assert config.heads == served.heads
        assert config.phases == served.phases
        assert config.synthesis == served.synthesis


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 2025", "seed = 2025\nsed = 1", "sed"),
        ("stem = false", "stem = false\nstride = 2", "stride"),
        ("batch = 4", "batch = 4\nepochs = 3", "epochs"),
        ('"cross_entropy"', '"focal"', "focal"),
        ("stem = false", 'stem = false\nkind = "transformer"', "transformer"),
        ("head_03 = 2.0", "head_99 = 2.0", "head_99"),
        ("head_03 = 2.0", "head_20 = 2.0", "head_20 is held out"),
        ("[160, 192, 160]", "[160, 192, 150]", "multiples of 16"),
    ],
)
def test_what_a_configuration_cannot_mean_is_named(old: str, new: str, said: str) -> None:
    text = config_text("xi2025")
    assert old in text
    with pytest.raises(Refused, match=said) as refusal:
        TrainingConfig.parse(text.replace(old, new))
    assert refusal.value.reason.code is Code.TRAINING_CONFIG
