"""The analysis object: what `report.json` holds and what the HTTP interface will answer.

A value that is not known is null, with a reason beside it: in the `reasons` of the measurement
that it belongs to, or by its path in `unknown`. Nothing is left out, and nothing unknown is 0.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fontanelle.errors import Reason
from fontanelle.imaging.quality import QualityCheck
from fontanelle.imaging.selection import Decision
from fontanelle.imaging.volumes import RegionVolumes, Volumes
from fontanelle.norms.comparison import AsymmetryComparison, Flag, RegionComparison
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.result import Result
from fontanelle.reports.rounding import ML_DECIMALS, PERCENT_DECIMALS, Z_DECIMALS
from fontanelle.reports.withholding import redacted

Json = Mapping[str, object]

UNKNOWN = {
    "id": "Only the service numbers its analyses.",
    "fitness": "The input was rejected; there is nothing whose fitness could be judged.",
    "patient.id": "The input names no patient.",
    "patient.issuer": "The source does not say who issued the patient's identifier.",
    "patient.sex": "The source does not say the sex.",
    "patient.birth_date": "The date of birth is absent, malformed or a placeholder.",
    "patient.age_days": "The age is not known.",
    "patient.age_source": "The age is not known.",
    "study_instance_uid": "The input is not a DICOM series.",
    "series_instance_uid": "The input is not a DICOM series.",
    "accession_number": "The source carries no accession number.",
    "engine": "No network ran.",
    "reference": "Nothing was compared.",
    "scan": "The input was rejected before its geometry was known.",
    "summary.total_ml": "No volumes leave; see the reasons.",
    "summary.intracranial_ml": "No volumes leave; see the reasons.",
    "summary.ventricles_ml": "No volumes leave; see the reasons.",
    "summary.head_circumference_cm": "The head circumference is not measured.",
    "summary.corrected_age_days": "Corrected ages are not computed.",
    "summary.regions_below_5th_centile": "Nobody is called low before the site is calibrated.",
    "summary.share_of_children_with_as_many": "Nobody is called low before the site is calibrated.",
    "quality[].value": "The check rests on no single number, or the number is withheld.",
    "objects[].sop_instance_uid": "Only a DICOM object has a UID.",
}
"""Why a value is null, by its path; a place in a list is written `[]`."""
INDEX = re.compile(r"\[\d+\]")
UNSAID = "The step that would know it did not say."


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
    volumes = result.volumes
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
        "asymmetry": [_asymmetry(pair) for pair in _asymmetries(result)],
        "summary": _summary(volumes),
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
    found["unknown"] = [
        {"path": path, "sentence": UNKNOWN.get(INDEX.sub("[]", path), UNSAID)}
        for path in _bare_nulls(found, "")
    ]
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
    return {
        "volume_ml": _ml(region.compartment_ml),
        "parenchyma_ml": _ml(region.parenchyma_ml),
        "csf_ml": _ml(region.csf_ml),
        "expected_ml": _ml(compared.expected_ml),
        "low_ml": _ml(compared.low_ml),
        "high_ml": _ml(compared.high_ml),
        "z": _z(compared.z),
        "z_low": _z(compared.z_low),
        "z_high": _z(compared.z_high),
        "centile": _percent(compared.centile),
        "share_percent": _percent(100 * region.compartment_ml / total_ml) if total_ml else None,
        "pooled": {"z": _z(compared.pooled_z), "centile": _percent(compared.pooled_centile)},
        "flag": compared.flag,
        "reasons": _codes(compared.reasons),
    }


def _asymmetries(result: Result) -> Sequence[AsymmetryComparison]:
    if result.volumes is None or result.comparison is None:
        return ()
    return result.comparison.asymmetry


def _asymmetry(pair: AsymmetryComparison) -> Json:
    return {
        "pair": pair.pair,
        "index": _percent(pair.index),
        "z": _z(pair.z),
        "flag": pair.flag,
        "reasons": _codes(pair.reasons),
    }


def _summary(volumes: Volumes | None) -> Json:
    return {
        "total_ml": None if volumes is None else _ml(volumes.total_ml),
        "intracranial_ml": None if volumes is None else _ml(volumes.intracranial_ml),
        "ventricles_ml": None if volumes is None else _ml(volumes.ventricles_ml),
        "head_circumference_cm": None,
        "corrected_age_days": None,
        "regions_below_5th_centile": None,
        "share_of_children_with_as_many": None,
    }


def _quality(check: QualityCheck) -> Json:
    return {
        "check": check.check,
        "grade": check.grade,
        "value": None if check.value is None else round(check.value, 4),
        "sentence": check.sentence,
        "reasons": _codes(() if check.reason is None else (check.reason,)),
    }


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


def _codes(reasons: Sequence[Reason]) -> list[str]:
    return [reason.code for reason in reasons]


def _ml(value: float | None) -> float | None:
    return None if value is None else round(value, ML_DECIMALS)


def _z(value: float | None) -> float | None:
    return None if value is None else round(value, Z_DECIMALS)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(value, PERCENT_DECIMALS)


def _bare_nulls(value: object, path: str) -> Iterator[str]:
    """Yield the path of every null that has no `reasons` of its own beside it."""
    match value:
        case None:
            yield path
        case {"reasons": [_, *_], "flag": _}:
            return
        case Mapping():
            for key, inner in value.items():
                yield from _bare_nulls(inner, f"{path}.{key}".lstrip("."))
        case list():
            for number, inner in enumerate(value):
                yield from _bare_nulls(inner, f"{path}[{number}]")
