"""The classes of CSF are levelled: a head has as much of each as was drawn."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from models.export.levelling import LEVELLED, Votes, gains, level, measured_gains, votes  # noqa: E402
from models.export.to_onnx import Served  # noqa: E402
from models.training.config import TrainingConfig  # noqa: E402
from models.training.protocol import MIRRORED, OUTER_CSF, VENTRICLES  # noqa: E402
from models.training.train import Run  # noqa: E402
from tests.integration.models.tiny import tiny  # noqa: E402

pytestmark = pytest.mark.torch

SHAPE = (20, 24, 20)


def head(seed: int, *, taken_away: dict[int, float]) -> Votes:
    """Draw classes, and logits that name them but for what is taken away from a class."""
    random = torch.Generator().manual_seed(seed)
    logits = 2.0 * torch.randn(13, *SHAPE, generator=random)
    classes = logits.argmax(0)
    for code, amount in taken_away.items():
        logits[code] -= amount
    return votes(logits, classes)


def test_what_was_taken_from_a_class_is_what_it_gains() -> None:
    taken_away = {OUTER_CSF: 0.7, VENTRICLES: -0.4}
    found = gains([head(seed, taken_away=taken_away) for seed in range(5)])
    assert found == pytest.approx([taken_away[code] for code in LEVELLED.values()], abs=0.02)


def test_one_head_that_is_unlike_the_others_decides_nothing() -> None:
    heads = [head(seed, taken_away={OUTER_CSF: 0.3}) for seed in range(4)]
    heads.append(head(9, taken_away={OUTER_CSF: 6.0}))
    assert gains(heads) == pytest.approx((0.3, 0.0), abs=0.05)


def test_a_head_without_ventricles_says_nothing_of_them() -> None:
    one = head(1, taken_away={VENTRICLES: 0.5})
    without = Votes(one.own, one.others, (one.true[0], 0))
    assert gains([one, without, without]) == gains([one])
    assert gains([without])[1] == 0.0


@pytest.mark.parametrize("mirrored", [None, MIRRORED.tolist()], ids=["one look", "both ways"])
def test_a_levelled_network_finds_as_much_csf_as_was_drawn(mirrored: list[int] | None) -> None:
    config = TrainingConfig.parse(tiny(base=2, widest=4, side=32))
    run = Run.fresh(tiny(base=2, widest=4, side=32), torch.device("cpu"))
    served = Served(run.learnt, mirrored)
    before = served.network.output.bias.detach().clone()

    gained = measured_gains(served, config, (32, 32, 32), 3)
    level(served, gained)

    added = served.network.output.bias.detach() - before
    for name, code in LEVELLED.items():
        assert float(added[code]) * served.looks == pytest.approx(gained[name], abs=1e-5)
    assert torch.count_nonzero(added) <= len(LEVELLED)
    # Once more, and there is nothing left to gain.
    again = measured_gains(served, config, (32, 32, 32), 3)
    assert again == pytest.approx(dict.fromkeys(LEVELLED, 0.0), abs=0.03)
