"""The networks' trial runs on a small budget and prints what it ran with; needs torch."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

import numpy as np  # noqa: E402

from benchmarks import networks, preprocessing, trial  # noqa: E402
from models.network import Architecture, build  # noqa: E402
from models.training.config import TrainingConfig, config_text  # noqa: E402
from models.training.heads import HELD_OUT  # noqa: E402
from models.training.losses import LOSSES  # noqa: E402

pytestmark = pytest.mark.torch


def balls(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw an image and classes of the trial's field: a ball in each half."""
    axis = np.arange(trial.FIELD[0]) - 32
    s, r, c = np.meshgrid(axis, axis, axis, indexing="ij")
    classes = np.zeros(trial.FIELD, dtype=np.uint8)
    for code, middle in enumerate((-15, 15), start=1):
        classes[s**2 + r**2 + (c - middle) ** 2 < 12**2] = code
    noise = np.random.default_rng(seed).normal(0, 0.1, trial.FIELD)
    image = (classes - 1 + noise).astype(np.float32)
    return torch.from_numpy(image)[None].half(), torch.from_numpy(classes)


def stream_of_balls() -> trial.Stream:
    """Fill a stream, so that no head need be drawn."""
    stream = object.__new__(trial.Stream)
    stream._length = 4
    stream._drawn = [balls(seed) for seed in range(4)]
    return stream


def test_a_budget_buys_iterations_and_is_kept() -> None:
    network = build(Architecture(trial.CLASSES, base=4, widest=8, stem=True))
    iterations, cpu_s = trial.trained(network, LOSSES["dice_ce"], stream_of_balls(), 1.0)
    assert iterations >= 1
    assert cpu_s >= 1.0


def test_every_network_gets_the_same_samples_in_the_same_order() -> None:
    stream = stream_of_balls()
    first, again = stream.batch(0), stream.batch(stream._length // trial.BATCH)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], stream.batch(1)[0])


def test_the_table_names_cost_and_error_of_each_network() -> None:
    row = networks.Row(
        networks.CANDIDATES[0], 7_170_000, 27, 1.25, 40, 20.3, 0.91, (-4.0, 2.0, 3.0)
    )
    printed = networks.as_markdown([row]).splitlines()[-1]
    assert printed.split("|")[1:-1] == [
        f" {cell} "
        for cell in (
            "ResU-Net (3,3,3), base 16", "dice_ce", "7.17", 27, "1.25", 40, 20, "0.910", "3.0",
            "3.0", "+0.3",
        )
    ]  # fmt: skip


def test_the_five_networks_of_the_comparison_are_there_and_fit_the_field() -> None:
    kinds = [(c.architecture.kind, c.architecture.kernel, c.architecture.stem)
             for c in networks.CANDIDATES]  # fmt: skip
    assert set(kinds) == {
        ("resunet", (3, 3, 3), False),
        ("resunet", (1, 3, 3), False),
        ("unet3d", (3, 3, 3), False),
        ("vnet", (3, 3, 3), False),
        ("resunet", (3, 3, 3), True),
    }
    for candidate in (*networks.CANDIDATES, *networks.AS_PUBLISHED):
        assert all(side % candidate.architecture.multiple == 0 for side in trial.FIELD)


def test_nothing_that_is_tried_on_was_trained_on() -> None:
    config = TrainingConfig.parse(config_text(networks.DATA))
    assert set(config.heads).isdisjoint(HELD_OUT)


def test_both_preprocessings_are_priced() -> None:
    table = preprocessing.prices(slices=14, runs=1, shape=(32, 32, 32)).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == list(preprocessing.NAMES)
    assert all(float(line.split("|")[2]) > 0 for line in table[2:])
