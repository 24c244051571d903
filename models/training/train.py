"""Training: synthesised heads in, checkpoints out. Seeded, resumable, on CPU or GPU."""

import json
import math
import time
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fontanelle.imaging.window import windowed
from models.network import Architecture, ResUNet
from models.training import heads
from models.training.protocol import PROTOCOLS
from models.training.synthesis import Field, SynthesisConfig, Synthesizer


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with one batch size and one field."""

    iterations: int
    batch: int
    field: Field


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides a training run; read from TOML, written into the checkpoint."""

    protocol: str
    architecture: Architecture
    window_hu: tuple[float, float]
    heads: dict[str, float]
    phases: tuple[Phase, ...]
    seed: int
    learning_rate: float
    warmup: int
    averaging: float
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    @property
    def iterations(self) -> int:
        """Iterations of all phases."""
        return sum(phase.iterations for phase in self.phases)

    def phase_at(self, iteration: int) -> Phase:
        """Return the phase that `iteration` belongs to."""
        for phase in self.phases:
            if iteration < phase.iterations:
                return phase
            iteration -= phase.iterations
        return self.phases[-1]

    def rate_at(self, iteration: int) -> float:
        """Return the learning rate: linear warm-up, then half a cosine down to a hundredth."""
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / self.warmup
        done = (iteration - self.warmup) / max(1, self.iterations - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a configuration from TOML."""
        raw: dict[str, Any] = tomllib.loads(text)
        architecture = raw["architecture"] | {"kernel": tuple(raw["architecture"]["kernel"])}
        phases = tuple(Phase(p["iterations"], p["batch"], tuple(p["field"])) for p in raw["phases"])
        network = Architecture(**architecture)
        if any(side % network.multiple for phase in phases for side in phase.field):
            raise ValueError(f"sides of a field must be multiples of {network.multiple}")
        return cls(
            protocol=raw["protocol"],
            architecture=network,
            window_hu=(raw["window_hu"][0], raw["window_hu"][1]),
            heads=raw["heads"],
            phases=phases,
            seed=raw["seed"],
            learning_rate=raw["learning_rate"],
            warmup=raw["warmup"],
            averaging=raw["averaging"],
        )


def config_text(name_or_path: str) -> str:
    """Return a shipped configuration by its name, or a TOML file, as text."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return path.read_text(encoding="utf-8")
    shipped = files("models.training") / "configs" / f"{name_or_path}.toml"
    return shipped.read_text(encoding="utf-8")


def soft_targets(classes: torch.Tensor, count: int, step: int) -> torch.Tensor:
    """Average one-hot labels over cubes of `step` voxels.

    Parameters
    ----------
    classes
        int64 (S, R, C).
    count
        Number of classes.
    step
        1 for the full resolution, 2 behind a stem.

    Returns
    -------
    float32 (count, S/step, R/step, C/step), adding up to 1 over the first axis.
    """
    target = torch.zeros(count, *(side // step for side in classes.shape))
    part = torch.full((1, *target.shape[1:]), 1.0 / step**3)
    for corner in range(step**3):
        s, r, c = corner // step**2, corner // step % step, corner % step
        target.scatter_add_(0, classes[s::step, r::step, c::step][None], part)
    return target


def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus one minus the mean soft Dice of the classes that are present.

    Shapes (N, classes, S, R, C); Dice is taken over the batch.
    """
    logarithm = torch.log_softmax(logits, dim=1)
    cross_entropy = -(target * logarithm).sum(dim=1).mean()
    probability = logarithm.exp()
    axes = (0, 2, 3, 4)
    size = target.sum(axes)
    overlap = 2 * (probability * target).sum(axes)
    dice = (overlap + 1.0) / (probability.square().sum(axes) + target.square().sum(axes) + 1.0)
    return cross_entropy + 1 - dice[size > 8.0].mean()


@dataclass(slots=True)
class Run:
    """The state of a run between two iterations; all of it is in the checkpoint.

    `changed_at` holds the iterations at which it went on under another configuration.
    """

    config_text: str
    config: TrainingConfig
    network: ResUNet
    averaged: AveragedModel
    optimizer: torch.optim.Optimizer
    iteration: int = 0
    seconds: float = 0.0
    changed_at: list[int] = field(default_factory=list)

    @classmethod
    def fresh(cls, text: str, device: torch.device) -> Self:
        """Start a run from a configuration's text."""
        config = TrainingConfig.parse(text)
        torch.manual_seed(config.seed)
        network = ResUNet(config.architecture)
        # Typed stubs of torch know memory_format only beside a tensor; channels-last is 2 x faster.
        network = network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        averaged = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging), use_buffers=True
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate)
        return cls(text, config, network, averaged, optimizer)

    @classmethod
    def resume(cls, checkpoint: Path, device: torch.device, text: str | None = None) -> Self:
        """Go on from a checkpoint, with its own configuration unless another is given."""
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        run = cls.fresh(text or saved["config"], device)
        run.network.load_state_dict(saved["network"])
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


def train(run: Run, folder: Path, *, save_every: int = 50) -> None:
    """Train to the end of the configuration; checkpoint and log go to `folder`."""
    config = run.config
    device = next(run.network.parameters()).device
    chosen = heads.load_all(list(config.heads), PROTOCOLS[config.protocol])
    # The seed counts on from the iteration, so that a resumed run draws new heads.
    synthesizer = Synthesizer(
        chosen, list(config.heads.values()), config.synthesis, config.seed + run.iteration
    )
    run.network.train()
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        while run.iteration < config.iterations:
            started = time.monotonic()
            value = _step(run, synthesizer, device)
            took = time.monotonic() - started
            run.iteration += 1
            run.seconds += took
            row = {"iteration": run.iteration, "loss": round(value, 4), "s": round(took, 2)}
            log.write(json.dumps(row) + "\n")
            log.flush()
            if run.iteration % save_every == 0 or run.iteration == config.iterations:
                run.save(folder / "checkpoint.pt")


def _step(run: Run, synthesizer: Synthesizer, device: torch.device) -> float:
    config, phase = run.config, run.config.phase_at(run.iteration)
    step = 2 if config.architecture.stem else 1
    images, targets = [], []
    for _ in range(phase.batch):
        sample = synthesizer.draw(phase.field)
        images.append(windowed(sample.image_hu, *config.window_hu)[None])
        targets.append(soft_targets(sample.classes, config.architecture.classes, step))
    image = torch.stack(images).to(device, memory_format=torch.channels_last_3d)
    value = loss(run.network.features(image), torch.stack(targets).to(device))
    for group in run.optimizer.param_groups:
        group["lr"] = config.rate_at(run.iteration)
    run.optimizer.zero_grad(set_to_none=True)
    value.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    run.averaged.update_parameters(run.network)
    return float(value.detach())
