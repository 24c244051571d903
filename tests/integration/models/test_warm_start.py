"""Training that goes on from a checkpoint or a package computes, at first, what that computed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# The imports below need it, so this comes before any marker; conftest lets no skip pass in CI.
torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from torch import nn  # noqa: E402
from torch.optim.swa_utils import AveragedModel  # noqa: E402

from fontanelle.errors import Code, Refused, Unavailable  # noqa: E402
from models.export import Served, export_onnx, folded  # noqa: E402
from models.network import Architecture, ResUNet  # noqa: E402
from models.package import find, load  # noqa: E402
from models.training.protocol import MIRRORED  # noqa: E402
from models.training.warm_start import (  # noqa: E402
    calibrate,
    load_checkpoint,
    load_onnx,
    start_from,
)
from service import cli  # noqa: E402
from tests.integration.models.tiny import tiny  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = Architecture(classes=4, base=4, widest=16, stem=True)


def trained(architecture: Architecture = SMALL, seed: int = 0) -> ResUNet:
    """Return a network whose statistics and weights are those of no fresh one."""
    torch.manual_seed(seed)
    network = ResUNet(architecture).train()
    for _ in range(3):
        network(3 * torch.randn(2, 1, 32, 32, 32) + 1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias)
    return network.eval()


def exported(network: ResUNet, folder: Path) -> Path:
    path = folder / "model.onnx"
    export_onnx(Served(folded(network)), path, (32, 32, 32))
    return path


def head() -> np.ndarray:
    return np.random.default_rng(3).normal(1, 2, (64, 32, 64)).astype(np.float32)


def test_folded_weights_give_the_same_logits_before_and_after_calibration(tmp_path: Path) -> None:
    teacher, pupil = trained(), ResUNet(SMALL).eval()
    image = torch.randn(1, 1, 32, 64, 32)
    with torch.inference_mode():
        expected = teacher(image)

    load_onnx(pupil, exported(teacher, tmp_path))
    with torch.inference_mode():
        added = pupil(image)
    calibrate(pupil, head())
    with torch.inference_mode():
        calibrated = pupil(image)

    assert (added - expected).abs().max() < 1e-3
    assert (calibrated - expected).abs().max() < 1e-3


def test_a_batchs_own_statistics_change_little_after_calibration_and_much_without(
    tmp_path: Path,
) -> None:
    teacher, pupil = trained(), ResUNet(SMALL)
    batch = torch.from_numpy(head())[None, None].repeat(2, 1, 1, 1, 1)
    batch[1] = batch[1].flip(-1)
    load_onnx(pupil, exported(teacher, tmp_path))
    with torch.no_grad():
        expected = teacher(batch)
        plain = (pupil.train()(batch) - expected).abs().mean()
        load_onnx(pupil, tmp_path / "model.onnx")
        calibrate(pupil, head())
        calibrated = (pupil.train()(batch) - expected).abs().mean()

    assert calibrated < 0.01 * plain


def test_a_run_that_starts_from_a_package_segments_as_the_package_does(tmp_path: Path) -> None:
    package = load(find())
    network = shipped_network()
    averaged = AveragedModel(network)

    start_from(network, averaged, package.name)

    import onnxruntime

    image = package.golden_case().image[48:112, 48:144, 48:112][None, None].copy()
    session = onnxruntime.InferenceSession(str(package.network), providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(None, {"image": image})[0])[0]
    with torch.inference_mode():
        for one in (network.eval(), averaged.module.eval()):
            found = Served(one, MIRRORED.tolist())(torch.from_numpy(image))[0].numpy()
            assert (found != expected).mean() < 1e-4
    assert len(np.unique(expected)) > 5


def shipped_network() -> ResUNet:
    """Build the network of the shipped package from what its weights say of it."""
    import onnx

    shapes = {one.name: one.dims for one in onnx.load(load(find()).network).graph.initializer}
    stem = "network.stem.0.weight" in shapes
    base = shapes["network.encoder.0.first.0.weight"][0]
    return ResUNet(
        Architecture(
            classes=shapes["network.output.bias"][0],
            base=base,
            widest=shapes["network.encoder.4.first.0.weight"][0],
            stem=stem,
        )
    )


def saved(network: ResUNet, folder: Path) -> Path:
    path = folder / "checkpoint.pt"
    torch.save({"averaged": AveragedModel(network).state_dict(), "iteration": 3}, path)
    return path


def test_a_checkpoint_gives_its_averaged_network(tmp_path: Path) -> None:
    teacher, pupil = trained(), ResUNet(SMALL)
    averaged = AveragedModel(pupil)

    start_from(pupil, averaged, str(saved(teacher, tmp_path)))

    image = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        assert torch.equal(pupil.eval()(image), teacher(image))
        assert torch.equal(averaged.module.eval()(image), teacher(image))


OTHER: dict[str, Architecture] = {
    "wider": Architecture(classes=4, base=8, widest=16, stem=True),
    "without a stem": Architecture(classes=4, base=4, widest=16),
    "of flat kernels": Architecture(classes=4, base=4, widest=16, kernel=(1, 3, 3), stem=True),
    "of more classes": Architecture(classes=13, base=4, widest=16, stem=True),
}


@pytest.mark.parametrize("other", OTHER)
@pytest.mark.parametrize("give", [exported, saved])
def test_weights_of_another_network_are_refused_and_nothing_is_changed(
    tmp_path: Path, other: str, give: Callable[[ResUNet, Path], Path]
) -> None:
    path = give(trained(OTHER[other]), tmp_path)
    pupil = ResUNet(SMALL)
    before = {name: value.clone() for name, value in pupil.state_dict().items()}

    with pytest.raises(Refused, match="belong to another network") as refusal:
        (load_onnx if path.suffix == ".onnx" else load_checkpoint)(pupil, path)

    assert refusal.value.reason.code is Code.NETWORK_OTHER
    assert all(torch.equal(before[name], value) for name, value in pupil.state_dict().items())


def test_what_is_no_checkpoint_and_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("loss went down")
    torch.save([1, 2], tmp_path / "list.pt")
    network = ResUNet(SMALL)
    averaged = AveragedModel(network)
    wrong = {
        "notes.pt": Code.CHECKPOINT_INVALID,
        "list.pt": Code.CHECKPOINT_INVALID,
        "absent.pt": Code.INPUT_NOT_FOUND,
    }
    for source, code in wrong.items():
        with pytest.raises(Refused) as refusal:
            start_from(network, averaged, str(tmp_path / source))
        assert refusal.value.reason.code is code
    with pytest.raises(Unavailable):
        start_from(network, averaged, "no-such-package")


def test_training_from_a_wrong_start_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(tiny())
    other = saved(trained(OTHER["wider"]), tmp_path)
    arguments = ["models", "train", str(config), "--out", str(out), "--init"]

    assert cli.run([*arguments, str(other)]) == 3
    assert cli.run([*arguments, "no-such-package"]) == 4

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("training.network_other: The weights belong to another network: ")
    assert second.startswith("package.unknown: ")
    assert not out.exists()
