"""Why a value of the analysis object is null: by its path, in one sentence."""

import re
from collections.abc import Iterator, Mapping

from fontanelle.reports.compared import TOGETHER

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
    "reference.calibration": "The site has no calibration of this reference and package.",
    "scan": "The input was rejected before its geometry was known.",
    "summary.total_ml": "No volumes leave; see the reasons.",
    "summary.intracranial_ml": "No volumes leave; see the reasons.",
    "summary.ventricles_ml": "No volumes leave; see the reasons.",
    "summary.head_circumference_cm": "It came with no order, and the scan does not show it.",
    "summary.corrected_age_days": "The child's age is not corrected for preterm birth.",
    "patient.gestational_age_weeks": "No gestational age came with the order.",
    **dict.fromkeys(
        (f"summary.{name}" for name in TOGETHER),
        "Nobody is called low before the site is calibrated.",
    ),
    "total": "No volumes were compared, or the reference has no sum of its regions.",
    "head_size": "No volumes leave; see the reasons.",
    "head_size.circumference.error_cm": "Nobody states how exactly a tape was read.",
    "measurements[].measurement_error_percent": "It was not measured for the package.",
    "total.measurement_error_percent": "It was not measured for the package.",
    "measurements[].pooled.z": "The reference has no pooled mean and SD.",
    "measurements[].pooled.centile": "The reference has no pooled mean and SD.",
    "total.pooled.z": "The reference has no pooled mean and SD of the sum.",
    "total.pooled.centile": "The reference has no pooled mean and SD of the sum.",
    "earlier[].study_date": "The earlier scan has no study date.",
    "earlier[].age_days": "The age at the earlier scan is not known.",
    "earlier[].days": "The dates of the scans are not known.",
    "quality[].value": "The check rests on no single number, or the number is withheld.",
    "objects[].sop_instance_uid": "Only a DICOM object has a UID.",
}
"""Why a value is null, by its path; a place in a list is written `[]`."""
_INDEX = re.compile(r"\[\d+\]")
_UNSAID = "The step that would know it did not say."


def unknown_of(found: Mapping[str, object]) -> list[dict[str, str]]:
    """Return path and sentence of every null that has no reasons of its own beside it."""
    return [
        {"path": path, "sentence": UNKNOWN.get(_INDEX.sub("[]", path), _UNSAID)}
        for path in _bare_nulls(found, "")
    ]


def _bare_nulls(value: object, path: str) -> Iterator[str]:
    """Yield the path of every null that has no `reasons` of its own beside it."""
    match value:
        case None:
            yield path
        case {"reasons": [str(), *_], **rest} if "check" not in rest:
            return
        case Mapping():
            for key, inner in value.items():
                yield from _bare_nulls(inner, f"{path}.{key}".lstrip("."))
        case list():
            for number, inner in enumerate(value):
                yield from _bare_nulls(inner, f"{path}[{number}]")
