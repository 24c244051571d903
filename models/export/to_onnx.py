"""From torch to ONNX: fold, export, and prove that both say the same."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fontanelle.errors import Code, Unavailable
from models.networks.architecture import Network

OPSET = 18
LOGIT_TOLERANCE = 1e-3
"""Largest difference of logits between torch and ONNX Runtime; labels may differ only at ties."""
LABEL_TOLERANCE = 1e-5
"""Share of voxels whose class may differ: ties of two logits, rounded otherwise."""


class Served(nn.Module):
    """The network as it is served: image (1, 1, S, R, C) to classes (1, S, R, C), uint8.

    Parameters
    ----------
    network
        Image to logits.
    mirrored
        Class of each class in a mirrored head: the network looks both ways and the logits are
        added, so that a mirrored head has mirrored classes. None looks once.
    """

    def __init__(self, network: Network, mirrored: Sequence[int] | None = None) -> None:
        super().__init__()
        self.network = network
        self.mirrored = None if mirrored is None else torch.tensor(list(mirrored))

    @property
    def looks(self) -> int:
        """How many times the network looks at an image."""
        return 1 if self.mirrored is None else 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the class of the largest logit."""
        return torch.argmax(self.logits(image), dim=1).to(torch.uint8)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (1, classes, S, R, C), summed over all looks."""
        if self.mirrored is None:
            return torch.as_tensor(self.network(image))
        backwards = torch.arange(image.shape[-1] - 1, -1, -1, device=image.device)
        logits = self.network(torch.cat((image, _columns(image, backwards))))
        back = torch.index_select(_columns(logits[1:], backwards), 1, self.mirrored)
        return torch.as_tensor(logits[:1] + back)


def _columns(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Put columns in another order, in operators that OpenVINO 2026.4 computes rightly.

    A slice of negative step loses the size of a free side there, and a gather along the last axis
    comes out wrong in a few columns: so the columns are gathered as another axis.
    """
    return torch.index_select(values.transpose(2, 4), 2, order).transpose(2, 4)


def folded(network: Network) -> Network:
    """Return a copy in which every BatchNorm is part of its convolution.

    The exporter folds BatchNorm into convolutions but not into transposed ones.
    """
    network = copy.deepcopy(network).eval()
    for block in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        if len(block) < 2 or not isinstance(block[1], nn.BatchNorm3d):
            continue
        conv = cast("nn.Conv3d | nn.ConvTranspose3d", block[0])
        transposed = isinstance(conv, nn.ConvTranspose3d)
        block[0] = fuse_conv_bn_eval(conv, block[1], transpose=transposed)
        block[1] = nn.Identity()
    return network


def export_onnx(network: nn.Module, path: Path, field: tuple[int, int, int]) -> None:
    """Write a network with free sides as ONNX, weights inside."""
    axes = {"image": {2: "s", 3: "r", 4: "c"}}
    with warnings.catch_warnings():
        # The TorchScript exporter announces its successor; the successor leaves BatchNorms.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, *field),),
            str(path),
            input_names=["image"],
            output_names=["classes"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


@dataclass(frozen=True, slots=True)
class Parity:
    """How far ONNX Runtime is from torch: largest logit difference, share of other classes."""

    logits: float
    classes: float


def parity(served: Served, image: torch.Tensor, folder: Path, name: str = "model.onnx") -> Parity:
    """Compare torch (not folded) with ONNX Runtime (folded) on one image (1, 1, S, R, C).

    Parameters
    ----------
    served
        The network as trained.
    image
        A prepared one.
    folder, name
        Where the exported network lies.

    Raises
    ------
    Unavailable
        If they disagree: such a file must not become a package.
    """
    field = (image.shape[2], image.shape[3], image.shape[4])
    network = served.network.eval()
    with torch.inference_mode():
        expected = network(image)
        expected_classes = served(image)
    probe = folder / "logits.onnx"
    export_onnx(folded(network), probe, field)
    logits = run_onnx(probe, image.numpy())
    probe.unlink()
    classes = run_onnx(folder / name, image.numpy())
    found = Parity(
        float(np.abs(logits - expected.numpy()).max()),
        float((classes[0] != expected_classes[0].numpy()).mean()),
    )
    if found.logits > LOGIT_TOLERANCE or found.classes > LABEL_TOLERANCE:
        raise Unavailable(
            Code.PACKAGE_INVALID,
            f"The export differs from torch by {found.logits:.1e} in logits and in "
            f"{found.classes:.1e} of all voxels.",
        )
    return found


def run_onnx(path: Path, image: NDArray[np.float32]) -> NDArray[np.generic]:
    """Run an exported network on an image (1, 1, S, R, C)."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": image})[0])
