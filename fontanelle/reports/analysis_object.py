"""The analysis object: what `report.json` holds and what the HTTP interface will answer.

A value that is not known is null, with a reason beside it: in the `reasons` of the measurement
that it belongs to, or by its path in `unknown`. Nothing is left out, and nothing unknown is 0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fontanelle.errors import Reason
from fontanelle.imaging.quality import QualityCheck
from fontanelle.imaging.selection import Decision
from fontanelle.imaging.volumes import RegionVolumes, Volumes
from fontanelle.norms.comparison import AsymmetryComparison, Flag, RegionComparison
from fontanelle.reports.compared import (
    at_chronological_age,
    codes_of,
    compared_pair,
    compared_region,
    compared_total,
    together,
)
from fontanelle.reports.earlier import earlier_object
from fontanelle.reports.head_object import head_object
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.result import Result
from fontanelle.reports.rounding import cm, ml, percent
from fontanelle.reports.unknown import unknown_of
from fontanelle.reports.withholding import redacted

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RenderedObject:
    """One file rendered from a result: its kind, its UID if it is DICOM, its name."""

    kind: str
    sop_instance_uid: str | None
    href: str


def analysis_object(
    result: Result,
    objects: Sequence[RenderedObject] = (),
    decisions: Sequence[Decision] = (),
) -> dict[str, object]:
    """Return the analysis object of a result, keys in the contract's order.

    Parameters
    ----------
    result
        Rejected, withheld, limited or full; of a withheld one no number is said.
    objects
        What was rendered from it.
    decisions
        Why each series of the study was or was not measured.
    """
    result = redacted(result)
    volumes, comparison = result.volumes, result.comparison
    found: dict[str, object] = {
        "id": None,
        "state": result.state,
        "fitness": result.fitness,
        "notice": NOTICE,
        "patient": _patient(result),
        "study_instance_uid": result.identity.study_instance_uid,
        "series_instance_uid": result.identity.series_instance_uid,
        "series_revision": result.identity.series_revision,
        "accession_number": result.identity.accession_number or None,
        "package": _package(result),
        "engine": _engine(result),
        "reference": _reference(result),
        "scan": _scan(result),
        "measurements": [] if volumes is None else _measurements(result, volumes),
        "total": None if volumes is None else compared_total(comparison, volumes.total_ml),
        "asymmetry": [compared_pair(pair) for pair in _asymmetries(result)],
        "at_chronological_age": at_chronological_age(comparison),
        "summary": _summary(result),
        "head_size": head_object(result.head),
        "earlier": [earlier_object(each) for each in result.earlier],
        "quality": [_quality(check) for check in result.quality],
        "reasons": [_reason(reason) for reason in result.reasons],
        "remarks": [_reason(remark) for remark in result.remarks],
        "series": [_decision(decision) for decision in decisions],
        "objects": [_object(rendered) for rendered in objects],
        "deliveries": [],
        "timings_s": {name: round(seconds, 3) for name, seconds in result.timings_s.items()},
        "digest": result.digest,
        "rendered_at": result.rendered_at.isoformat(),
    }
    found["unknown"] = unknown_of(found)
    return found


def to_json(
    result: Result,
    objects: Sequence[RenderedObject] = (),
    decisions: Sequence[Decision] = (),
) -> str:
    """Return the analysis object as JSON text; NaN and infinity are mistakes, not values."""
    found = analysis_object(result, objects, decisions)
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _patient(result: Result) -> Json:
    patient = result.patient
    return {
        "id": patient.patient_id or None,
        "issuer": patient.issuer or None,
        "sex": patient.sex,
        "birth_date": patient.birth_date,
        "age_days": patient.age_days,
        "age_source": patient.age_source,
        "gestational_age_weeks": patient.gestational_age_weeks,
    }


def _package(result: Result) -> Json:
    package = result.package
    return {
        "name": package.name,
        "version": package.version,
        "sha256": package.sha256,
        "protocol": package.protocol,
        "protocol_match": package.protocol_match,
        "intended_age_days": list(package.intended_age_days),
        "qualified": package.qualified,
    }


def _engine(result: Result) -> Json | None:
    engine = result.engine
    if engine is None:
        return None
    return {
        "provider": engine.provider,
        "precision": engine.precision,
        "device": engine.device,
        "seconds": round(engine.seconds, 3),
        "versions": dict(sorted(engine.versions.items())),
    }


def _reference(result: Result) -> Json | None:
    comparison = result.comparison
    if comparison is None:
        return None
    return {
        "id": comparison.reference_id,
        "version": comparison.reference_version,
        "tier": comparison.tier,
        "site_status": comparison.site_status,
        "calibration": result.calibration_version,
    }


def _scan(result: Result) -> Json | None:
    scan = result.scan
    if scan is None:
        return None
    return {
        "slices": scan.slices,
        "rows": scan.rows,
        "columns": scan.columns,
        "pixel_spacing_mm": [round(step, 6) for step in scan.pixel_spacing_mm],
        "slice_step_mm": [round(step, 4) for step in scan.slice_step_mm],
        "tilt_deg": round(scan.tilt_deg, 2),
    }


def _measurements(result: Result, volumes: Volumes) -> list[Json]:
    compared = {} if result.comparison is None else {c.region: c for c in result.comparison.regions}
    labels = {region.name: region.label for region in result.region_set.regions}
    return [
        {"region": region.region, "label": labels[region.region]}
        | _measurement(
            region, volumes.total_ml, compared.get(region.region) or _silent(region, result)
        )
        for region in volumes.regions
    ]


def _silent(region: RegionVolumes, result: Result) -> RegionComparison:
    return RegionComparison(region.region, Flag.NOT_COMPARED, result.reasons)


def _measurement(
    region: RegionVolumes, total_ml: float, compared: RegionComparison
) -> dict[str, object]:
    found = compared_region(compared, region.compartment_ml)
    share = 100 * region.compartment_ml / total_ml if total_ml else None
    return {
        "volume_ml": found.pop("volume_ml"),
        "parenchyma_ml": ml(region.parenchyma_ml),
        "csf_ml": ml(region.csf_ml),
        **found,
        "share_percent": percent(share),
    }


def _asymmetries(result: Result) -> Sequence[AsymmetryComparison]:
    if result.volumes is None or result.comparison is None:
        return ()
    return result.comparison.asymmetry


def _summary(result: Result) -> Json:
    volumes, comparison = result.volumes, result.comparison
    circumference = None if result.head is None else result.head.circumference
    return {
        "total_ml": None if volumes is None else ml(volumes.total_ml),
        "intracranial_ml": None if volumes is None else ml(volumes.intracranial_ml),
        "ventricles_ml": None if volumes is None else ml(volumes.ventricles_ml),
        "head_circumference_cm": None if circumference is None else cm(circumference.cm),
        "corrected_age_days": None if comparison is None else comparison.corrected_age_days,
        **together(comparison),
    }


def _quality(check: QualityCheck) -> Json:
    return {
        "check": check.check,
        "grade": check.grade,
        "value": None if check.value is None else round(check.value, 4),
        "sentence": check.sentence,
        "uncertainty_ml": _rounded_ml(check.uncertainty_ml or {}),
        "reasons": codes_of(() if check.reason is None else (check.reason,)),
    }


def _rounded_ml(by_region: Mapping[str, float]) -> Json:
    return {region: ml(value) for region, value in by_region.items()}


def _decision(decision: Decision) -> Json:
    return {
        "series_instance_uid": decision.series_instance_uid,
        "selected": decision.chosen,
        "reasons": [_reason(reason) for reason in decision.reasons],
    }


def _object(rendered: RenderedObject) -> Json:
    return {
        "kind": rendered.kind,
        "sop_instance_uid": rendered.sop_instance_uid,
        "href": rendered.href,
    }


def _reason(reason: Reason) -> Json:
    return {"code": reason.code, "sentence": reason.sentence}
