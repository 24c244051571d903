"""Visits of a child: from a stored analysis object, and from a result that was just found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from fontanelle.errors import Reason
from fontanelle.norms.serial import (
    RegionChange,
    SerialComparison,
    Visit,
    VisitRegion,
    compare_with_earlier,
)
from fontanelle.reports.compared import codes_of
from fontanelle.reports.result import Result
from fontanelle.reports.rounding import ml, percent

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a child's scans before the present one.

    Attributes
    ----------
    study_date
        Of the present scan.
    is_patient_in_doubt
        A person has to look whose scan it is.
    visits
        The latest first.
    """

    study_date: date | None = None
    is_patient_in_doubt: bool = False
    visits: tuple[Visit, ...] = ()


NO_HISTORY: Final = History()


def compared_with_history(
    result: Result, history: History, measurement_error_percent: Mapping[str, float]
) -> tuple[SerialComparison, ...]:
    """Compare a result with every earlier scan of the child; nothing where it has no volumes."""
    now = visit_of_result(
        result, history.study_date, is_patient_in_doubt=history.is_patient_in_doubt
    )
    if now is None:
        return ()
    return tuple(
        compare_with_earlier(now, visit, measurement_error_percent) for visit in history.visits
    )


def visit_of_report(
    report: Json, analysis_id: int, study_date: str | None, *, is_patient_in_doubt: bool
) -> Visit:
    """Return the visit that an analysis object tells of.

    Parameters
    ----------
    report
        The contract's JSON, as it was stored.
    analysis_id, study_date
        As the records know them; the date as in the header.
    is_patient_in_doubt
        A person has to look whose scan it is.
    """
    patient, reference = report["patient"], report["reference"] or {}
    return Visit(
        analysis_id=analysis_id,
        digest=report["digest"],
        study_date=day(study_date),
        age_days=patient["age_days"],
        corrected_age_days=report["summary"]["corrected_age_days"],
        birth_date=patient["birth_date"],
        sex=patient["sex"],
        package_sha256=report["package"]["sha256"],
        protocol=report["package"]["protocol"],
        reference_version=reference.get("version", ""),
        tier=reference.get("tier", ""),
        site_status=reference.get("site_status", ""),
        regions={
            each["region"]: VisitRegion(each["volume_ml"], each["expected_ml"])
            for each in report["measurements"]
        },
        calibration=reference.get("calibration"),
        is_patient_in_doubt=is_patient_in_doubt,
    )


def visit_of_result(
    result: Result, study_date: date | None, *, is_patient_in_doubt: bool
) -> Visit | None:
    """Return the visit that a result tells of; None where it holds no comparison."""
    comparison, volumes = result.comparison, result.volumes
    if comparison is None or volumes is None:
        return None
    expected = {each.region: each.expected_ml for each in comparison.regions}
    return Visit(
        analysis_id=None,
        digest=result.digest,
        study_date=study_date,
        age_days=result.patient.age_days,
        corrected_age_days=comparison.corrected_age_days,
        birth_date=result.patient.birth_date,
        sex=result.patient.sex,
        package_sha256=result.package.sha256,
        protocol=result.package.protocol,
        reference_version=comparison.reference_version,
        tier=comparison.tier,
        site_status=comparison.site_status,
        regions={
            each.region: VisitRegion(each.compartment_ml, expected.get(each.region))
            for each in volumes.regions
        },
        calibration=result.calibration_version,
        is_patient_in_doubt=is_patient_in_doubt,
    )


def day(study_date: str | None) -> date | None:
    """Return a DICOM date; None where it is none."""
    try:
        return date.fromisoformat(study_date or "")
    except ValueError:
        return None


def earlier_object(found: SerialComparison) -> dict[str, object]:
    """Return a comparison with an earlier scan as the contract's JSON."""
    return {
        "analysis_id": found.analysis_id,
        "study_date": None if found.study_date is None else found.study_date.isoformat(),
        "age_days": found.age_days,
        "days": found.days,
        "changes": [_change(each) for each in found.regions],
        "reasons": [_reason(reason) for reason in found.reasons],
    }


def _change(change: RegionChange) -> dict[str, object]:
    return {
        "region": change.region,
        "earlier_ml": ml(change.earlier_ml),
        "change_ml": ml(change.change_ml),
        "change_percent": percent(change.change_percent),
        "error_ml": ml(change.error_ml),
        "limit_ml": ml(change.limit_ml),
        "growth_ml": ml(change.growth_ml),
        "flag": change.flag,
        "reasons": codes_of(change.reasons),
    }


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "sentence": reason.sentence}
