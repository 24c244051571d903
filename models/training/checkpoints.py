"""Checkpoints read with care: a file that is none, or that holds another network, is named."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from fontanelle.errors import Code, Refused

KEYS: Final = (
    "config", "network", "averaged", "optimizer", "iteration", "seconds", "changed_at",
)  # fmt: skip
"""What a run writes."""
_BROKEN = (pickle.UnpicklingError, RuntimeError, KeyError, EOFError, OSError, ValueError)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Return what a run has written.

    Raises
    ------
    Refused
        INPUT_NOT_FOUND, or CHECKPOINT_INVALID where it is no checkpoint or only part of one.
    """
    if not path.is_file():
        raise Refused(Code.INPUT_NOT_FOUND, "There is no checkpoint at that path.")
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except _BROKEN as error:
        raise Refused(
            Code.CHECKPOINT_INVALID,
            f"The file is no checkpoint of a training ({type(error).__name__}).",
        ) from error
    missing = [key for key in KEYS if not isinstance(saved, Mapping) or key not in saved]
    if missing:
        raise Refused(Code.CHECKPOINT_INVALID, f"The checkpoint lacks {', '.join(missing)}.")
    return dict(saved)


def load_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a network the weights of a checkpoint.

    Raises
    ------
    Refused
        NETWORK_OTHER with how much differs, and the first difference.
    """
    wanted = network.state_dict()
    apart = [
        name
        for name in sorted(wanted.keys() | weights.keys())
        if _shape(wanted.get(name)) != _shape(weights.get(name))
    ]
    if apart:
        first = apart[0]
        raise Refused(
            Code.NETWORK_OTHER,
            f"The checkpoint holds another network: {len(apart)} of {len(wanted)} weights differ, "
            f"{first} is {_shape(weights.get(first))} there and {_shape(wanted.get(first))} in "
            "the configuration.",
        )
    network.load_state_dict(dict(weights))


def _shape(weights: torch.Tensor | None) -> str:
    if weights is None:
        return "absent"
    return "x".join(str(side) for side in weights.shape) or "a number"
