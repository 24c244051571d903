"""When not to compare, and what a reader has to know where it was compared.

Each rule is a function that yields reasons; no rule knows of another.
"""

from collections.abc import Iterator

from fontanelle.errors import Code, Reason
from fontanelle.norms.comparison import Child, Conditions, ProtocolMatch, SiteStatus
from fontanelle.norms.prematurity import corrected_age_days
from fontanelle.norms.tiers import is_calibrated, tier_of
from fontanelle.norms.values import Reference

ABOUT_AGE = frozenset(
    {Code.AGE_UNKNOWN, Code.AGE_IMPRECISE, Code.AGE_CONFLICT, Code.AGE_PLACEHOLDER}
)


def obstacles(child: Child, reference: Reference, conditions: Conditions) -> tuple[Reason, ...]:
    """Return every reason why this child may not be compared; empty if nothing is in the way."""
    return (
        *conditions.obstacles,
        *_scan(reference, conditions),
        *_protocol(reference, conditions),
        *_said(child),
        *_age(child, reference, conditions),
        *_sex(child, reference),
    )


def deciding_age_days(child: Child, conditions: Conditions) -> int | None:
    """Return the age that a child is compared at: the corrected one where it is corrected."""
    corrected = corrected_of(child, conditions)
    return child.age_days if corrected is None else corrected


def corrected_of(child: Child, conditions: Conditions) -> int | None:
    """Return the child's corrected age; None where its age is not to be corrected."""
    if child.age_days is None:
        return None
    return corrected_age_days(child.age_days, child.gestational_age_weeks, conditions.correction)


def remarks(child: Child, reference: Reference, conditions: Conditions) -> tuple[Reason, ...]:
    """Return what holds for a child that is compared, and hinders nothing."""
    return (*_preterm(child, conditions), *_edge(child, reference, conditions))


def _edge(child: Child, reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    validity, age_days = reference.validity, deciding_age_days(child, conditions)
    if age_days is not None and validity.is_near_edge(age_days):
        yield Reason(
            Code.EDGE_OF_RANGE,
            f"The {_age_word(child, conditions)} of {age_days} days is within "
            f"{validity.edge_note_days} days of an end of the reference "
            f"({validity.age_days_min} to {validity.age_days_max} days).",
        )


def _preterm(child: Child, conditions: Conditions) -> Iterator[Reason]:
    weeks, corrected = child.gestational_age_weeks, corrected_of(child, conditions)
    if corrected is not None:
        yield Reason(
            Code.AGE_CORRECTED,
            f"Born at {weeks} weeks: the corrected age of {corrected} days decides "
            f"({child.age_days} days since birth), and z is shown at both. Children born preterm "
            "also have smaller brains for reasons that no correction of the age removes.",
        )
    elif weeks is not None and conditions.correction.is_preterm(weeks):
        last_day = conditions.correction.last_day(weeks)
        yield Reason(
            Code.CORRECTION_ENDED,
            f"Born at {weeks} weeks: ages are corrected until {last_day} days only, so the age "
            "since birth decides; z makes a step there.",
        )


def reservations(reference: Reference, conditions: Conditions) -> tuple[Reason, ...]:
    """Return why numbers are shown without calling anybody normal or abnormal; empty if flagged."""
    return (
        *_site(reference, conditions),
        *_approximate(reference, conditions),
        *_unqualified(conditions),
    )


def _site(reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    if is_calibrated(reference, conditions):
        return
    prior = reference.calibration
    if conditions.site_status is not SiteStatus.NONE:
        yield Reason(
            Code.SITE_UNCALIBRATED,
            f"The tier {tier_of(reference, conditions)} was asked for, which does not know this "
            f"site's offset (assumed SD {prior.prior_sd.value:g} % of each mean, inside every "
            "interval): nothing is called normal or abnormal.",
        )
    else:
        yield Reason(
            Code.SITE_UNCALIBRATED,
            f"No normal heads of this site were measured: its offset is not known (assumed SD "
            f"{prior.prior_sd.value:g} % of each mean, inside every interval), and nothing is "
            f"called normal or abnormal before {prior.n_min_offset} of them.",
        )


def _unqualified(conditions: Conditions) -> Iterator[Reason]:
    if not conditions.qualified:
        yield Reason(Code.PACKAGE_UNQUALIFIED, Code.PACKAGE_UNQUALIFIED.meaning)


def _approximate(reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    if conditions.protocol_match is ProtocolMatch.APPROXIMATE:
        yield Reason(
            Code.PROTOCOL_APPROXIMATE,
            f"The package's regions follow the protocol {reference.label_protocol} by assignment "
            "only; z is provisional and never flagged.",
        )


def _scan(reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    validity = reference.validity
    # Admission may have said already that slices are thick or that contrast was given.
    said = {reason.code for reason in conditions.obstacles}
    thickness_mm, thickest_mm = conditions.slice_thickness_mm, validity.slice_thickness_max_mm
    if thickness_mm is not None and thickness_mm > thickest_mm and Code.SLICE_THICKNESS not in said:
        yield Reason(
            Code.NOT_COVERED,
            f"Slices of {thickness_mm:.2f} mm; the reference {reference.id} covers at most "
            f"{thickest_mm:g} mm.",
        )
    if conditions.contrast not in {None, validity.contrast} and Code.CONTRAST not in said:
        made = "with" if validity.contrast else "without"
        yield Reason(
            Code.NOT_COVERED, f"The reference {reference.id} covers scans {made} contrast only."
        )
    if conditions.modality not in {None, validity.modality}:
        yield Reason(
            Code.NOT_COVERED,
            f"The scan is {conditions.modality}, the reference {reference.id} is of "
            f"{validity.modality}.",
        )


def _protocol(reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    if conditions.protocol != reference.label_protocol:
        yield Reason(
            Code.PROTOCOL_OTHER,
            f"The package labels by {conditions.protocol}, the reference {reference.id} by "
            f"{reference.label_protocol}.",
        )
    if reference.package_digest not in {None, conditions.package_sha256}:
        yield Reason(
            Code.PACKAGE_OTHER,
            f"The reference {reference.id} was made with another package than this one.",
        )


def _said(child: Child) -> Iterator[Reason]:
    # Whose gestational age is known here is corrected here.
    is_known = child.gestational_age_weeks is not None
    for reason in child.reasons:
        if reason.code is not Code.AGE_NOT_CORRECTED or not is_known:
            yield reason


def _age(child: Child, reference: Reference, conditions: Conditions) -> Iterator[Reason]:
    validity, corrected = reference.validity, corrected_of(child, conditions)
    if child.age_days is None:
        # The caller may have said already what is wrong with the age.
        if not ABOUT_AGE & {reason.code for reason in child.reasons}:
            yield Reason(Code.AGE_UNKNOWN, "The age is not known, so that nothing can be expected.")
        return
    covered = f"{validity.age_days_min} to {validity.age_days_max} days; nothing is extrapolated."
    if not validity.covers_age(child.age_days):
        yield Reason(
            Code.AGE_OUT_OF_RANGE,
            f"The age of {child.age_days} days is outside the reference's {covered}",
        )
    if corrected is not None and not validity.covers_age(corrected):
        yield Reason(
            Code.AGE_OUT_OF_RANGE,
            f"The corrected age of {corrected} days (born at {child.gestational_age_weeks} weeks) "
            f"is outside the reference's {covered}",
        )


def _age_word(child: Child, conditions: Conditions) -> str:
    return "age" if corrected_of(child, conditions) is None else "corrected age"


def _sex(child: Child, reference: Reference) -> Iterator[Reason]:
    sexes = reference.validity.sexes
    if child.sex is None:
        if Code.SEX_UNKNOWN not in {reason.code for reason in child.reasons}:
            yield Reason(
                Code.SEX_UNKNOWN, f"The sex is none of those of the reference: {', '.join(sexes)}."
            )
    elif child.sex not in sexes:
        yield Reason(
            Code.NOT_COVERED, f"The reference {reference.id} covers only {', '.join(sexes)}."
        )
