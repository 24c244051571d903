"""Training: synthesised heads in, checkpoints out. Seeded, resumable, on CPU or GPU."""

import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self, cast

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset

from models.network import build
from models.networks.architecture import Network
from models.training.checkpoints import load_weights, read_checkpoint
from models.training.config import TrainingConfig, config_text
from models.training.heads import CANONICAL, Head, head_of, load_all
from models.training.label_files import read_all
from models.training.losses import LOSSES, Loss, one_hot
from models.training.paired import PairedScans
from models.training.protocol import PROTOCOLS, classes
from models.training.synthesis import Field, Synthesizer
from models.training.synthesis.anatomy import placement

__all__ = ["Run", "TrainingConfig", "config_text", "train"]

REAL_SHARE: Final = 0.25
"""Of samples from real scans, where there are any."""
CORNERS: Final = 2
"""Of eight voxels behind a stem, whose loss is taken in each iteration."""
_OPTIMIZERS: Final[Mapping[str, type[torch.optim.Optimizer]]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
}


@dataclass(slots=True)
class Run:
    """The state of a run between two iterations; all of it is in the checkpoint.

    `changed_at` holds the iterations at which it went on under another configuration.
    """

    config_text: str
    config: TrainingConfig
    network: Network
    averaged: AveragedModel
    optimizer: torch.optim.Optimizer
    iteration: int = 0
    seconds: float = 0.0
    changed_at: list[int] = field(default_factory=list)

    @property
    def learnt(self) -> Network:
        """The averaged network, ready to be asked."""
        # Its wrapper knows it as a module only.
        return cast("Network", self.averaged.module.eval())

    @classmethod
    def fresh(cls, text: str, device: torch.device) -> Self:
        """Start a run from a configuration's text."""
        config = TrainingConfig.parse(text)
        torch.manual_seed(config.seed)
        network = build(config.architecture)
        # Typed stubs of torch know memory_format only beside a tensor; channels-last is 2 x faster.
        network = network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        averaged = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging), use_buffers=True
        )
        # Keyword arguments of optimizers are not part of their common type.
        make: Any = _OPTIMIZERS[config.optimizer]
        optimizer = make(network.parameters(), lr=config.learning_rate)
        return cls(text, config, network, averaged, optimizer)

    @classmethod
    def resume(cls, checkpoint: Path, device: torch.device, text: str | None = None) -> Self:
        """Go on from a checkpoint, with its own configuration unless another is given.

        Raises
        ------
        Refused
            CHECKPOINT_INVALID, or NETWORK_OTHER where the configuration builds another network.
        """
        saved = read_checkpoint(checkpoint, device)
        run = cls.fresh(text or saved["config"], device)
        load_weights(run.network, saved["network"])
        run.averaged.load_state_dict(saved["averaged"])
        run.optimizer.load_state_dict(saved["optimizer"])
        run.iteration, run.seconds = saved["iteration"], saved["seconds"]
        run.changed_at = list(saved["changed_at"])
        if run.config_text != saved["config"]:
            run.changed_at.append(run.iteration)
        return run

    def save(self, path: Path) -> None:
        """Write the checkpoint; a reader never sees half of it."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "config": self.config_text,
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "iteration": self.iteration,
                "seconds": self.seconds,
                "changed_at": self.changed_at,
            },
            partial,
        )
        partial.replace(path)


def has_bf16(device: torch.device) -> bool:
    """Return whether bf16 is arithmetic here and not emulation: it is slower where it is not."""
    if device.type != "cpu":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and bool(
        torch.cpu._is_amx_tile_supported()
    )  # noqa: SLF001


def heads_of(config: TrainingConfig) -> list[Head]:
    """Read the heads of a configuration: the shipped label maps, or a folder's."""
    protocol = PROTOCOLS[config.protocol]
    if config.label_maps is None:
        return load_all(list(config.heads), protocol)
    return [
        head_of(found.name, classes(found.structures, found.tissues, protocol), found.tissues)
        for found in read_all(Path(config.label_maps), list(config.heads))
    ]


Batch = tuple[torch.Tensor, torch.Tensor]


class Batches(IterableDataset[Batch]):
    """Batches from a run's next iteration to its last: images and classes.

    All samples are synthesised, unless a folder of real scans with labels is given: then one in
    four is drawn from there.
    """

    def __init__(self, config: TrainingConfig, iteration: int, pairs: Path | None = None) -> None:
        super().__init__()
        chosen = heads_of(config)
        # The seed counts on from the iteration, so that a resumed run draws new heads.
        seed = config.seed + iteration
        self._synthesizer = Synthesizer(chosen, list(config.heads.values()), config.synthesis, seed)
        self._scans = (
            None
            if pairs is None
            else PairedScans(
                pairs,
                placement(chosen),
                seed=seed,
                canonical=replace(CANONICAL, spacing_mm=config.synthesis.spacing_mm),
            )
        )
        self._config, self._iteration = config, iteration
        self._random = random.Random(seed)  # noqa: S311 (not for secrets)

    def __iter__(self) -> Iterator[Batch]:
        """Draw batch after batch."""
        for iteration in range(self._iteration, self._config.iterations):
            phase = self._config.phase_at(iteration)
            drawn = [self._sample(phase.field) for _ in range(phase.batch)]
            yield torch.stack([image for image, _ in drawn]), torch.stack([to for _, to in drawn])

    def _sample(self, field: Field) -> Batch:
        config = self._config
        real = self._scans is not None and self._random.random() < REAL_SHARE
        source = self._scans if self._scans is not None and real else self._synthesizer
        sample = source.draw(field)
        seen = config.prepared(sample.image_hu.numpy())
        return torch.from_numpy(seen)[None], sample.classes.byte()


def train(run: Run, folder: Path, *, pairs: Path | None = None, save_every: int = 50) -> None:
    """Train to the end of the configuration.

    Parameters
    ----------
    run
        Fresh or resumed.
    folder
        Where checkpoint and log go.
    pairs
        Real scans with labels to learn from beside synthesised heads (models.training.paired).
    save_every
        Iterations between checkpoints.
    """
    config = run.config
    device = next(run.network.parameters()).device
    bf16 = config.precision == "bf16" or (config.precision == "auto" and has_bf16(device))
    run.network.train()
    # As the heads: a resumed run draws anew.
    torch.manual_seed(config.seed + run.iteration)
    # One process draws while the other learns.
    batches = iter(
        DataLoader(Batches(config, run.iteration, pairs), batch_size=None, num_workers=1)
    )
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        while run.iteration < config.iterations:
            started = time.monotonic()
            value = _step(run, next(batches), device, bf16=bf16)
            took = time.monotonic() - started
            run.iteration += 1
            run.seconds += took
            row = {"iteration": run.iteration, "loss": round(value, 4), "s": round(took, 2)}
            log.write(json.dumps(row) + "\n")
            log.flush()
            if run.iteration % save_every == 0 or run.iteration == config.iterations:
                run.save(folder / "checkpoint.pt")


def _step(run: Run, batch: Batch, device: torch.device, *, bf16: bool) -> float:
    config = run.config
    image = batch[0].to(device, memory_format=torch.channels_last_3d)
    value = loss_of(run.network, LOSSES[config.loss], image, batch[1], bf16=bf16)
    for group in run.optimizer.param_groups:
        group["lr"] = config.rate_at(run.iteration)
    run.optimizer.zero_grad(set_to_none=True)
    value.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    run.averaged.update_parameters(run.network)
    return float(value.detach())


def loss_of(
    network: Network, loss: Loss, image: torch.Tensor, classes: torch.Tensor, *, bf16: bool
) -> torch.Tensor:
    """Return the loss of a batch; behind a stem, of some of the voxels, drawn anew each time.

    Parameters
    ----------
    network, loss
        What learns, and by what.
    image
        (N, 1, S, R, C), where the network is.
    classes
        Integers (N, S, R, C), anywhere.
    bf16
        Whether the network computes in bf16; the loss never does.
    """
    device, step = image.device, network.architecture.step
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        features = network.features(image)
    values = []
    for s, r, c in _corners(step):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network.logits_from(features, (s, r, c))
        seen = classes[:, s::step, r::step, c::step].to(device)
        values.append(loss(logits, one_hot(seen, network.architecture.classes), network))
    return torch.stack(values).mean()


def _corners(step: int) -> list[tuple[int, int, int]]:
    """Draw which of the voxels behind a feature voxel are looked at: few say as much as all."""
    drawn = torch.randperm(step**3)[:CORNERS].tolist()
    return [(n // step**2, n // step % step, n % step) for n in drawn]
