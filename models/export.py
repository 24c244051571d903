"""From a checkpoint to a package: fold, export, prove parity, describe, sign."""

import copy
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fontanelle.errors import Code, Unavailable
from fontanelle.imaging.geometry import LabelArray
from fontanelle.imaging.head import axis_aligned
from fontanelle.imaging.quality import centroids, rigid_fit
from fontanelle.imaging.window import windowed
from models.network import ResUNet
from models.package import FILES, SCHEMA, file_sha256, read_region_set
from models.training import heads
from models.training.protocol import OUTER_CSF, PROTOCOLS
from models.training.synthesis import SynthesisConfig, Synthesizer
from models.training.train import Run

OPSET = 18
LOGIT_TOLERANCE = 1e-3
"""Largest difference of logits between torch and ONNX Runtime; labels may differ only at ties."""
LABEL_TOLERANCE = 1e-5
"""Share of voxels whose class may differ: ties of two logits, rounded otherwise."""
GOLDEN_TOLERANCE_ML = 0.5
"""Between engines and precisions, on the golden case."""


class Served(nn.Module):
    """The network as it is served: image (1, 1, S, R, C) to classes (1, S, R, C), uint8."""

    def __init__(self, network: ResUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the class of the largest logit."""
        return torch.argmax(self.network(image), dim=1).to(torch.uint8)


def folded(network: ResUNet) -> ResUNet:
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


def parity(network: ResUNet, image: torch.Tensor, folder: Path) -> Parity:
    """Compare torch (not folded) with ONNX Runtime (folded) on one image (1, 1, S, R, C).

    Raises
    ------
    Unavailable
        If they disagree: such a file must not become a package.
    """
    field = (image.shape[2], image.shape[3], image.shape[4])
    with torch.inference_mode():
        expected = network.eval()(image)
    probe = folder / "logits.onnx"
    export_onnx(folded(network), probe, field)
    logits = _run(probe, image.numpy())
    probe.unlink()
    classes = _run(folder / "model.onnx", image.numpy())
    found = Parity(
        float(np.abs(logits - expected.numpy()).max()),
        float((classes[0] != expected.argmax(dim=1)[0].numpy()).mean()),
    )
    if found.logits > LOGIT_TOLERANCE or found.classes > LABEL_TOLERANCE:
        raise Unavailable(
            Code.PACKAGE_INVALID,
            f"The export differs from torch by {found.logits:.1e} in logits and in "
            f"{found.classes:.1e} of all voxels.",
        )
    return found


def _run(path: Path, image: NDArray[np.float32]) -> NDArray[np.generic]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": image})[0])


def export_package(
    checkpoint: Path,
    folder: Path,
    *,
    name: str,
    version: str,
    model_card: str,
    known_limits: Sequence[str],
) -> Parity:
    """Make a package folder from a checkpoint.

    Parameters
    ----------
    checkpoint
        As training wrote it; the averaged weights are exported.
    folder
        Where the package goes; made if absent.
    name, version
        Of the package.
    model_card
        Text of `MODEL_CARD.md`.
    known_limits
        What its evaluation found wrong, a sentence each; said with every result.
    """
    run = Run.resume(checkpoint, torch.device("cpu"))
    network = cast("ResUNet", run.averaged.module).eval()
    folder.mkdir(parents=True, exist_ok=True)
    small = (96, 128, 96)
    export_onnx(Served(folded(network)), folder / "model.onnx", small)
    golden = _golden_image(run)
    found = parity(network, golden[None, None, 16:112, 16:144, 16:112].contiguous(), folder)
    voxels = _class_voxels(folder / "model.onnx", golden.numpy())
    np.savez_compressed(
        folder / "golden.npz", image=np.rint(golden.numpy() * 127).astype(np.int8), voxels=voxels
    )
    (folder / "MODEL_CARD.md").write_text(model_card, encoding="utf-8")
    text = _description(run, folder, {"name": name, "version": version}, list(known_limits))
    (folder / "package.toml").write_text(text, encoding="utf-8")
    return found


def _golden_image(run: Run) -> torch.Tensor:
    """Return a synthesised head on the smallest served field, rounded as it will be stored."""
    config = run.config
    head = heads.load_all(["toddler_24mo"], PROTOCOLS[config.protocol])
    calm = SynthesisConfig(keep_adult_size=0.0, thick_slices=0.0, cut_field=0.0)
    sample = Synthesizer(head, [1.0], calm, seed=7).draw(FIELDS[0])
    stored = torch.round(windowed(sample.image_hu, *config.window_hu) * 127).to(torch.int8)
    return stored.float() / 127.0


def _class_voxels(model: Path, image: NDArray[np.float32]) -> NDArray[np.int64]:
    classes = _run(model, image[None, None])
    return np.bincount(classes.ravel().astype(np.int64), minlength=256)


FIELDS = ((160, 192, 160), (192, 224, 192))
"""Sizes served: a toddler's or upright adult's head, and what is larger or turned."""


def placement(run: Run) -> tuple[dict[str, tuple[float, float, float]], float]:
    """Return the mean place of each region over the training heads, and four times the worst stray.

    Heads are turned onto the first one before. Both in the unit of
    `fontanelle.imaging.quality.Placement`.
    """
    regions = read_region_set(region_set_text())
    found = []
    for head in heads.load_all(list(run.config.heads), PROTOCOLS[run.config.protocol]):
        grid = axis_aligned(head.codes.shape, 1.0, np.zeros(3))
        labels = LabelArray(head.classes, grid)
        found.append(centroids(labels, head.intracranial_ml, regions))
    names = [region.name for region in regions.regions]
    places = np.array([[one[name] for name in names] for one in found])
    places = np.array([one @ rigid_fit(places[0], one)[0] for one in places])
    mean = places.mean(axis=0)
    stray = float(np.linalg.norm(places - mean, axis=2).max())
    rounded = {n: (float(x), float(y), float(z)) for n, (x, y, z) in zip(names, mean, strict=True)}
    return rounded, 4.0 * stray


def region_set_text() -> str:
    """Return the region set as TOML."""
    return (files("models.training") / "xi2025_regions.toml").read_text(encoding="utf-8")


def _description(run: Run, folder: Path, named: Mapping[str, str], known_limits: list[str]) -> str:
    """Return `package.toml`."""
    config = run.config
    centers, tolerance = placement(run)
    digests: dict[str, object] = {file: file_sha256(folder / file) for file in sorted(FILES)}
    architecture = config.architecture
    provenance: dict[str, object] = {
        "config_sha256": hashlib.sha256(run.config_text.encode()).hexdigest(),
        "iterations": run.iteration,
        "config_changed_at": run.changed_at,
        "hours": round(run.seconds / 3600, 2),
        "seed": config.seed,
        "heads": list(config.heads),
        "architecture": f"ResU-Net base {architecture.base}, at most {architecture.widest} "
        f"channels, stride-2 stem: {architecture.stem}",
        "torch": torch.__version__.split("+")[0],
    }
    sections: dict[str, dict[str, object]] = {
        "preprocessing": {
            "name": "hu_window",
            "low_hu": config.window_hu[0],
            "high_hu": config.window_hu[1],
            "outside_hu": -1024.0,
            "spacing_mm": 1.0,
            "fields": [list(field) for field in FIELDS],
        },
        "placement": {"tolerance": round(tolerance, 4)},
        "placement.centroids": {n: [round(v, 4) for v in xyz] for n, xyz in centers.items()},
        "files": digests,
        "training": provenance,
    }
    top = {
        "schema": SCHEMA,
        **named,
        "protocol": config.protocol,
        "protocol_match": "approximate",
        "intended_age_days": [548, 913],
        "outer_csf": OUTER_CSF,
        "known_limits": known_limits,
        "golden_tolerance_ml": GOLDEN_TOLERANCE_ML,
    }
    return _toml(top, sections) + "\n" + region_set_text()


def _toml(top: Mapping[str, object], sections: Mapping[str, Mapping[str, object]]) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in top.items()]
    for section, content in sections.items():
        lines += ["", f"[{section}]"]
        lines += [f"{_key(key)} = {_value(value)}" for key, value in content.items()]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return f'"{key}"' if "." in key else key


def _value(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return str(value)
