"""Checkpoints read with care: a file that is none, or that holds another network, is named."""

import pickle
from collections.abc import Mapping, Sequence
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


def read_checkpoint(path: Path, device: torch.device, keys: Sequence[str] = KEYS) -> dict[str, Any]:
    """Return what a run has written.

    Parameters
    ----------
    path
        Of the file.
    device
        Where its weights go.
    keys
        What is needed of it.

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
    missing = [key for key in keys if not isinstance(saved, Mapping) or key not in saved]
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
    require_same(network.state_dict(), weights)
    network.load_state_dict(dict(weights))


def require_same(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights whose names or shapes are not those of a network.

    Raises
    ------
    Refused
        NETWORK_OTHER with how much differs, and the first difference.
    """
    apart = [
        name
        for name in sorted(wanted.keys() | found.keys())
        if _shape(wanted.get(name)) != _shape(found.get(name))
    ]
    if apart:
        first = apart[0]
        raise Refused(
            Code.NETWORK_OTHER,
            f"The weights belong to another network: {len(apart)} of {len(wanted)} weights differ, "
            f"{first} is {_shape(found.get(first))} there and {_shape(wanted.get(first))} in "
            "the configuration.",
        )


def _shape(weights: torch.Tensor | None) -> str:
    if weights is None:
        return "absent"
    return "x".join(str(side) for side in weights.shape) or "a number"
