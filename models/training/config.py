"""A training configuration: everything that decides a run, as data."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fontanelle.errors import Code, Refused
from fontanelle.imaging.prepare import PREPROCESSING
from models.network import NETWORKS, Architecture
from models.training.heads import HELD_OUT, names
from models.training.label_files import names as names_in
from models.training.losses import LOSSES
from models.training.protocol import PROTOCOLS
from models.training.synthesis import Field as VoxelField
from models.training.synthesis import ShapeConfig, SynthesisConfig

Positive = Annotated[int, Field(gt=0)]

FOLDS = (
    ("toddler_24mo", "head_01", "head_12"),
    ("head_03", "head_02", "head_14"),
    ("head_07", "head_06"),
    ("head_08", "head_15"),
    ("head_17", "head_19"),
)
"""Label maps that each of five folds leaves out; head_13's face is in the toddlers', so never."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training with one batch size and one field."""

    iterations: int
    batch: int
    field: VoxelField


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What a run is made of; read from TOML, written into the checkpoint.

    Attributes
    ----------
    protocol
        Name of the label protocol.
    architecture
        Of the network.
    window_hu
        Ends of the window through which the network sees.
    heads
        Label maps, and how often each is drawn in proportion to the others.
    phases
        One after the other.
    learning_rate, warmup, decay
        Rises linearly over `warmup` iterations, stays, and falls by half a cosine to a hundredth
        over the last share `decay`.
    averaging
        Decay of the exponential moving average of the weights, which is what is exported.
    loss, optimizer, precision
        `auto` takes bf16 where the processor has instructions for it, else fp32.
    synthesis
        What is drawn.
    preprocessing
        Key of `fontanelle.imaging.prepare.PREPROCESSING`.
    label_maps
        Folder of label maps instead of the shipped ones (models.training.label_files).
    fold
        Which of `FOLDS` is left out of `heads`; None leaves none out.
    """

    protocol: str
    architecture: Architecture
    window_hu: tuple[float, float]
    heads: Mapping[str, float]
    phases: tuple[Phase, ...]
    seed: int
    learning_rate: float
    warmup: int
    averaging: float
    decay: float = 1.0
    loss: str = "dice_ce"
    optimizer: Literal["adamw", "adam"] = "adamw"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    preprocessing: str = "hu_window"
    label_maps: str | None = None
    fold: int | None = None

    @property
    def iterations(self) -> int:
        """Iterations of all phases."""
        return sum(phase.iterations for phase in self.phases)

    def prepared(self, image_hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network sees of HU (slice, row, column) on its field."""
        see = PREPROCESSING[self.preprocessing]
        return see(image_hu, *self.window_hu, self.synthesis.spacing_mm)

    def phase_at(self, iteration: int) -> Phase:
        """Return the phase that `iteration` belongs to."""
        for phase in self.phases:
            if iteration < phase.iterations:
                return phase
            iteration -= phase.iterations
        return self.phases[-1]

    def rate_at(self, iteration: int) -> float:
        """Return the learning rate of an iteration."""
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / self.warmup
        falls_from = self.warmup + (1 - self.decay) * (self.iterations - self.warmup)
        done = (iteration - falls_from) / max(1.0, self.iterations - falls_from)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * max(0.0, done))) / 2)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a configuration from TOML.

        Raises
        ------
        Refused
            TRAINING_CONFIG, with everything that is wrong in one sentence.
        """
        try:
            raw = _Config.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise Refused(
                Code.TRAINING_CONFIG, f"The configuration is no TOML: {error}."
            ) from error
        except ValidationError as error:
            raise Refused(Code.TRAINING_CONFIG, _said(error)) from error
        architecture = Architecture(**raw.architecture.model_dump())
        phases = tuple(Phase(p.iterations, p.batch, p.field) for p in raw.phases)
        wrong = [*_unknown(raw), *_unfit(phases, architecture)]
        if wrong:
            raise Refused(Code.TRAINING_CONFIG, "; ".join(wrong) + ".")
        given = raw.model_dump(exclude={"architecture", "phases", "synthesis_", "heads"})
        left_out = () if raw.fold is None else FOLDS[raw.fold]
        synthesis = dict(raw.synthesis)
        shape = ShapeConfig(**synthesis.pop("shape", {}))
        return cls(
            **given,
            architecture=architecture,
            heads={name: share for name, share in raw.heads.items() if name not in left_out},
            phases=phases,
            synthesis=SynthesisConfig(**synthesis, shape=shape),
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Architecture(_Strict):
    classes: Positive
    base: Positive
    widest: Positive
    kernel: tuple[int, int, int]
    stem: bool
    kind: str = "resunet"


class _Phase(_Strict):
    iterations: Positive
    batch: Positive
    field: tuple[Positive, Positive, Positive]


class _Shape(_Strict):
    angle_sd_deg: tuple[float, float, float] | None = None
    angle_max_deg: float | None = None
    size_sd: float | None = None
    shift_mm: float | None = None
    stretch_sd: float | None = None
    elastic_mm: float | None = None
    elastic_step_mm: float | None = None


class _Synthesis(_Strict):
    spacing_mm: Annotated[float, Field(gt=0)] | None = None
    cut_field: float | None = None
    shape: _Shape = _Shape()


class _Config(_Strict):
    """The file as written."""

    protocol: str
    architecture: _Architecture
    window_hu: tuple[float, float]
    heads: dict[str, Annotated[float, Field(gt=0)]]
    phases: Annotated[list[_Phase], Field(min_length=1)]
    seed: int
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Annotated[int, Field(ge=0)]
    averaging: Annotated[float, Field(ge=0, lt=1)]
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    loss: str = "dice_ce"
    optimizer: Literal["adamw", "adam"] = "adamw"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    preprocessing: str = "hu_window"
    label_maps: str | None = None
    fold: Annotated[int, Field(ge=0, lt=len(FOLDS))] | None = None
    synthesis_: Annotated[_Synthesis, Field(alias="synthesis")] = _Synthesis()

    @property
    def synthesis(self) -> dict[str, Any]:
        """What the file says of the synthesis; the rest keeps its defaults."""
        return self.synthesis_.model_dump(exclude_none=True)


def _said(error: ValidationError) -> str:
    places = (
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()
    )
    return "; ".join(places) + "."


def _unknown(raw: _Config) -> list[str]:
    wrong = []
    if raw.protocol not in PROTOCOLS:
        wrong.append(f"there is no protocol {raw.protocol}, only {', '.join(PROTOCOLS)}")
    if raw.architecture.kind not in NETWORKS:
        wrong.append(f"there is no network {raw.architecture.kind}, only {', '.join(NETWORKS)}")
    if raw.loss not in LOSSES:
        wrong.append(f"there is no loss {raw.loss}, only {', '.join(LOSSES)}")
    if raw.preprocessing not in PREPROCESSING:
        known = ", ".join(PREPROCESSING)
        wrong.append(f"there is no preprocessing {raw.preprocessing}, only {known}")
    there = names() if raw.label_maps is None else names_in(Path(raw.label_maps))
    wrong += [f"there is no label map {name}" for name in raw.heads if name not in there]
    held_out = HELD_OUT if raw.label_maps is None else ()
    wrong += [f"{name} is held out" for name in raw.heads if name in held_out]
    return wrong


def _unfit(phases: tuple[Phase, ...], architecture: Architecture) -> list[str]:
    multiple = architecture.multiple
    return [
        f"sides of a field must be multiples of {multiple}, not {phase.field}"
        for phase in phases
        if any(side % multiple for side in phase.field)
    ]


def config_text(name_or_path: str, fold: int | None = None) -> str:
    """Return a shipped configuration by its name, or a TOML file, as text; without one fold.

    Raises
    ------
    Refused
        TRAINING_CONFIG where there is no such file.
    """
    shipped = files("models.training") / "configs"
    path = Path(name_or_path)
    found = path if path.suffix == ".toml" else shipped / f"{name_or_path}.toml"
    if not found.is_file():
        known = ", ".join(sorted(Path(f.name).stem for f in shipped.iterdir()))
        raise Refused(
            Code.TRAINING_CONFIG,
            f"There is no configuration {name_or_path}: a .toml file, or one of {known}.",
        )
    text = found.read_text(encoding="utf-8")
    return text if fold is None else f"fold = {fold}\n{text}"
