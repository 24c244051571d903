"""The networks: what the papers say of them, what they learn, what the export makes of them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

# The imports below need it, so this comes before any marker; conftest lets no skip pass in CI.
torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from models.export.to_onnx import Served, export_onnx, folded, parity, run_onnx  # noqa: E402
from models.network import (  # noqa: E402
    NETWORKS,
    Architecture,
    Network,
    build,
    count_convolutions,
)
from models.training import train  # noqa: E402
from models.training.losses import LOSSES  # noqa: E402
from models.training.protocol import MIRRORED  # noqa: E402
from worker.inference.engine import Network as NetworkFile  # noqa: E402
from worker.inference.open_vino import open_openvino  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = {
    "resunet (3,3,3)": Architecture(4, base=4, widest=16),
    "resunet (1,3,3)": Architecture(4, base=4, widest=16, kernel=(1, 3, 3)),
    "resunet behind a stem": Architecture(4, base=8, widest=16, stem=True),
    "unet3d": Architecture(4, base=4, widest=16, kind="unet3d"),
    "vnet": Architecture(4, base=4, widest=16, kind="vnet"),
}
every_network = pytest.mark.parametrize("architecture", SMALL.values(), ids=SMALL.keys())


def convolution_weights(network: Network) -> int:
    kinds = (torch.nn.Conv3d, torch.nn.ConvTranspose3d)
    return sum(m.weight.numel() for m in network.modules() if isinstance(m, kinds))


def toy(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw balls in 32^3: noisy images (N, 1, ...) and classes (N, ...), 0 and 1."""
    random = torch.Generator().manual_seed(seed)
    axis = torch.arange(32) - 15.5
    images, labels = [], []
    for _ in range(count):
        s, r, c = (torch.rand(3, generator=random) * 6 - 3).tolist()
        squared = (axis - s)[:, None, None] ** 2 + (axis - r)[:, None] ** 2 + (axis - c) ** 2
        radius = squared.sqrt()
        classes = (radius < 11).long()
        noise = 0.5 * torch.randn(32, 32, 32, generator=random)
        images.append((classes.float() - 0.5 + noise)[None])
        labels.append(classes)
    return torch.stack(images), torch.stack(labels)


@pytest.mark.parametrize(
    ("stem", "kernel", "convolutions"),
    [(False, (3, 3, 3), 27), (False, (1, 3, 3), 27), (True, (3, 3, 3), 28)],
)
def test_the_resunet_has_the_papers_27_convolutions_and_one_more_behind_a_stem(
    stem: bool, kernel: tuple[int, int, int], convolutions: int
) -> None:
    assert count_convolutions(build(Architecture(11, kernel=kernel, stem=stem))) == convolutions


def test_the_unet_has_the_published_number_of_weights() -> None:
    # Çiçek et al. 2016: 19,069,955 parameters for three channels and three classes. Of these are
    # 2,339 biases (all convolutions but the transposed); two more input channels have 2 x 27 x 32.
    network = build(Architecture(3, base=32, widest=512, kind="unet3d"))
    assert convolution_weights(network) == 19_069_955 - 2_339 - 2 * 27 * 32
    assert count_convolutions(network) == 18


def test_the_vnet_has_the_weights_counted_by_hand_from_its_figure() -> None:
    # Milletari et al. 2016, figure 2: levels of 16 to 256 channels, 1, 2, 3, 3, 3 convolutions of
    # 5x5x5 down and 3, 3, 2, 1 up on 256, 256, 128, 64 and 32; 2x2x2 between levels; 1x1x1 last.
    down = 125 * (16 + 2 * 32**2 + 3 * 64**2 + 3 * 128**2 + 3 * 256**2)
    up = 125 * (3 * 256**2 + 3 * 128**2 + 2 * 64**2 + 32**2)
    between = 8 * (16 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    between += 8 * (256 * 128 + 256 * 64 + 128 * 32 + 64 * 16)
    network = build(Architecture(2, base=16, widest=256, kernel=(5, 5, 5), kind="vnet"))
    assert convolution_weights(network) == down + up + between + 32 * 2
    assert count_convolutions(network) == 30


@every_network
def test_logits_come_back_at_the_resolution_of_the_image(architecture: Architecture) -> None:
    network = build(architecture).eval()
    side, step = architecture.multiple, architecture.step
    with torch.inference_mode():
        image = torch.zeros(1, 1, side, 2 * side, side)
        assert network(image).shape == (1, 4, side, 2 * side, side)
        own = (side // step, 2 * side // step, side // step)
        assert network.features(image).shape[2:] == own


@every_network
def test_the_logits_of_every_corner_together_are_those_of_the_image(
    architecture: Architecture,
) -> None:
    torch.manual_seed(0)
    network = build(architecture).eval()
    torch.nn.init.normal_(network.output.bias)
    image = torch.randn(2, 1, 64, 32, 32)
    step = architecture.step
    together = torch.full((2, 4, 64, 32, 32), torch.nan)
    with torch.inference_mode():
        features = network.features(image)
        for s, r, c in product(range(step), repeat=3):
            logits = network.logits_from(features, (s, r, c))
            together[:, :, s::step, r::step, c::step] = logits
        assert torch.allclose(together, network(image), atol=1e-5)


@every_network
def test_the_loss_of_all_corners_is_that_of_the_image(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = build(architecture).eval()
    image, classes = toy(1, 0)
    with torch.inference_mode():
        logits = network(image)
        # torch's own, not the one that is looked at.
        expected = torch.nn.functional.cross_entropy(logits, classes)
        monkeypatch.setattr(train, "CORNERS", 8)
        found = train.loss_of(network, LOSSES["cross_entropy"], image, classes.byte(), bf16=False)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_behind_a_stem_other_corners_are_looked_at_each_time() -> None:
    torch.manual_seed(0)
    drawn = [frozenset(train._corners(2)) for _ in range(20)]
    assert all(len(corners) == train.CORNERS for corners in drawn)
    assert frozenset().union(*drawn) == set(product(range(2), repeat=3))
    assert train._corners(1) == [(0, 0, 0)]


@every_network
def test_a_side_that_is_no_multiple_does_not_pass(architecture: Architecture) -> None:
    network = build(architecture).eval()
    side = architecture.multiple
    with torch.inference_mode(), pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, side, side, 2 * side - 4))


@every_network
def test_every_network_learns_a_ball_in_a_few_steps(architecture: Architecture) -> None:
    torch.manual_seed(0)
    network = build(architecture).train()
    loss = LOSSES["dice_l2" if architecture.kind == "vnet" else "dice_ce"]
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
    # Behind a stem an iteration looks at a quarter of the voxels.
    for iteration in range(30 if architecture.stem else 15):
        image, classes = toy(2, iteration)
        optimizer.zero_grad()
        train.loss_of(network, loss, image, classes, bf16=False).backward()
        optimizer.step()
    image, classes = toy(2, 1000)
    with torch.inference_mode():
        # The batch's own statistics: a few steps are too few for the running ones.
        found = network(image).argmax(dim=1)
    both = ((found == 1) & (classes == 1)).sum()
    assert 2 * both / ((found == 1).sum() + (classes == 1).sum()) > 0.9


@every_network
def test_folding_leaves_no_batchnorm_and_changes_no_logit(architecture: Architecture) -> None:
    torch.manual_seed(0)
    network = build(architecture).train()
    network(torch.randn(2, 1, 32, 32, 32))
    plain = folded(network.eval())
    assert not any(isinstance(m, torch.nn.BatchNorm3d) for m in plain.modules())
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(network(image), plain(image), atol=1e-4)


@every_network
def test_every_exported_network_gives_the_classes_of_torch(
    tmp_path: Path, architecture: Architecture
) -> None:
    torch.manual_seed(0)
    network = build(architecture).eval()
    export_onnx(Served(folded(network)), tmp_path / "model.onnx", (32, 32, 32))
    found = parity(Served(network), torch.randn(1, 1, 64, 32, 32), tmp_path)
    assert found.classes == 0.0
    assert found.logits < 1e-4


def test_a_network_that_looks_both_ways_gives_mirrored_classes_for_a_mirrored_head(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    network = build(Architecture(classes=13, base=4, widest=16, stem=True)).eval()
    # Fresh weights name two classes; these name most of them.
    torch.nn.init.normal_(network.output.weight, std=5.0)
    torch.nn.init.zeros_(network.output.bias)
    served = Served(folded(network), MIRRORED.tolist())
    path = tmp_path / "model.onnx"
    export_onnx(served, path, (32, 32, 32))
    image = np.random.default_rng(0).normal(size=(64, 32, 32)).astype(np.float32)
    backwards = np.ascontiguousarray(image[:, :, ::-1])
    engine = open_openvino(NetworkFile(path, (image.shape,), "0" * 64))
    as_is = run_onnx(path, image[None, None])[0]
    by_torch = served(torch.from_numpy(image)[None, None])[0].numpy()

    assert len(np.unique(as_is)) > 3
    assert (as_is != by_torch).mean() < 1e-4
    assert (engine.segment(image) != by_torch).mean() < 1e-4
    for mirrored in (run_onnx(path, backwards[None, None])[0], engine.segment(backwards)):
        assert (mirrored == MIRRORED[as_is[:, :, ::-1]]).mean() > 0.999
    assert parity(served, torch.from_numpy(image)[None, None], tmp_path).classes < 1e-4


def test_an_unknown_network_is_refused_with_those_that_exist() -> None:
    with pytest.raises(Refused, match="unet3d") as refusal:
        build(Architecture(4, kind="transformer"))
    assert refusal.value.reason.code is Code.TRAINING_CONFIG
    assert set(NETWORKS) == {"resunet", "unet3d", "vnet"}


def test_a_stem_is_the_resunets_alone() -> None:
    with pytest.raises(Refused, match="stem"):
        build(Architecture(4, kind="vnet", stem=True))
