"""The comparison of a child with a reference, with every reason in words.

Pure: no clock, file, setting or log. Why there is no z is part of the answer, not an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf, isnan

import numpy as np

from fontanelle.errors import Code, Reason
from fontanelle.norms.assessment import Assessment, Group, assess
from fontanelle.norms.comparison import (
    AsymmetryComparison,
    Child,
    Comparison,
    Conditions,
    Flag,
    Multiplicity,
    RegionComparison,
    Sex,
)
from fontanelle.norms.expectations import has_sum
from fontanelle.norms.judging import IMPLAUSIBLE_RATIO, IMPLAUSIBLE_Z, limit_of_pairs
from fontanelle.norms.multiplicity import multiplicity, small_head
from fontanelle.norms.obstacles import (
    corrected_of,
    deciding_age_days,
    obstacles,
    remarks,
    reservations,
)
from fontanelle.norms.scoring import Scores
from fontanelle.norms.statistics import asymmetry_index
from fontanelle.norms.tiers import offsets_of, tier_of
from fontanelle.norms.values import AsymmetryNorm, Reference

TOTAL = "total"
"""What the sum of all regions is called."""


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
        Age, sex and gestational age, and why they must not be used.
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
        offsets that do not fit the site's status, a tier that is not there.
    """
    _require_volumes(volumes_ml)
    if conditions.protocol == reference.label_protocol:
        _require_regions(volumes_ml, reference)
    offsets_of(reference, conditions)
    in_the_way = obstacles(child, reference, conditions)
    if in_the_way or child.age_days is None or child.sex is None:
        return _not_compared(volumes_ml, reference, conditions, in_the_way)
    found = _assessed(volumes_ml, child.age_days, child, reference, conditions)
    kept = reservations(reference, conditions)
    unfit = unfit_reasons(volumes_ml, reference)
    regions = tuple(
        _line(found, place, name, unfit.get(name, ()), kept)
        for place, name in enumerate(reference.region_names)
    )
    together = _together(found, reference)
    one_finding = (small_head(together),) if together and together.is_small_head else ()
    return _comparison(
        Comparison(
            reference_id=reference.id,
            reference_version=reference.version,
            tier=tier_of(reference, conditions),
            site_status=conditions.site_status,
            regions=regions,
            asymmetry=_pairs(found, reference, regions, kept),
            reasons=(*kept, *remarks(child, reference, conditions), *one_finding),
            total=_total(found, regions, kept) if has_sum(reference) else None,
            multiplicity=together,
            corrected_age_days=corrected_of(child, conditions),
        )
    )


def _assessed(
    volumes_ml: Mapping[str, float],
    age_days: int,
    child: Child,
    reference: Reference,
    conditions: Conditions,
) -> Assessment:
    return assess(
        np.array([[volumes_ml[name] for name in reference.region_names]], dtype=np.float64),
        Group(
            ages_days=np.array([deciding_age_days(child, conditions)], dtype=np.float64),
            since_birth_days=np.array([age_days], dtype=np.float64),
            is_boy=np.array([child.sex is Sex.MALE], dtype=np.float64),
        ),
        reference,
        conditions,
    )


def _require_volumes(volumes_ml: Mapping[str, float]) -> None:
    for name, volume_ml in volumes_ml.items():
        if not 0.0 <= volume_ml < inf:
            raise ValueError(f"{name} must be finite and not negative, got {volume_ml} mL")


def _require_regions(volumes_ml: Mapping[str, float], reference: Reference) -> None:
    differing = sorted(set(volumes_ml) ^ set(reference.region_names))
    if differing:
        raise ValueError(f"regions and reference {reference.id} differ in {differing}")


def unfit_reasons(
    volumes_ml: Mapping[str, float], reference: Reference
) -> dict[str, tuple[Reason, ...]]:
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


def _line(
    found: Assessment, place: int, name: str, unfit: tuple[Reason, ...], kept: tuple[Reason, ...]
) -> RegionComparison:
    """Return one region or the sum of all, with its numbers or without."""
    share = None if name == TOTAL else _share(found.volumes[0, : found.regions], place)
    if not unfit and found.judged.is_far[0, place]:
        unfit = (_too_far(found, place, name),)
    if unfit:
        return RegionComparison(name, Flag.NOT_COMPARED, unfit, share_percent=share)
    is_noted = found.limit is not None and bool(found.judged.is_noted[0, place])
    scores, at_birth_age = _numbers(found.scores, place), _numbers(found.at_birth_age, place)
    return RegionComparison(
        region=name,
        flag=flag_of(int(found.judged.side[0, place]), is_reserved=bool(kept)),
        reasons=(*kept, *((_noted(name, found.limit),) if is_noted else ())),
        expected_ml=scores["expected"],
        low_ml=scores["low"],
        high_ml=scores["high"],
        z=scores["z"],
        z_low=scores["z_low"],
        z_high=scores["z_high"],
        centile=scores["centile"],
        pooled_z=scores["pooled_z"],
        pooled_centile=scores["pooled_centile"],
        centile_low=scores["centile_low"],
        centile_high=scores["centile_high"],
        sd_ml=scores["sd"],
        share_percent=share,
        measurement_error_percent=_known(found.measurement_percent[0, place]),
        chronological_expected_ml=at_birth_age["expected"],
        chronological_z=at_birth_age["z"],
        chronological_centile=at_birth_age["centile"],
    )


def _numbers(scores: Scores | None, place: int) -> dict[str, float | None]:
    if scores is None:
        return dict.fromkeys(Scores.__slots__)
    return {name: _known(getattr(scores, name)[0, place]) for name in Scores.__slots__}


def _known(number: float) -> float | None:
    return None if isnan(number) else float(number)


def _share(volumes_ml: Iterable[float], place: int) -> float | None:
    all_ml = list(volumes_ml)
    total_ml = sum(all_ml)
    return float(100.0 * all_ml[place] / total_ml) if total_ml > 0 else None


def _too_far(found: Assessment, place: int, name: str) -> Reason:
    sentence = (
        f"{name} measures {found.volumes[0, place]:.1f} mL where "
        f"{found.scores.expected[0, place]:.1f} mL are expected, more than {IMPLAUSIBLE_Z:g} SD "
        "away: not to be believed."
    )
    return Reason(Code.IMPLAUSIBLE, sentence)


def _noted(name: str, limit: float | None) -> Reason:
    sentence = f"{name} lies outside the middle 95 % of typical children"
    if limit is not None:
        sentence += f", but within the limit of {limit:.2f} SD that many measures need"
    return Reason(Code.BEYOND_95_PERCENT, f"{sentence}: no flag.")


def flag_of(side: int, *, is_reserved: bool) -> Flag:
    """Return the flag of a line that was compared: -1 is low, 1 is high."""
    if is_reserved:
        return Flag.UNCALIBRATED
    return {-1: Flag.LOW, 0: Flag.NOT_FLAGGED, 1: Flag.HIGH}[side]


def _total(
    found: Assessment, regions: tuple[RegionComparison, ...], kept: tuple[Reason, ...]
) -> RegionComparison:
    """Compare the sum; it is worth as much as its worst region."""
    missing = (
        reason for each in regions if each.flag is Flag.NOT_COMPARED for reason in each.reasons
    )
    return _line(found, found.regions, TOTAL, tuple(dict.fromkeys(missing)), kept)


def _together(found: Assessment, reference: Reference) -> Multiplicity | None:
    """Say what so many low regions mean; nothing where nobody is called low."""
    if found.limit is None or reference.correlations is None:
        return None
    is_compared = found.judged.is_compared[0, : found.regions]
    low = int((found.judged.is_low[0, : found.regions] & is_compared).sum())
    return multiplicity(reference.correlations.central, found.limit, tuple(is_compared), low)


def _pairs(
    found: Assessment,
    reference: Reference,
    regions: Iterable[RegionComparison],
    kept: tuple[Reason, ...],
) -> tuple[AsymmetryComparison, ...]:
    """Compare the indices of all pairs whose two sides were compared themselves."""
    unfit = {r.region: r.reasons for r in regions if r.flag is Flag.NOT_COMPARED}
    return tuple(
        _pair(
            found,
            place,
            norm,
            (*unfit.get(norm.left, ()), *unfit.get(norm.right, ())),
            (kept, limit_of_pairs(reference)),
        )
        for place, norm in enumerate(reference.asymmetry)
    )


def _pair(
    found: Assessment,
    place: int,
    norm: AsymmetryNorm,
    unfit: tuple[Reason, ...],
    said: tuple[tuple[Reason, ...], float],
) -> AsymmetryComparison:
    index, (kept, limit) = _known(found.asymmetries.index[0, place]), said
    if unfit or index is None:
        return AsymmetryComparison(
            norm.pair, index, None, Flag.NOT_COMPARED, tuple(dict.fromkeys(unfit))
        )
    is_noted = found.limit is not None and bool(found.pair_is_noted[0, place])
    return AsymmetryComparison(
        pair=norm.pair,
        index=index,
        z=float(found.asymmetries.z[0, place]),
        flag=flag_of(int(found.pair_side[0, place]), is_reserved=bool(kept)),
        reasons=(*kept, *((_noted(f"The asymmetry {norm.pair}", limit),) if is_noted else ())),
        population_mean=norm.mean.value,
        population_sd=norm.sd.value,
    )


def _not_compared(
    volumes_ml: Mapping[str, float],
    reference: Reference,
    conditions: Conditions,
    reasons: tuple[Reason, ...],
) -> Comparison:
    # In the reference's order; under another protocol there may be regions that it does not know.
    names = [
        name for name in dict.fromkeys((*reference.region_names, *volumes_ml)) if name in volumes_ml
    ]
    all_ml = [volumes_ml[name] for name in names]
    return Comparison(
        reference_id=reference.id,
        reference_version=reference.version,
        tier=tier_of(reference, conditions),
        site_status=conditions.site_status,
        # Share and index need no reference, only z does.
        regions=tuple(
            RegionComparison(name, Flag.NOT_COMPARED, reasons, share_percent=_share(all_ml, place))
            for place, name in enumerate(names)
        ),
        asymmetry=tuple(
            AsymmetryComparison(
                norm.pair,
                asymmetry_index(volumes_ml[norm.left], volumes_ml[norm.right]),
                None,
                Flag.NOT_COMPARED,
                reasons,
            )
            for norm in reference.asymmetry
            if {norm.left, norm.right} <= set(volumes_ml)
        ),
        reasons=reasons,
        total=RegionComparison(TOTAL, Flag.NOT_COMPARED, reasons) if has_sum(reference) else None,
    )


def _comparison(found: Comparison) -> Comparison:
    """Return a comparison whose reasons hold those of its regions and pairs, each once."""
    lines = (*found.regions, *((found.total,) if found.total else ()))
    of_lines = (reason for line in lines for reason in line.reasons)
    of_pairs = (reason for pair in found.asymmetry for reason in pair.reasons)
    return replace(found, reasons=tuple(dict.fromkeys((*found.reasons, *of_lines, *of_pairs))))
