"""A comparison as the contract's JSON: the same for a report, for a request and for a table."""

from collections.abc import Mapping, Sequence

from fontanelle.errors import Reason
from fontanelle.norms.comparison import (
    AsymmetryComparison,
    Comparison,
    RegionComparison,
)
from fontanelle.reports.rounding import ml, percent, z_score

Json = Mapping[str, object]


def compared_region(found: RegionComparison, volume_ml: float) -> dict[str, object]:
    """Return one region, or the sum of all, beside its reference.

    Parameters
    ----------
    found
        Compared or not: where there is no number there are reasons.
    volume_ml
        That was compared, mL.
    """
    return {
        "volume_ml": ml(volume_ml),
        "expected_ml": ml(found.expected_ml),
        "sd_ml": ml(found.sd_ml),
        "low_ml": ml(found.low_ml),
        "high_ml": ml(found.high_ml),
        "z": z_score(found.z),
        "z_low": z_score(found.z_low),
        "z_high": z_score(found.z_high),
        "centile": percent(found.centile),
        "centile_low": percent(found.centile_low),
        "centile_high": percent(found.centile_high),
        "share_percent": percent(found.share_percent),
        "measurement_error_percent": percent(found.measurement_error_percent),
        "pooled": {"z": z_score(found.pooled_z), "centile": percent(found.pooled_centile)},
        "flag": found.flag,
        "reasons": codes_of(found.reasons),
    }


def compared_total(found: Comparison | None, total_ml: float) -> Json | None:
    """Return the sum of all regions beside its reference; None where the reference has none."""
    if found is None or found.total is None:
        return None
    return {"region": found.total.region, **compared_region(found.total, total_ml)}


def compared_pair(pair: AsymmetryComparison) -> dict[str, object]:
    """Return one pair's asymmetry index beside the population's."""
    return {
        "pair": pair.pair,
        "index": percent(pair.index),
        "population_mean": percent(pair.population_mean),
        "population_sd": percent(pair.population_sd),
        "z": z_score(pair.z),
        "flag": pair.flag,
        "reasons": codes_of(pair.reasons),
    }


def at_chronological_age(found: Comparison | None) -> list[Json]:
    """Return what the age since birth would say of each region; empty where it decided itself."""
    if found is None:
        return []
    return [
        {
            "region": region.region,
            "expected_ml": ml(region.chronological_expected_ml),
            "z": z_score(region.chronological_z),
            "centile": percent(region.chronological_centile),
        }
        for region in (*found.regions, *(() if found.total is None else (found.total,)))
        if region.chronological_z is not None
    ]


def together(found: Comparison | None) -> dict[str, object]:
    """Return what the regions say together; all null where nobody is called low."""
    many = None if found is None else found.multiplicity
    if many is None:
        return dict.fromkeys(TOGETHER)
    counts = (
        many.below_5th_centile,
        percent(many.share_percent),
        many.of,
        many.limit,
        many.is_small_head,
    )
    return dict(zip(TOGETHER, counts, strict=True))


TOGETHER = (
    "regions_below_5th_centile",
    "share_of_children_with_as_many",
    "regions_compared",
    "flag_limit",
    "is_small_head",
)
"""Of `together`: k, percent of typical children, of n regions, |z| of a flag, one finding."""


def codes_of(reasons: Sequence[Reason]) -> list[str]:
    """Return the codes of reasons."""
    return [reason.code for reason in reasons]
