"""From checkpoints to a package: export, prove parity, describe, sign. All of it or nothing."""

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fontanelle.errors import Code, Refused
from fontanelle.imaging.quality.likeness import FEATURES
from fontanelle.norms.comparison import ProtocolMatch
from models.export.evaluated import Evaluation
from models.export.levelling import LEVELLED, level, measured_gains
from models.export.samples import golden_image, likeness
from models.export.to_onnx import Parity, Served, export_onnx, folded, parity, run_onnx
from models.package import FILES, LOCALISER, NETWORK, SCHEMA, file_sha256, load, read_region_set
from models.toml_text import toml_text
from models.training.heads import CANONICAL
from models.training.protocol import MIRRORED, OUTER_CSF
from models.training.region_set import region_set_text
from models.training.synthesis import Field
from models.training.synthesis.anatomy import placement
from models.training.train import Run, TrainingConfig, heads_of

FIELDS: tuple[Field, ...] = ((160, 192, 160), (192, 224, 192))
"""Served by a package of one step: a toddler's or upright adult's head, and what is larger."""
GOLDEN_TOLERANCE_ML = 0.5
"""Between engines and precisions, on the golden case."""
OUTSIDE_HU = -1024.0
PARITY_SIDE = 96
"""Largest side of the part of the golden case on which parity is proved."""

Table = dict[str, object]


@dataclass(frozen=True, slots=True)
class Said:
    """What a package says of itself that its checkpoints do not know.

    Attributes
    ----------
    name, version, model_card
        For people; the card is the text of `MODEL_CARD.md`.
    known_limits
        What its evaluation found wrong, a sentence each; said with every result.
    protocol_match
        How its regions relate to the reference's.
    evaluation
        Of the same networks; None, and nothing is known of them.
    likeness_samples
        How many training samples are drawn to learn how they look; none, and it does not say.
    levelling_samples
        How many are drawn to level the classes of CSF; none, and they stay as they were learnt.
    levelled
        What the classes of CSF gain, by name, where that is known already: another machine's
        arithmetic may find a hundredth more or less, and an evaluation would be of others.
    """

    name: str
    version: str
    model_card: str
    known_limits: Sequence[str] = ()
    protocol_match: ProtocolMatch = ProtocolMatch.APPROXIMATE
    intended_age_days: tuple[int, int] = (548, 913)
    evaluation: Evaluation | None = None
    likeness_samples: int = 64
    levelling_samples: int = 32
    levelled: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One network on its way into the package."""

    run: Run
    file: str
    prefix: str
    fields: tuple[Field, ...]


def export_package(
    checkpoint: Path,
    localiser_checkpoint: Path | None,
    folder: Path,
    said: Said,
    *,
    replace: bool = False,
) -> dict[str, Parity]:
    """Make a package of one or two checkpoints.

    Parameters
    ----------
    checkpoint
        As training wrote it; the averaged weights are exported.
    localiser_checkpoint
        Of the coarse step; None makes a package of one step.
    folder
        Where the package goes; a finished one is left alone unless `replace`.
    said
        What else it says of itself.

    Returns
    -------
    File to its parity with torch.

    Raises
    ------
    Refused
        PACKAGE_EXISTS where the folder holds anything; NETWORK_OTHER where the two networks do not
        go together, or the evaluation is of others.
    Unavailable
        Where the export differs from torch, or does not make a valid package.
    """
    steps = _steps(checkpoint, localiser_checkpoint)
    with _unfinished(folder, replace=replace) as made:
        levelled = _levelled(steps[0], said)
        golden: dict[str, NDArray[np.generic]] = {}
        proved = {step.file: _exported(step, made, golden) for step in steps}
        np.savez_compressed(made / "golden.npz", allow_pickle=False, **golden)
        (made / "MODEL_CARD.md").write_text(said.model_card, encoding="utf-8")
        (made / "package.toml").write_text(
            _description(steps, made, said, levelled), encoding="utf-8"
        )
        load(made)
    return proved


@contextmanager
def _unfinished(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Give a folder to work in, which takes the place of `folder` when all is done."""
    if not replace and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(Code.PACKAGE_EXISTS, f"{folder} is not empty; nothing is overwritten.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield made
        made.chmod(0o755)
        if folder.exists():
            old = made.with_name(f"{made.name}-old")
            folder.rename(old)
            made.rename(folder)
            shutil.rmtree(old)
        else:
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _steps(checkpoint: Path, localiser_checkpoint: Path | None) -> list[_Step]:
    cpu = torch.device("cpu")
    run = Run.resume(checkpoint, cpu)
    if localiser_checkpoint is None:
        return [_Step(run, NETWORK, "", FIELDS)]
    coarse = Run.resume(localiser_checkpoint, cpu)
    _require_a_pair(run.config, coarse.config)
    return [
        _Step(run, NETWORK, "", (CANONICAL.field,)),
        _Step(coarse, LOCALISER, "localiser_", (coarse.config.phases[-1].field,)),
    ]


def _require_a_pair(config: TrainingConfig, coarse: TrainingConfig) -> None:
    if config.protocol != coarse.protocol:
        raise Refused(
            Code.NETWORK_OTHER,
            f"The localiser follows {coarse.protocol} and the network {config.protocol}.",
        )
    if config.synthesis.spacing_mm != CANONICAL.spacing_mm:
        raise Refused(
            Code.NETWORK_OTHER, "The network was not trained in the frame that a localiser finds."
        )


def _exported(step: _Step, made: Path, golden: dict[str, NDArray[np.generic]]) -> Parity:
    """Export a network, prove it, and add its golden case."""
    network = step.run.learnt
    image = golden_image(step.run.config, step.fields[0])
    part = _middle(image, step.run.config.architecture.multiple)
    mirrored = MIRRORED.tolist()
    export_onnx(Served(folded(network), mirrored), made / step.file, part.shape)
    probe = torch.from_numpy(part)[None, None].contiguous()
    proved = parity(Served(network, mirrored), probe, made, step.file)
    classes = run_onnx(made / step.file, image[None, None])
    golden[f"{step.prefix}image"] = np.rint(image * 127).astype(np.int8)
    golden[f"{step.prefix}voxels"] = np.bincount(classes.ravel().astype(int), minlength=256)
    return proved


def _middle(image: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    box = []
    for side in image.shape:
        size = min(side, PARITY_SIDE) // multiple * multiple
        box.append(slice((side - size) // 2, (side - size) // 2 + size))
    return image[tuple(box)]


def _levelled(step: _Step, said: Said) -> Mapping[str, float]:
    """Level the network, and return by how much."""
    served = Served(step.run.learnt, MIRRORED.tolist())
    gained = said.levelled
    if gained is None and said.levelling_samples:
        gained = measured_gains(served, step.run.config, step.fields[0], said.levelling_samples)
    level(served, gained or {})
    return gained or {}


def read_levelled(package: Path) -> dict[str, float]:
    """Return what the classes of CSF gained in a package.

    Raises
    ------
    Refused
        PACKAGE_INVALID where it does not say, or names other classes.
    """
    try:
        text = (package / "package.toml").read_text(encoding="utf-8")
        found = tomllib.loads(text)["training"]["levelled"]
        return {name: float(found[name]) for name in LEVELLED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            Code.PACKAGE_INVALID, f"{package} does not say how its classes of CSF were levelled."
        ) from error


def _description(
    steps: Sequence[_Step], made: Path, said: Said, levelled: Mapping[str, float]
) -> str:
    """Return `package.toml`."""
    network, *coarse = steps
    config = network.run.config
    digests = {step.file: file_sha256(made / step.file) for step in steps}
    found = said.evaluation or Evaluation(digests, {}, {}, qualified=False)
    found.require_same(digests)
    places = placement(heads_of(config))
    table: Table = {
        "schema": SCHEMA,
        "name": said.name,
        "version": said.version,
        "protocol": config.protocol,
        "protocol_match": str(said.protocol_match),
        "qualified": found.qualified,
        "intended_age_days": said.intended_age_days,
        "outer_csf": OUTER_CSF,
        "known_limits": list(said.known_limits),
        "golden_tolerance_ml": GOLDEN_TOLERANCE_ML,
        "preprocessing": _preprocessing(config) | {"fields": network.fields},
    }
    for step in coarse:
        table["localiser"] = _preprocessing(step.run.config) | {"field": step.fields[0]}
        table["canonical"] = {
            "intracranial_ml": CANONICAL.intracranial_ml,
            "center_lps_mm": CANONICAL.center_lps_mm,
        }
    table["placement"] = {
        "tolerance": round(places.tolerance, 4),
        "centroids": {n: [round(v, 4) for v in xyz] for n, xyz in places.centroids.items()},
    }
    if said.likeness_samples:
        table["likeness"] = _likeness(network, said.likeness_samples)
    files = FILES | {step.file for step in steps}
    return toml_text(
        table
        | {
            "measurement_error": dict(found.measurement_error_percent),
            "files": {name: file_sha256(made / name) for name in sorted(files)},
            "training": _training(steps) | {"levelled": dict(levelled)},
            "metrics": dict(found.metrics),
        }
    ) + ("\n" + region_set_text())


def _preprocessing(config: TrainingConfig) -> Table:
    return {
        "name": config.preprocessing,
        "low_hu": config.window_hu[0],
        "high_hu": config.window_hu[1],
        "outside_hu": OUTSIDE_HU,
        "spacing_mm": config.synthesis.spacing_mm,
    }


def _likeness(step: _Step, count: int) -> Table:
    region_set = read_region_set(region_set_text())
    served = Served(step.run.learnt, MIRRORED.tolist())

    def segment(image: NDArray[np.float32]) -> NDArray[np.uint8]:
        with torch.inference_mode():
            return np.asarray(served(torch.from_numpy(image)[None, None])[0].numpy())

    known = likeness(step.run.config, step.fields[0], region_set, count, segment)
    return {
        "features": list(FEATURES),
        "mean": [float(f"{value:.6g}") for value in known.mean],
        "covariance": [[float(f"{value:.6g}") for value in row] for row in known.covariance],
        "usual": round(known.usual, 3),
    }


def _training(steps: Sequence[_Step]) -> Table:
    network, *coarse = steps
    table = _provenance(network.run)
    for step in coarse:
        table["localiser"] = _provenance(step.run)
    return table


def _provenance(run: Run) -> Table:
    config, architecture = run.config, run.config.architecture
    return {
        "config_sha256": hashlib.sha256(run.config_text.encode()).hexdigest(),
        "iterations": run.iteration,
        "config_changed_at": list(run.changed_at),
        "hours": round(run.seconds / 3600, 2),
        "seed": config.seed,
        "heads": list(config.heads),
        "architecture": f"{architecture.kind} base {architecture.base}, at most "
        f"{architecture.widest} channels, kernel {' x '.join(map(str, architecture.kernel))}"
        f"{', stride-2 stem' if architecture.stem else ''}",
        "torch": torch.__version__.split("+")[0],
    }
