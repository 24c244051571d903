"""Training that goes on from other weights: a checkpoint's averaged network, or a package's.

A package's convolutions have swallowed their BatchNorms. They are given back such that the network
computes what the package computes, both with the statistics that were stored and, closely, with
those of a batch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn
from torch.optim.swa_utils import AveragedModel

from models.package import find, load
from models.training.checkpoints import load_weights, read_checkpoint, require_same

Weights = dict[str, torch.Tensor]

_CALIBRATION_SIDES = (96, 128, 96)
"""Middle of the golden case on which the statistics are taken: skull, brain and air."""


def start_from(
    network: nn.Module,
    averaged: AveragedModel,
    source: str,
    *,
    step: Literal["network", "localiser"] = "network",
) -> None:
    """Give a fresh run the weights of a checkpoint or a package.

    Parameters
    ----------
    network
        As the configuration builds it; changed in place.
    averaged
        The run's average; made equal to `network`.
    source
        A checkpoint file (.pt), or a package by its name or folder.
    step
        Which of a package's networks.

    Raises
    ------
    Refused
        NETWORK_OTHER where the weights do not fit; CHECKPOINT_INVALID, INPUT_NOT_FOUND.
    Unavailable
        Where the package is absent or not intact.
    """
    if source.endswith(".pt"):
        load_checkpoint(network, Path(source))
    else:
        package = load(find(source))
        load_onnx(network, package.network if step == "network" else package.localiser_network)
        calibrate(network, package.golden_case(step).image)
    averaged.module.load_state_dict(network.state_dict())


def load_checkpoint(network: nn.Module, path: Path) -> None:
    """Copy the averaged weights of a checkpoint into a network.

    Raises
    ------
    Refused
        INPUT_NOT_FOUND, CHECKPOINT_INVALID or NETWORK_OTHER.
    """
    device = next(network.parameters()).device
    saved = read_checkpoint(path, device, ["averaged"])["averaged"]
    found = {name.removeprefix("module."): value for name, value in saved.items()}
    found.pop("n_averaged", None)
    load_weights(network, found)


def load_onnx(network: nn.Module, path: Path) -> None:
    """Copy the weights of an exported network, whose BatchNorms are folded, into a network.

    Each BatchNorm becomes the addition of its convolution's bias: mean 0, variance 1.

    Raises
    ------
    Refused
        NETWORK_OTHER.
    """
    found = _initializers(path)
    blocks = dict(_blocks(network))
    state = network.state_dict()
    wanted = {name: value for name, value in state.items() if not _is_of_a_norm(name, blocks)}
    wanted |= {f"{name}.0.bias": norm.bias for name, (_, norm) in blocks.items()}
    require_same(wanted, found)
    with torch.no_grad():
        for name, value in found.items():
            block = name.removesuffix(".0.bias")
            if name.endswith(".0.bias") and block in blocks:
                _become_addition(blocks[block][1], value)
            else:
                state[name].copy_(value)


def calibrate(network: nn.Module, image: NDArray[np.float32]) -> None:
    """Set each BatchNorm's statistics to those of a head, and its scale such that nothing changes.

    Without this the first iteration, which uses a batch's own statistics, would scale every channel
    to a spread of 1 and undo what was learnt.

    Parameters
    ----------
    network
        After `load_onnx`.
    image
        Prepared as for the network, (slice, row, column); seen mirrored as well.
    """
    device = next(network.parameters()).device
    middle = torch.from_numpy(_middle(image))[None, None].to(device)
    taken: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    blocks = dict(_blocks(network))

    def take(name: str, inputs: torch.Tensor) -> None:
        taken[name] = (inputs.mean((0, 2, 3, 4)), inputs.var((0, 2, 3, 4), correction=0))

    hooks = [
        norm.register_forward_pre_hook(lambda _, args, name=name: take(name, args[0]))
        for name, (_, norm) in blocks.items()
    ]
    was_training = network.training
    with torch.no_grad():
        network.eval()(torch.cat((middle, middle.flip(-1))))
        for name, (mean, variance) in taken.items():
            _keep_function(blocks[name][1], mean, variance)
    for hook in hooks:
        hook.remove()
    network.train(was_training)


def _keep_function(norm: nn.BatchNorm3d, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Take new statistics into a norm that only adds: y = x + bias stays what it computes."""
    statistics = _statistics(norm)
    statistics[0].copy_(mean)
    statistics[1].copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.add_(mean)


def _become_addition(norm: nn.BatchNorm3d, bias: torch.Tensor) -> None:
    mean, variance = _statistics(norm)
    mean.zero_()
    variance.fill_(1.0 - norm.eps)
    norm.weight.fill_(1.0)
    norm.bias.copy_(bias)


def _statistics(norm: nn.BatchNorm3d) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError("a BatchNorm without running statistics")
    return mean, variance


def _blocks(network: nn.Module) -> Iterator[tuple[str, tuple[nn.Module, nn.BatchNorm3d]]]:
    """Yield name, convolution and BatchNorm of each block, as `models.networks` builds them."""
    for name, module in network.named_modules():
        if (
            isinstance(module, nn.Sequential)
            and len(module) > 1
            and isinstance(module[1], nn.BatchNorm3d)
        ):
            yield name, (module[0], module[1])


def _is_of_a_norm(name: str, blocks: dict[str, tuple[nn.Module, nn.BatchNorm3d]]) -> bool:
    owner, _, _ = name.rpartition(".")
    return owner.endswith(".1") and owner.removesuffix(".1") in blocks


def _initializers(path: Path) -> Weights:
    """Return the weights of an ONNX file by the names they had in torch."""
    graph = onnx.load(path).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    # The exporter stores equal arrays once and names the others after them.
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    return {
        name.removeprefix("network."): torch.from_numpy(np.array(value))
        for name, value in values.items()
        if name.startswith("network.")
    }


def _middle(image: NDArray[np.float32]) -> NDArray[np.float32]:
    cut = []
    for side, wanted in zip(image.shape, _CALIBRATION_SIDES, strict=True):
        taken = min(side, wanted)
        cut.append(slice((side - taken) // 2, (side - taken) // 2 + taken))
    return cast("NDArray[np.float32]", np.ascontiguousarray(image[tuple(cut)]))
