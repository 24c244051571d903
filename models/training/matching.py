"""How far a protocol's regions lie from a reference's, and the borders that bring them nearer.

The average young head is one real toddler's brain and three adults' with narrow sulci, half and
half, scaled to the mean intracranial volume of the reference's age and sexes. Equal volumes do
not prove equal anatomy: they only take away the part of a bias that volumes show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fontanelle.imaging.compartments import assemble
from models.package import read_region_set
from models.training.heads import read_map
from models.training.protocol import OUTER_CSF, Protocol, classes
from models.training.region_set import region_set_text

AVERAGE_YOUNG_HEAD: Mapping[str, float] = {
    "toddler_24mo": 1 / 2,
    "head_03": 1 / 6,
    "head_07": 1 / 6,
    "head_13": 1 / 6,
}
"""Share of each label map; none is held out."""
INTRACRANIAL_ML = 1026.7
"""Boys 1069.4, girls 973.4 at 1.98 years (fontanelle/norms/references/cranium_0-10y.csv), weighted
826 to 661."""
_ML_PER_MM = 8.0
"""By about so much a lobe and its twin grow for each mm that their borders move."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Mean compartments of the average young head beside a reference's means.

    Attributes
    ----------
    found_ml
        Region to mL; both sides of a pair share their mean, as a mirrored head is as likely.
    error_percent
        Of `found_ml` against the reference.
    """

    found_ml: Mapping[str, float]
    error_percent: Mapping[str, float]

    @property
    def worst_percent(self) -> float:
        """Largest error, without its sign."""
        return max(abs(error) for error in self.error_percent.values())


def match(protocol: Protocol, means_ml: Mapping[str, float]) -> Match:
    """Measure the average young head under a protocol.

    Parameters
    ----------
    protocol
        Whose regions are those of the region set.
    means_ml
        Region to the reference's mean, mL.
    """
    total = np.sum(
        [share * _compartments_ml(name, protocol) for name, share in AVERAGE_YOUNG_HEAD.items()],
        axis=0,
    )
    region_set = read_region_set(region_set_text())
    by_name = {region.name: float(ml) for region, ml in zip(region_set.regions, total, strict=True)}
    pairs = {region.name: region.pair for region in region_set.regions if region.pair}
    for pair in set(pairs.values()):
        sides = [name for name, twin in pairs.items() if twin == pair]
        mean = sum(by_name[name] for name in sides) / len(sides)
        by_name |= dict.fromkeys(sides, mean)
    errors = {name: 100 * (ml / means_ml[name] - 1) for name, ml in by_name.items()}
    return Match(by_name, errors)


def _compartments_ml(name: str, protocol: Protocol) -> NDArray[np.float64]:
    labels = classes(read_map(name, "regions"), read_map(name, "tissues"), protocol)
    region_set = read_region_set(region_set_text())
    codes = region_set.compartment_table[assemble(labels, region_set, OUTER_CSF)]
    voxels = np.bincount(codes.ravel(), minlength=256)
    regions = [region.code for region in region_set.regions]
    return np.asarray(voxels[regions] * (INTRACRANIAL_ML / voxels[1:].sum()))


def fitted(protocol: Protocol, means_ml: Mapping[str, float], rounds: int = 6) -> Protocol:
    """Return the protocol with the lobes' growth moved until their volumes fit best."""
    lobes = ("frontal", "parietal", "occipital", "temporal")
    growth = np.array([protocol.lobe_growth_mm.get(2 * i + 1, 0.0) for i in range(len(lobes))])
    wanted = np.array([means_ml[f"left_{lobe}"] + means_ml[f"right_{lobe}"] for lobe in lobes])
    for _ in range(rounds):
        found = match(_grown(protocol, growth), means_ml).found_ml
        excess = np.array([2 * found[f"left_{lobe}"] for lobe in lobes]) - wanted
        excess -= wanted * excess.sum() / wanted.sum()
        growth = growth - excess / _ML_PER_MM
        growth -= growth.mean()
    return _grown(protocol, growth)


def _grown(protocol: Protocol, growth: NDArray[np.float64]) -> Protocol:
    rounded = [round(float(value), 1) for value in growth]
    by_lobe = {2 * i + side: value for i, value in enumerate(rounded) for side in (1, 2)}
    return replace(protocol, lobe_growth_mm=by_lobe)
