"""Many children at once: the comparison of a whole cohort, as arrays.

The numbers are those of `compare`, as both take the way of `assess`; reasons are codes only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fontanelle.errors import Code
from fontanelle.norms.assessment import Assessment, Group, assess
from fontanelle.norms.comparison import Child, Conditions, Flag, Sex, SiteStatus, Tier
from fontanelle.norms.expectations import Array, has_sum, with_sum
from fontanelle.norms.judging import Mask, asymmetries, pairs_of
from fontanelle.norms.multiplicity import is_small_head, shares_of_part
from fontanelle.norms.obstacles import deciding_age_days, obstacles, remarks, reservations
from fontanelle.norms.scoring import Scores
from fontanelle.norms.tiers import tier_of
from fontanelle.norms.values import Reference

Codes = tuple[Code, ...]
Flags = NDArray[np.str_]
UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class CohortComparison:
    """A cohort beside a reference, shapes (children, lines) and (children, pairs).

    Attributes
    ----------
    lines, pairs
        Their names, in order: the regions, `total` where the reference has it; the pairs.
    volumes
        Of every line, mL.
    numbers
        By the names of `Scores`, of every line; NaN where the line was not compared.
    flags, pair_flags
        As `Flag` has them.
    index, pair_z
        Asymmetry in percent, and its z; NaN where there is none.
    codes
        Of each child: why it was not compared, or what has to be known of its comparison.
    line_codes
        Of each line, the same for the line.
    corrected_age_days
        NaN where the age since birth decides.
    birth_age_z
        z at the age since birth, of every line; NaN where it decides itself.
    below_5th_centile, share_with_as_many
        How many regions, and percent of typical children; NaN where nobody is flagged.
    """

    reference_id: str
    reference_version: str
    tier: Tier
    site_status: SiteStatus
    lines: tuple[str, ...]
    pairs: tuple[str, ...]
    volumes: Array
    numbers: dict[str, Array]
    flags: Flags
    index: Array
    pair_z: Array
    pair_flags: Flags
    codes: tuple[Codes, ...]
    line_codes: tuple[tuple[Codes, ...], ...]
    corrected_age_days: Array
    birth_age_z: Array
    below_5th_centile: Array
    share_with_as_many: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Cohort:
    """The children who may be compared, and what is said of all."""

    is_chosen: Mask
    ages_days: Array
    at_birth_days: Array
    hindered: tuple[Codes, ...]
    told: tuple[Codes, ...]
    kept: Codes

    def spread(self, values: Array) -> Array:
        """Return values of the chosen as values of all, NaN for the others."""
        of_all = np.full((len(self.is_chosen), *values.shape[1:]), UNKNOWN)
        of_all[self.is_chosen] = values
        return of_all


def compare_cohort(
    volumes_ml: Array, children: Sequence[Child], reference: Reference, conditions: Conditions
) -> CohortComparison:
    """Compare a cohort with a reference.

    Parameters
    ----------
    volumes_ml
        Of the reference's regions, in its order, shape (children, regions), mL, finite and not
        negative.
    children
        As many as there are rows.
    reference, conditions
        As in `compare`; the same for all.

    Raises
    ------
    ValueError
        A mistake of the caller: a shape that does not fit, a volume that is no volume, another
        label protocol's volumes.
    """
    _require(volumes_ml, children, reference, conditions)
    cohort = _cohort(children, reference, conditions)
    chosen = cohort.is_chosen
    found = assess(
        volumes_ml[chosen],
        Group(
            ages_days=cohort.ages_days[chosen],
            since_birth_days=cohort.at_birth_days[chosen],
            is_boy=np.array([each.sex is Sex.MALE for each in children], dtype=np.float64)[chosen],
        ),
        reference,
        conditions,
    )
    is_compared = found.judged.is_compared
    of_pairs = _pairs_compared(found, reference)
    low, shares = _together(found, reference)
    line_codes = _line_codes(found, cohort)
    return CohortComparison(
        reference_id=reference.id,
        reference_version=reference.version,
        tier=tier_of(reference, conditions),
        site_status=conditions.site_status,
        lines=(*reference.region_names, *(("total",) if has_sum(reference) else ())),
        pairs=tuple(norm.pair for norm in reference.asymmetry),
        volumes=with_sum(volumes_ml, reference),
        numbers={
            name: cohort.spread(np.where(is_compared, getattr(found.scores, name), UNKNOWN))
            for name in Scores.__slots__
        },
        flags=_flags(found.judged.side, is_compared, cohort),
        index=asymmetries(volumes_ml, reference).index,
        pair_z=cohort.spread(np.where(of_pairs, found.asymmetries.z, UNKNOWN)),
        pair_flags=_flags(found.pair_side, of_pairs, cohort),
        codes=_codes(cohort, line_codes, _small_heads(low, found)),
        line_codes=line_codes,
        corrected_age_days=np.where(
            chosen & (cohort.ages_days != cohort.at_birth_days), cohort.ages_days, UNKNOWN
        ),
        birth_age_z=cohort.spread(_birth_age_z(found, cohort)),
        below_5th_centile=cohort.spread(low),
        share_with_as_many=cohort.spread(shares),
    )


def _require(
    volumes_ml: Array, children: Sequence[Child], reference: Reference, conditions: Conditions
) -> None:
    wanted = (len(children), len(reference.regions))
    if volumes_ml.shape != wanted:
        raise ValueError(f"volumes must have the shape {wanted}, not {volumes_ml.shape}")
    if not bool(((volumes_ml >= 0) & np.isfinite(volumes_ml)).all()):
        raise ValueError("volumes must be finite and not negative")
    if conditions.protocol != reference.label_protocol:
        raise ValueError(f"the volumes are not those of the protocol {reference.label_protocol}")


def _cohort(children: Sequence[Child], reference: Reference, conditions: Conditions) -> _Cohort:
    # Children of one age and sex have the same reasons, and a cohort has few ages.
    distinct = dict.fromkeys(children)
    hindered = {
        child: tuple(
            dict.fromkeys(reason.code for reason in obstacles(child, reference, conditions))
        )
        for child in distinct
    }
    told = {
        child: tuple(reason.code for reason in remarks(child, reference, conditions))
        for child in distinct
    }
    ages = {child: deciding_age_days(child, conditions) for child in distinct}
    return _Cohort(
        is_chosen=np.array([not hindered[child] for child in children], dtype=np.bool_),
        ages_days=np.array([ages[child] for child in children], dtype=np.float64),
        at_birth_days=np.array([child.age_days for child in children], dtype=np.float64),
        hindered=tuple(hindered[child] for child in children),
        told=tuple(told[child] for child in children),
        kept=tuple(reason.code for reason in reservations(reference, conditions)),
    )


def _pairs_compared(found: Assessment, reference: Reference) -> Mask:
    places = np.array(pairs_of(reference), dtype=np.int64).reshape(-1, 2)
    is_compared = found.judged.is_compared
    return np.asarray(is_compared[:, places[:, 0]] & is_compared[:, places[:, 1]])


def _flags(side: NDArray[np.int8], is_compared: Mask, cohort: _Cohort) -> Flags:
    if cohort.kept:
        of_chosen = np.where(is_compared, Flag.UNCALIBRATED, Flag.NOT_COMPARED)
    else:
        names = np.array([Flag.LOW, Flag.NOT_FLAGGED, Flag.HIGH])
        of_chosen = np.where(is_compared, names[side + 1], Flag.NOT_COMPARED)
    shape = (len(cohort.is_chosen), side.shape[1])
    of_all = np.full(shape, Flag.NOT_COMPARED, dtype=f"<U{max(len(flag) for flag in Flag)}")
    of_all[cohort.is_chosen] = of_chosen
    return of_all


def _birth_age_z(found: Assessment, cohort: _Cohort) -> Array:
    if found.at_birth_age is None:
        return np.full(found.volumes.shape, UNKNOWN)
    chosen = cohort.is_chosen
    is_corrected = (cohort.ages_days != cohort.at_birth_days)[chosen, None]
    return np.where(is_corrected & found.judged.is_compared, found.at_birth_age.z, UNKNOWN)


def _together(found: Assessment, reference: Reference) -> tuple[Array, Array]:
    """Return how many regions of each child are low, and how many children have as many."""
    is_compared = found.judged.is_compared[:, : found.regions]
    if found.limit is None or reference.correlations is None:
        nothing = np.full(len(is_compared), UNKNOWN)
        return nothing, nothing
    low = (found.judged.is_low[:, : found.regions] & is_compared).sum(axis=1)
    shares = np.full(len(low), UNKNOWN)
    for taken in np.unique(is_compared, axis=0):
        of_these = (is_compared == taken).all(axis=1)
        of_part = shares_of_part(reference.correlations.central, tuple(taken.tolist()))
        shares[of_these] = np.array(of_part)[low[of_these]]
    return low.astype(np.float64), shares


def _small_heads(low: Array, found: Assessment) -> Mask:
    regions = found.judged.is_compared[:, : found.regions].sum(axis=1)
    return np.array(
        [is_small_head(int(k), int(n)) for k, n in zip(np.nan_to_num(low), regions, strict=True)],
        dtype=np.bool_,
    )


def _line_codes(found: Assessment, cohort: _Cohort) -> tuple[tuple[Codes, ...], ...]:
    """Return the codes of every line of every child; most have those that hold for all."""
    chosen = [[cohort.kept] * found.volumes.shape[1] for _ in found.volumes]
    if found.limit is not None:
        for child, line in np.argwhere(found.judged.is_noted):
            chosen[child][line] = (*cohort.kept, Code.BEYOND_95_PERCENT)
    for child in np.flatnonzero(~found.judged.is_compared.all(axis=1)):
        chosen[child] = _not_all_compared(found, int(child), chosen[child])
    of_chosen = iter(chosen)
    return tuple(
        (hindered,) * found.volumes.shape[1] if hindered else tuple(next(of_chosen))
        for hindered in cohort.hindered
    )


def _not_all_compared(found: Assessment, child: int, said: list[Codes]) -> list[Codes]:
    empty, lopsided = found.not_fit.is_empty[child], found.not_fit.is_lopsided[child]
    is_far, codes = found.judged.is_far[child], list(said)
    missing = np.flatnonzero(~found.judged.is_compared[child, : found.regions]).tolist()
    for line in missing:
        codes[line] = (
            *((Code.QUALITY_REGION_EMPTY,) if empty[line] else ()),
            *((Code.IMPLAUSIBLE,) if lopsided[line] or is_far[line] else ()),
        )
    of_sum = dict.fromkeys(code for line in missing for code in codes[line])
    for line in range(found.regions, len(codes)):
        codes[line] = tuple(of_sum) or (Code.IMPLAUSIBLE,)
    return codes


def _codes(
    cohort: _Cohort, line_codes: tuple[tuple[Codes, ...], ...], is_small: Mask
) -> tuple[Codes, ...]:
    small = iter(is_small)
    return tuple(
        hindered
        or tuple(
            dict.fromkeys(
                (
                    *cohort.kept,
                    *told,
                    *((Code.SMALL_HEAD,) if next(small) else ()),
                    *(code for each in of_lines for code in each),
                )
            )
        )
        for hindered, told, of_lines in zip(cohort.hindered, cohort.told, line_codes, strict=True)
    )
