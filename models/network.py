"""Which networks there are, and how one is built from its description."""

from collections.abc import Mapping
from typing import Final

from torch import nn

from fontanelle.errors import Code, Refused
from models.networks.architecture import Architecture, Network
from models.networks.resunet import ResUNet
from models.networks.unet3d import UNet3D
from models.networks.vnet import VNet

__all__ = ["NETWORKS", "Architecture", "Network", "ResUNet", "build", "count_convolutions"]

NETWORKS: Final[Mapping[str, type[Network]]] = {
    "resunet": ResUNet,
    "unet3d": UNet3D,
    "vnet": VNet,
}
"""By `Architecture.kind`."""


def build(architecture: Architecture) -> Network:
    """Return the network with fresh weights.

    Raises
    ------
    Refused
        If there is no such network, or none of that kind behind a stem.
    """
    if architecture.kind not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise Refused(
            Code.TRAINING_CONFIG, f"There is no network {architecture.kind!r}, only {known}."
        )
    if architecture.stem and architecture.kind != "resunet":
        raise Refused(
            Code.TRAINING_CONFIG, f"A {architecture.kind} has no stem; only a resunet has."
        )
    return NETWORKS[architecture.kind](architecture)


def count_convolutions(network: nn.Module) -> int:
    """Count convolutions and transposed convolutions."""
    return sum(isinstance(m, nn.Conv3d | nn.ConvTranspose3d) for m in network.modules())
