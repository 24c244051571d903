"""Checkpoints that are none, or another network's, are refused in one sentence; needs torch."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `train`)")

from fontanelle.errors import Code, Refused  # noqa: E402
from models.network import Architecture, build  # noqa: E402
from models.training.checkpoints import KEYS, load_weights, read_checkpoint  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = Architecture(4, base=4, widest=8)
CPU = torch.device("cpu")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = dict.fromkeys(KEYS, 0) | {"network": build(SMALL).state_dict()}
    torch.save(written, tmp_path / "checkpoint.pt")
    saved = read_checkpoint(tmp_path / "checkpoint.pt", CPU)
    network = build(SMALL)
    load_weights(network, saved["network"])
    for name, weights in written["network"].items():
        assert torch.equal(network.state_dict()[name], weights)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Architecture(4, base=8, widest=8), "weights differ, .* in the configuration"),
        (Architecture(5, base=4, widest=8), "2 of .* output.bias is 4 there and 5"),
        (Architecture(4, base=4, widest=8, kernel=(1, 3, 3)), "3x3x3 there and .*1x3x3"),
        (Architecture(4, base=4, widest=8, stem=True), "8 of 164 weights differ"),
        (Architecture(4, base=4, widest=8, kind="vnet"), "absent"),
    ],
    ids=["width", "classes", "kernel", "stem", "kind"],
)
def test_the_weights_of_another_network_are_refused_and_change_nothing(
    other: Architecture, said: str
) -> None:
    network = build(other)
    before = {name: weights.clone() for name, weights in network.state_dict().items()}
    with pytest.raises(Refused, match=said) as refusal:
        load_weights(network, build(SMALL).state_dict())
    assert refusal.value.reason.code is Code.NETWORK_OTHER
    assert all(torch.equal(before[name], w) for name, w in network.state_dict().items())


def test_a_checkpoint_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        read_checkpoint(tmp_path / "none.pt", CPU)
    assert refusal.value.reason.code is Code.INPUT_NOT_FOUND


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half an archive"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.pt").write_bytes(content)
    with pytest.raises(Refused) as refusal:
        read_checkpoint(tmp_path / "broken.pt", CPU)
    assert refusal.value.reason.code is Code.CHECKPOINT_INVALID


@pytest.mark.parametrize("content", [{"network": {}}, [1, 2], {}])
def test_part_of_a_checkpoint_is_refused_with_what_it_lacks(
    tmp_path: Path, content: object
) -> None:
    torch.save(content, tmp_path / "part.pt")
    with pytest.raises(Refused, match="lacks config") as refusal:
        read_checkpoint(tmp_path / "part.pt", CPU)
    assert refusal.value.reason.code is Code.CHECKPOINT_INVALID


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(dict.fromkeys(KEYS, 0) | {"network": build(SMALL).state_dict()}, whole)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    with pytest.raises(Refused) as refusal:
        read_checkpoint(whole, CPU)
    assert refusal.value.reason.code is Code.CHECKPOINT_INVALID
