"""Volumes that somebody states: which are of no region, of no head, or not in mL.

Another unit is found by its size and refused; nothing is converted in silence.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Final

from fontanelle.norms.values import LmsNorm, Norm, Reference

LARGEST_ML: Final = 5000.0
"""No region of a head is larger."""

THOUSANDFOLD: Final = (300.0, 3000.0)
"""Ratios to a typical volume that no head explains, but another unit does."""


def other_unit(ratio: float) -> str | None:
    """Return the unit that a volume seems to be in, given as a ratio to a typical one in mL."""
    low, high = THOUSANDFOLD
    if low <= ratio <= high:
        return "mm3"
    if 1.0 / high <= ratio <= 1.0 / low:
        return "litres"
    return None


def typical_ml(norm: Norm) -> float:
    """Return about what volume is expected of a region, whatever age and sex."""
    if isinstance(norm, LmsNorm):
        return (norm.male or norm.female)[0].lms.median
    return norm.mean.value


def unit_mistakes(volumes_ml: Mapping[str, float], reference: Reference) -> Iterator[str]:
    """Yield a sentence for every region whose volume is not in mL; one where all are not."""
    ratios = {
        norm.name: volumes_ml[norm.name] / typical_ml(norm)
        for norm in reference.regions
        if norm.name in volumes_ml
    }
    units = {name: unit for name, ratio in ratios.items() if (unit := other_unit(ratio))}
    if len(units) == len(ratios) > 1 and len(set(units.values())) == 1:
        unit = next(iter(units.values()))
        yield f"the volumes seem to be in {unit}; mL are wanted, and nothing is converted"
        return
    for name, unit in units.items():
        yield f"{name} seems to be in {unit}; mL are wanted, and nothing is converted"


def volume_mistakes(volumes_ml: Mapping[str, float], reference: Reference) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with the volumes of a child."""
    for name in volumes_ml:
        if name not in reference.region_names:
            yield f"{name} is no region of {reference.id}"
    for name in reference.region_names:
        if name not in volumes_ml:
            yield f"{name} is missing"
        elif not isfinite(volumes_ml[name]) or volumes_ml[name] < 0:
            yield f"{name} is no volume"
    possible = {name: ml for name, ml in volumes_ml.items() if isfinite(ml) and ml >= 0}
    in_other_units = list(unit_mistakes(possible, reference))
    yield from in_other_units
    for name, volume_ml in possible.items():
        if not in_other_units and volume_ml > LARGEST_ML:
            yield f"{name} is larger than a head"
