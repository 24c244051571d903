"""Losses by name; needs torch."""

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from models.training.losses import LOSSES, one_hot, squared_weights  # noqa: E402

pytestmark = pytest.mark.torch


def certain(classes: torch.Tensor, count: int) -> torch.Tensor:
    """Logits that leave no doubt."""
    return 100.0 * one_hot(classes[None], count)


@pytest.fixture
def classes() -> torch.Tensor:
    halves = torch.zeros(8, 8, 8, dtype=torch.int64)
    halves[4:] = 1
    return halves


def test_targets_are_one_in_the_voxels_class_and_zero_elsewhere() -> None:
    labels = torch.randint(0, 13, (2, 4, 6, 8), generator=torch.Generator().manual_seed(0)).byte()
    target = one_hot(labels, 13)
    assert target.shape == (2, 13, 4, 6, 8) and target.dtype is torch.float32
    assert torch.equal(target.argmax(dim=1), labels.long())
    assert torch.equal(target.sum(dim=1), torch.ones(2, 4, 6, 8))
    assert set(target.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_right_costs_nothing_and_what_is_wrong_costs_more_than_a_guess(
    name: str, classes: torch.Tensor
) -> None:
    target = one_hot(classes[None], 3)
    network = torch.nn.Conv3d(1, 1, 1, bias=False)
    torch.nn.init.zeros_(network.weight).requires_grad_(False)
    right, guess, wrong = (
        float(LOSSES[name](logits, target, network))
        for logits in (certain(classes, 3), torch.zeros_like(target), certain(1 - classes, 3))
    )
    assert right == pytest.approx(0.0, abs=1e-5)
    assert right < guess < wrong


def test_a_guess_costs_what_the_formulas_say(classes: torch.Tensor) -> None:
    target = one_hot(classes[None], 4)
    guess = torch.zeros_like(target)
    assert float(LOSSES["cross_entropy"](guess, target)) == pytest.approx(math.log(4))
    # Two classes of 256 voxels each: 2 x 256/4 over 512/16 + 256, and one in both for stability.
    score = (2 * 64 + 1) / (32 + 256 + 1)
    assert float(LOSSES["dice_ce"](guess, target)) == pytest.approx(math.log(4) + 1 - score)


def test_a_class_that_is_absent_does_not_count_for_dice(classes: torch.Tensor) -> None:
    few, many = (one_hot(classes[None], count) for count in (2, 9))
    padded = torch.cat((100.0 * few, torch.full((1, 7, 8, 8, 8), -100.0)), dim=1)
    both = [
        float(LOSSES["dice_ce"](logits, t)) for logits, t in ((100.0 * few, few), (padded, many))
    ]
    assert both[0] == pytest.approx(both[1], abs=1e-6)


def test_half_precision_logits_are_scored_in_full_precision(classes: torch.Tensor) -> None:
    target = one_hot(classes[None], 3)
    value = LOSSES["dice_ce"](certain(classes, 3).bfloat16(), target)
    assert value.dtype is torch.float32


def test_large_weights_cost_where_the_loss_holds_them_and_biases_never(
    classes: torch.Tensor,
) -> None:
    network = torch.nn.Conv3d(1, 2, 1).requires_grad_(False)
    torch.nn.init.constant_(network.weight, 3.0)
    assert float(squared_weights(network)) == 18.0
    target = one_hot(classes[None], 3)
    logits = certain(classes, 3)
    assert float(LOSSES["dice_l2"](logits, target, network)) == pytest.approx(18e-5, rel=0.01)
    assert float(LOSSES["dice_ce"](logits, target, network)) == pytest.approx(0.0, abs=1e-6)


def test_a_loss_of_weights_without_a_network_is_a_mistake(classes: torch.Tensor) -> None:
    target = one_hot(classes[None], 3)
    with pytest.raises(TypeError, match="network"):
        LOSSES["dice_l2"](target, target)
