"""The comparison of a child with a reference: the one place where a z is computed.

Pure: no clock, file, setting or log. Why there is no z is part of the answer, not an error.
"""

from collections.abc import Iterable, Mapping
from math import inf

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import (
    AsymmetryComparison,
    Child,
    Comparison,
    Conditions,
    Flag,
    RegionComparison,
    SiteOffset,
    SiteStatus,
    Tier,
)
from fontanelle.norms.obstacles import obstacles, remarks, reservations
from fontanelle.norms.scoring import Score, place_of, score
from fontanelle.norms.statistics import asymmetry_index, family_wise_limit, independent_limit
from fontanelle.norms.values import AsymmetryNorm, Reference

IMPLAUSIBLE_Z = 5.0
"""No child is believed to lie further out: rather the segmentation is wrong."""
IMPLAUSIBLE_RATIO = 1.3
"""Larger to smaller side of a pair. A lobe that small is seen, not measured."""


def compare(
    volumes_ml: Mapping[str, float], child: Child, reference: Reference, conditions: Conditions
) -> Comparison:
    """Compare a child's regions with a reference.

    Parameters
    ----------
    volumes_ml
        Compartments by region, mL, finite and not negative; exactly the reference's regions, unless
        the package follows another protocol.
    child
        Age and sex, and why they must not be used.
    reference
        Of the same label protocol; otherwise nothing is compared.
    conditions
        Package, site, and obstacles found elsewhere.

    Returns
    -------
    Comparison
        Every region and every pair of the reference: numbers, or `not_compared` with its reasons.

    Raises
    ------
    ValueError
        A mistake of the caller: regions other than the reference's, a volume that is no volume,
        offsets that do not fit the site's status.
    """
    _require_volumes(volumes_ml)
    if conditions.protocol == reference.label_protocol:
        _require_regions(volumes_ml, reference)
    offsets = site_offsets(reference, conditions)
    in_the_way = obstacles(child, reference, conditions)
    if in_the_way or child.age_days is None or child.sex is None:
        return _not_compared(volumes_ml, reference, conditions, in_the_way)
    place = place_of(child.age_days, child.sex, reference)
    kept = reservations(reference, conditions)
    unfit = _unfit(volumes_ml, reference)
    regions = tuple(
        _region(
            score(volumes_ml[norm.name], norm, place, reference.population.n.value, offset),
            norm.name,
            unfit.get(norm.name, ()),
            kept,
            _region_limit(reference, kept),
        )
        for norm, offset in zip(reference.regions, offsets, strict=True)
    )
    return _comparison(
        reference,
        conditions,
        (*kept, *remarks(child, reference)),
        regions,
        _pairs(volumes_ml, reference, regions, kept),
    )


def site_offsets(reference: Reference, conditions: Conditions) -> tuple[SiteOffset, ...]:
    """Return the site's offset in each region, in the reference's order.

    Before calibration it is 0 with the whole prior as its standard error; a reference that was
    made of the site's own children has none.

    Raises
    ------
    ValueError
        If the offsets in `conditions` do not fit the site's status.
    """
    names = reference.region_names
    if conditions.site_status is SiteStatus.NONE:
        _require_offsets(conditions, ())
        share = reference.calibration.prior_sd.value / 100.0
        return tuple(SiteOffset(r.name, 0.0, share * r.mean.value) for r in reference.regions)
    if Tier.LOCAL in reference.tiers:
        _require_offsets(conditions, ())
        return tuple(SiteOffset(name, 0.0, 0.0) for name in names)
    _require_offsets(conditions, names)
    by_name = {offset.region: offset for offset in conditions.offsets}
    return tuple(by_name[name] for name in names)


def tier_of(reference: Reference, conditions: Conditions) -> Tier:
    """Return the tier that decides: the reference's best, or calibrated where the site is."""
    best = reference.tiers[0]
    if conditions.site_status is SiteStatus.NONE or best is Tier.LOCAL:
        return best
    return Tier.CALIBRATED


def _require_offsets(conditions: Conditions, names: tuple[str, ...]) -> None:
    given = sorted(offset.region for offset in conditions.offsets)
    if given != sorted(names):
        raise ValueError(
            f"site status {conditions.site_status} needs offsets for {list(names)}, got {given}"
        )


def _require_volumes(volumes_ml: Mapping[str, float]) -> None:
    for name, volume_ml in volumes_ml.items():
        if not 0.0 <= volume_ml < inf:
            raise ValueError(f"{name} must be finite and not negative, got {volume_ml} mL")


def _require_regions(volumes_ml: Mapping[str, float], reference: Reference) -> None:
    differing = sorted(set(volumes_ml) ^ set(reference.region_names))
    if differing:
        raise ValueError(f"regions and reference {reference.id} differ in {differing}")


def _unfit(volumes_ml: Mapping[str, float], reference: Reference) -> dict[str, tuple[Reason, ...]]:
    """Return the regions whose volumes are not worth a comparison, and why."""
    unfit: dict[str, tuple[Reason, ...]] = {
        name: (Reason(Code.QUALITY_REGION_EMPTY, f"{name} was not found; it is not compared."),)
        for name, volume_ml in volumes_ml.items()
        if volume_ml == 0
    }
    for pair in reference.asymmetry:
        low_ml, high_ml = sorted((volumes_ml[pair.left], volumes_ml[pair.right]))
        if high_ml > IMPLAUSIBLE_RATIO * low_ml:
            sentence = (
                f"{pair.left} and {pair.right} differ by more than a factor of "
                f"{IMPLAUSIBLE_RATIO:g} ({low_ml:.1f} and {high_ml:.1f} mL): not to be believed."
            )
            for name in (pair.left, pair.right):
                unfit[name] = (*unfit.get(name, ()), Reason(Code.IMPLAUSIBLE, sentence))
    return unfit


def _region(
    scored: Score, name: str, unfit: tuple[Reason, ...], kept: tuple[Reason, ...], limit: float
) -> RegionComparison:
    if not unfit and abs(scored.z) > IMPLAUSIBLE_Z:
        unfit = (_too_far(scored, name),)
    if unfit:
        return RegionComparison(name, Flag.NOT_COMPARED, unfit)
    return RegionComparison(
        region=name,
        flag=_flag(scored.z, limit, kept),
        reasons=kept,
        expected_ml=scored.expected_ml,
        low_ml=scored.low_ml,
        high_ml=scored.high_ml,
        z=scored.z,
        z_low=scored.z_low,
        z_high=scored.z_high,
        centile=scored.centile,
        pooled_z=scored.pooled_z,
        pooled_centile=scored.pooled_centile,
    )


def _too_far(scored: Score, name: str) -> Reason:
    sentence = (
        f"{name} measures {scored.volume_ml:.1f} mL where {scored.expected_ml:.1f} mL are "
        f"expected, more than {IMPLAUSIBLE_Z:g} SD away: not to be believed."
    )
    return Reason(Code.IMPLAUSIBLE, sentence)


def _pairs(
    volumes_ml: Mapping[str, float],
    reference: Reference,
    regions: Iterable[RegionComparison],
    kept: tuple[Reason, ...],
) -> tuple[AsymmetryComparison, ...]:
    """Compare the indices of all pairs whose two sides were compared themselves."""
    unfit = {r.region: r.reasons for r in regions if r.flag is Flag.NOT_COMPARED}
    limit = independent_limit(len(reference.asymmetry)) if reference.asymmetry else inf
    return tuple(
        _pair(
            _index(volumes_ml, norm),
            norm,
            (*unfit.get(norm.left, ()), *unfit.get(norm.right, ())),
            kept,
            limit,
        )
        for norm in reference.asymmetry
    )


def _pair(
    index: float | None,
    norm: AsymmetryNorm,
    unfit: tuple[Reason, ...],
    kept: tuple[Reason, ...],
    limit: float,
) -> AsymmetryComparison:
    if unfit or index is None:
        return AsymmetryComparison(
            norm.pair, index, None, Flag.NOT_COMPARED, tuple(dict.fromkeys(unfit))
        )
    z = (index - norm.mean.value) / norm.sd.value
    return AsymmetryComparison(norm.pair, index, z, _flag(z, limit, kept), kept)


def _index(volumes_ml: Mapping[str, float], norm: AsymmetryNorm) -> float | None:
    return asymmetry_index(volumes_ml[norm.left], volumes_ml[norm.right])


def _region_limit(reference: Reference, kept: tuple[Reason, ...]) -> float:
    # Simulating the limit takes a moment, and nobody asks for it where nothing is flagged.
    return inf if kept else family_wise_limit(reference.correlations.central)


def _flag(z: float, limit: float, kept: tuple[Reason, ...]) -> Flag:
    if kept:
        return Flag.UNCALIBRATED
    if abs(z) <= limit:
        return Flag.NOT_FLAGGED
    return Flag.LOW if z < 0 else Flag.HIGH


def _not_compared(
    volumes_ml: Mapping[str, float],
    reference: Reference,
    conditions: Conditions,
    reasons: tuple[Reason, ...],
) -> Comparison:
    # In the reference's order; under another protocol there may be regions that it does not know.
    names = dict.fromkeys((*reference.region_names, *volumes_ml))
    return _comparison(
        reference,
        conditions,
        reasons,
        tuple(
            RegionComparison(name, Flag.NOT_COMPARED, reasons)
            for name in names
            if name in volumes_ml
        ),
        # The index needs no reference, only its z does.
        tuple(
            AsymmetryComparison(
                norm.pair, _index(volumes_ml, norm), None, Flag.NOT_COMPARED, reasons
            )
            for norm in reference.asymmetry
            if {norm.left, norm.right} <= set(volumes_ml)
        ),
    )


def _comparison(
    reference: Reference,
    conditions: Conditions,
    reasons: Iterable[Reason],
    regions: tuple[RegionComparison, ...],
    pairs: tuple[AsymmetryComparison, ...],
) -> Comparison:
    of_regions = (reason for region in regions for reason in region.reasons)
    of_pairs = (reason for pair in pairs for reason in pair.reasons)
    return Comparison(
        reference_id=reference.id,
        reference_version=reference.version,
        tier=tier_of(reference, conditions),
        site_status=conditions.site_status,
        regions=regions,
        asymmetry=pairs,
        reasons=tuple(dict.fromkeys((*reasons, *of_regions, *of_pairs))),
    )
