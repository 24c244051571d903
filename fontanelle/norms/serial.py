"""The same child's scans compared: what changed, what growth was to be expected, what is error.

A change is called only beyond the repeatability that was measured for the package, and none before
it was. Under another package, label protocol or reference a difference says nothing of the child.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import hypot

from fontanelle.errors import Code, Reason
from fontanelle.norms.statistics import independent_limit


class ChangeFlag(StrEnum):
    """What may be said of a region's change."""

    WITHIN_ERROR = "within_error"
    SMALLER = "smaller"
    LARGER = "larger"
    NOT_CALLED = "not_called"


@dataclass(frozen=True, slots=True)
class VisitRegion:
    """A region at one visit: its volume, and what was expected then."""

    volume_ml: float
    expected_ml: float | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One analysed scan of a child.

    Attributes
    ----------
    analysis_id, digest
        Which analysis; `analysis_id` is None while it has none.
    study_date
        Of the scan.
    age_days, corrected_age_days
        As in the result; the second where the age was corrected for preterm birth.
    birth_date, sex
        As in the result; they tell children apart who share an identifier.
    package_sha256, protocol
        What measured.
    reference_version, tier, site_status, calibration
        What it was compared with, and how; the last is a version, None without a calibration.
    regions
        By name; empty where nothing was measured.
    is_patient_in_doubt
        A person has to look whose scan it is.
    """

    analysis_id: int | None
    digest: str
    study_date: date | None
    age_days: int | None
    corrected_age_days: int | None
    birth_date: str | None
    sex: str | None
    package_sha256: str
    protocol: str
    reference_version: str
    tier: str
    site_status: str
    regions: Mapping[str, VisitRegion]
    calibration: str | None = None
    is_patient_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class RegionChange:
    """How a region differs from an earlier visit, mL and percent of the earlier volume.

    Attributes
    ----------
    error_ml
        SD of a difference of two measurements; None where the package's was not measured.
    limit_ml
        A change within it is no change; so wide that of 20 unchanged children one exceeds it in
        any region.
    growth_ml
        Expected between the two ages; None where it is not known.
    """

    region: str
    earlier_ml: float
    change_ml: float
    change_percent: float | None
    error_ml: float | None
    limit_ml: float | None
    growth_ml: float | None
    flag: ChangeFlag
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class SerialComparison:
    """A child's scan beside an earlier one; without regions where the two cannot be compared.

    Attributes
    ----------
    days
        From the earlier scan to the present one; 0 is a repetition, None is not known.
    """

    analysis_id: int | None
    study_date: date | None
    age_days: int | None
    days: int | None
    regions: tuple[RegionChange, ...]
    reasons: tuple[Reason, ...]


def compare_with_earlier(
    now: Visit, earlier: Visit, measurement_error_percent: Mapping[str, float]
) -> SerialComparison:
    """Compare a scan with an earlier one of the same child.

    Parameters
    ----------
    now, earlier
        Two visits of one patient identifier and issuer.
    measurement_error_percent
        Of the package, by region: SD of repeated measurements in percent of the volume; a region
        that is absent was not measured.
    """
    days = _days(now, earlier)
    obstacles = tuple(_obstacles(now, earlier))
    if obstacles:
        return _compared(earlier, days, (), obstacles)
    kept = tuple(_reservations(now, earlier, days))
    both = {
        name: (now.regions[name], of) for name, of in earlier.regions.items() if name in now.regions
    }
    rule = _Rule(independent_limit(len(both)), kept)
    changes = tuple(
        _change(name, pair, measurement_error_percent.get(name), rule)
        for name, pair in both.items()
    )
    reasons = (*kept, *(reason for change in changes for reason in change.reasons))
    return _compared(earlier, days, changes, tuple(dict.fromkeys(reasons)))


@dataclass(frozen=True, slots=True)
class _Rule:
    """What holds for all regions: standard errors that a change has to exceed, reservations."""

    limit: float
    kept: tuple[Reason, ...]

    def says(self, code: Code) -> bool:
        return any(reason.code is code for reason in self.kept)


def _compared(
    earlier: Visit,
    days: int | None,
    changes: tuple[RegionChange, ...],
    reasons: tuple[Reason, ...],
) -> SerialComparison:
    return SerialComparison(
        earlier.analysis_id, earlier.study_date, earlier.age_days, days, changes, reasons
    )


def _change(
    name: str, pair: tuple[VisitRegion, VisitRegion], error_percent: float | None, rule: _Rule
) -> RegionChange:
    now, earlier = pair
    change_ml = now.volume_ml - earlier.volume_ml
    error_ml = limit_ml = None
    reasons = rule.kept
    if error_percent is None:
        reasons += (Reason(Code.SERIAL_REPEATABILITY, Code.SERIAL_REPEATABILITY.meaning),)
    else:
        error_ml = error_percent / 100.0 * hypot(now.volume_ml, earlier.volume_ml)
        limit_ml = rule.limit * error_ml
    growth_ml = None if rule.says(Code.SERIAL_GROWTH) else _growth_ml(now, earlier)
    if growth_ml is None and not rule.says(Code.SERIAL_GROWTH):
        reasons += (Reason(Code.SERIAL_GROWTH, Code.SERIAL_GROWTH.meaning),)
    return RegionChange(
        region=name,
        earlier_ml=earlier.volume_ml,
        change_ml=change_ml,
        change_percent=100.0 * change_ml / earlier.volume_ml if earlier.volume_ml > 0 else None,
        error_ml=error_ml,
        limit_ml=limit_ml,
        growth_ml=growth_ml,
        flag=(
            ChangeFlag.NOT_CALLED
            if limit_ml is None or rule.says(Code.SERIAL_SAME_DAY)
            else _flag(change_ml, limit_ml)
        ),
        reasons=reasons,
    )


def _flag(change_ml: float, limit_ml: float) -> ChangeFlag:
    if abs(change_ml) <= limit_ml:
        return ChangeFlag.WITHIN_ERROR
    return ChangeFlag.SMALLER if change_ml < 0 else ChangeFlag.LARGER


def _growth_ml(now: VisitRegion, earlier: VisitRegion) -> float | None:
    if now.expected_ml is None or earlier.expected_ml is None:
        return None
    return now.expected_ml - earlier.expected_ml


def _days(now: Visit, earlier: Visit) -> int | None:
    if now.study_date is not None and earlier.study_date is not None:
        return (now.study_date - earlier.study_date).days
    if now.age_days is not None and earlier.age_days is not None:
        return now.age_days - earlier.age_days
    return None


def _obstacles(now: Visit, earlier: Visit) -> Iterator[Reason]:
    """Give every reason why a difference would say nothing of the child."""
    doubt = now.is_patient_in_doubt or earlier.is_patient_in_doubt
    known = [
        (mine, other)
        for mine, other in ((now.birth_date, earlier.birth_date), (now.sex, earlier.sex))
        if mine is not None and other is not None
    ]
    if doubt or any(mine != other for mine, other in known):
        yield Reason(Code.SERIAL_CHILD, Code.SERIAL_CHILD.meaning)
    if now.package_sha256 != earlier.package_sha256:
        yield Reason(Code.SERIAL_PACKAGE, Code.SERIAL_PACKAGE.meaning)
    if now.protocol != earlier.protocol:
        yield Reason(Code.SERIAL_PROTOCOL, Code.SERIAL_PROTOCOL.meaning)
    if now.reference_version != earlier.reference_version:
        yield Reason(Code.SERIAL_REFERENCE, Code.SERIAL_REFERENCE.meaning)
    if not set(now.regions) & set(earlier.regions):
        yield Reason(Code.SERIAL_NO_VOLUME, Code.SERIAL_NO_VOLUME.meaning)


def _reservations(now: Visit, earlier: Visit, days: int | None) -> Iterator[Reason]:
    """Give what limits the comparison of all regions."""
    if days == 0:
        yield Reason(Code.SERIAL_SAME_DAY, Code.SERIAL_SAME_DAY.meaning)
    if _offset_of(now) != _offset_of(earlier):
        yield Reason(
            Code.SERIAL_GROWTH, "The site was calibrated between the scans: growth is not known."
        )
    elif (now.corrected_age_days is None) != (earlier.corrected_age_days is None):
        yield Reason(
            Code.SERIAL_GROWTH,
            "The age was corrected for preterm birth at one scan only: growth is not known.",
        )


def _offset_of(visit: Visit) -> tuple[str, str, str | None]:
    """Return what moves all that was expected at a visit."""
    return visit.tier, visit.site_status, visit.calibration
