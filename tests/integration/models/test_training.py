"""Networks, synthesis, training and export; needs torch."""

from pathlib import Path

import numpy as np
import pytest

# The imports below need it, so this comes before any marker; conftest lets no skip pass in CI.
torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from models.evaluation import HELD_OUT  # noqa: E402
from models.export import Served, export_onnx, folded, parity  # noqa: E402
from models.network import Architecture, ResUNet, count_convolutions  # noqa: E402
from models.training import heads  # noqa: E402
from models.training.protocol import MIRRORED, OUTER_CSF, XI2025_MATCHED  # noqa: E402
from models.training.synthesis import SynthesisConfig, Synthesizer  # noqa: E402
from models.training.train import (  # noqa: E402
    Run,
    TrainingConfig,
    config_text,
    soft_targets,
    train,
)
from tests.regions import REGIONS  # noqa: E402

pytestmark = pytest.mark.torch

TINY = """
protocol = "xi2025-matched"
window_hu = [-30.0, 130.0]
seed = 1
learning_rate = 2e-3
warmup = 2
averaging = 0.5
heads = {toddler_24mo = 1.0}
[architecture]
classes = 13
base = 4
widest = 16
kernel = [3, 3, 3]
stem = true
[[phases]]
iterations = 6
batch = 2
field = [64, 64, 64]
"""


@pytest.fixture(scope="module")
def toddler() -> heads.Head:
    return heads.load("toddler_24mo", XI2025_MATCHED)


@pytest.mark.parametrize(("stem", "convolutions"), [(False, 27), (True, 28)])
def test_the_network_has_the_papers_27_convolutions_and_one_more_behind_a_stem(
    stem: bool, convolutions: int
) -> None:
    network = ResUNet(Architecture(classes=11, base=16, widest=256, stem=stem))
    assert count_convolutions(network) == convolutions


def test_parameters_of_base_16_are_those_counted_by_hand() -> None:
    # Twenty-seven convolutions of base 16 with concatenated skips: 7.17 million.
    network = ResUNet(Architecture(classes=11, base=16, widest=256))
    weights = sum(p.numel() for p in network.parameters())
    assert weights == pytest.approx(7.17e6, rel=0.002)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 3, 3)])
@pytest.mark.parametrize("stem", [False, True])
def test_logits_come_back_at_the_resolution_of_the_image(
    kernel: tuple[int, int, int], stem: bool
) -> None:
    network = ResUNet(Architecture(classes=5, base=4, widest=16, kernel=kernel, stem=stem)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 32, 64, 32)).shape == (1, 5, 32, 64, 32)


def test_the_same_seed_draws_the_same_head(toddler: heads.Head) -> None:
    one, same = (
        Synthesizer([toddler], [1.0], SynthesisConfig(), seed=3).draw((64, 64, 64))
        for _ in range(2)
    )
    assert torch.equal(one.image_hu, same.image_hu)
    assert torch.equal(one.classes, same.classes)


def test_a_mirrored_head_has_its_sides_swapped(toddler: heads.Head) -> None:
    """Whatever is drawn, left lies at the higher column (L grows) of its right twin."""
    upright = SynthesisConfig(angle_sd_deg=(0.0, 0.0, 0.0), cut_field=0.0, shift_mm=0.0)
    synthesizer = Synthesizer([toddler], [1.0], upright, seed=5)
    for _ in range(6):
        classes = synthesizer.draw((96, 128, 128)).classes.numpy()
        for left, right in ((1, 2), (3, 4), (5, 6), (7, 8)):
            columns = [np.argwhere(classes == side)[:, 2].mean() for side in (left, right)]
            assert columns[0] > columns[1] + 20


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


@pytest.mark.parametrize("step", [1, 2])
def test_soft_targets_share_out_every_voxel(step: int) -> None:
    classes = torch.randint(0, 13, (8, 8, 8), generator=torch.Generator().manual_seed(0))
    target = soft_targets(classes, 13, step)
    assert target.shape == (13, 8 // step, 8 // step, 8 // step)
    assert torch.allclose(target.sum(dim=0), torch.ones(target.shape[1:]))
    counts = torch.bincount(classes.flatten(), minlength=13).float()
    assert torch.allclose(target.sum(dim=(1, 2, 3)) * step**3, counts)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    short = TINY.replace("iterations = 6", "iterations = 3")
    first = Run.fresh(short, torch.device("cpu"))
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
    text = TINY.replace("iterations = 6", "iterations = 40").replace("[64, 64, 64]", "[32, 64, 64]")
    train(Run.fresh(text, torch.device("cpu")), tmp_path)
    rows = (tmp_path / "log.jsonl").read_text().splitlines()
    losses = [float(row.split('"loss": ')[1].split(",")[0]) for row in rows]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3


def test_the_shipped_configuration_holds_out_what_it_is_evaluated_on() -> None:
    config = TrainingConfig.parse(config_text("stem16"))
    assert set(config.heads).isdisjoint(HELD_OUT)
    assert set(config.heads) <= set(heads.names())


def test_a_field_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        TrainingConfig.parse(TINY.replace("[64, 64, 64]", "[64, 64, 80]"))


def test_folding_leaves_no_batchnorm_and_changes_no_logit() -> None:
    torch.manual_seed(0)
    network = ResUNet(Architecture(classes=4, base=4, widest=16, stem=True)).train()
    network(torch.randn(2, 1, 32, 32, 32))
    network.eval()
    plain = folded(network)
    assert not any(isinstance(m, torch.nn.BatchNorm3d) for m in plain.modules())
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(network(image), plain(image), atol=1e-4)


def test_the_exported_network_gives_the_classes_of_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResUNet(Architecture(classes=4, base=4, widest=16, stem=True)).eval()
    export_onnx(Served(folded(network)), tmp_path / "model.onnx", (32, 32, 32))
    found = parity(network, torch.randn(1, 1, 64, 32, 32), tmp_path)
    assert found.classes == 0.0
    assert found.logits < 1e-4
