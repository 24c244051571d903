"""The analysis object of the contract: the stored report, and what became of it since.

Before there is a report the object has the same shape, as far as it is known. A null has a
reason beside it, or its path stands in `unknown` with a sentence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.records import analyses, deliveries, reviews
from fontanelle.records.analyses import AnalysisSeen, StoredObject
from fontanelle.records.database import Transaction
from fontanelle.records.deliveries import DeliverySeen
from fontanelle.records.reviews import Review
from fontanelle.reports.compared import TOGETHER
from fontanelle.reports.notice import NOTICE
from service.api.models import DeliveryOut, ReviewOut, analysis_href

DELIVERIES_LIMIT: Final = 200
UNKNOWN: Final[Mapping[str, str]] = {
    "started_at": "No worker has taken it yet.",
    "ended_at": "It has not ended.",
    "fitness": "There is no result whose fitness could be judged.",
    "accession_number": "The source carries no accession number.",
    "patient.issuer": "The source does not say who issued the patient's identifier.",
    "review.person": "No person has reviewed the result.",
    "review.comment": "No person has reviewed the result.",
    "review.at": "No person has reviewed the result.",
    "review.normal": "No reader has said whether the child's head is normal.",
    "reviews[].normal": "This reader did not say whether the child's head is normal.",
    "objects[].sop_instance_uid": "Only a DICOM object has a UID.",
    "deliveries[].reason": "Nothing is in the way of the delivery.",
    "deliveries[].status": "The destination has not answered yet.",
    "deliveries[].acknowledged_at": "The destination has not acknowledged it.",
}
"""Why what the service adds is null, by its path; a place in a list is written `[]`."""
_WAITING: Final[Mapping[AnalysisState, str]] = {
    AnalysisState.QUEUED: "The analysis waits for a worker.",
    AnalysisState.RUNNING: "The analysis is running.",
    AnalysisState.FAILED: "The analysis failed.",
    AnalysisState.CANCELLED: "The analysis was cancelled.",
}
_ADDED: Final = ("id", "objects", "deliveries", "review", "reviews", "started_at", "ended_at")
_INDEX: Final = re.compile(r"\[\d+\]")


def assembled(session: Transaction, analysis_id: int) -> dict[str, Any]:
    """Return the analysis object.

    Raises
    ------
    Refused
        NOT_FOUND.
    """
    seen = analyses.get(session, analysis_id)
    stored = analyses.report(session, analysis_id)
    found = _awaited(seen) if stored is None else dict(stored)
    found |= _of_row(seen)
    found["review"], found["reviews"] = _reviews(reviews.of(session, analysis_id))
    found["objects"] = [
        _object(analysis_id, each) for each in analyses.objects(session, analysis_id)
    ]
    found["deliveries"] = [
        _delivery(each)
        for each in deliveries.page(session, analysis_id=analysis_id, limit=DELIVERIES_LIMIT)
    ]
    found["unknown"] = _unknown(found, stored, seen)
    return found


def _of_row(seen: AnalysisSeen) -> dict[str, Any]:
    return {
        "id": seen.analysis_id,
        "state": seen.state.value,
        "requested_by": seen.requested_by,
        "attempts": seen.attempts,
        "queued_at": seen.queued_at.isoformat(),
        "started_at": seen.started_at and seen.started_at.isoformat(),
        "ended_at": seen.ended_at and seen.ended_at.isoformat(),
    }


def _awaited(seen: AnalysisSeen) -> dict[str, Any]:
    """Return the object of an analysis without a report: what its row says, and nulls."""
    return {
        "id": None,
        "state": None,
        "fitness": None,
        "notice": NOTICE,
        "patient": {
            "id": seen.patient_id or None,
            "issuer": seen.issuer,
            "sex": None,
            "birth_date": None,
            "age_days": None,
            "age_source": None,
            "gestational_age_weeks": None,
        },
        "study_instance_uid": seen.study_instance_uid,
        "series_instance_uid": seen.series_instance_uid,
        "series_revision": seen.series_revision,
        "accession_number": seen.accession_number,
        "package": {
            "name": seen.package_name,
            "version": None,
            "sha256": seen.package_sha256,
            "protocol": None,
            "protocol_match": None,
            "intended_age_days": None,
            "qualified": None,
        },
        "engine": None,
        "reference": {
            "id": seen.reference_id,
            "version": seen.reference_version,
            "tier": None,
            "site_status": None,
            "calibration": None,
        },
        "scan": None,
        "measurements": [],
        "total": None,
        "asymmetry": [],
        "at_chronological_age": [],
        "summary": dict.fromkeys(SUMMARY),
        "head_size": None,
        "earlier": [],
        "quality": [],
        "reasons": (
            []
            if seen.reason is None
            else [{"code": str(seen.reason.code), "sentence": seen.reason.sentence}]
        ),
        "remarks": [],
        "series": [],
        "objects": [],
        "deliveries": [],
        "timings_s": {},
        "digest": None,
        "rendered_at": None,
    }


SUMMARY: Final = (
    "total_ml",
    "intracranial_ml",
    "ventricles_ml",
    "head_circumference_cm",
    "corrected_age_days",
    *TOGETHER,
)


def _reviews(words: Sequence[Review]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    all_words = [ReviewOut.of(word).model_dump(mode="json") for word in words]
    nobody = ReviewOut(verdict=Verdict.UNREVIEWED, person=None, comment=None, normal=None, at=None)
    return (all_words[0] if all_words else nobody.model_dump(mode="json")), all_words


def _object(analysis_id: int, stored: StoredObject) -> dict[str, Any]:
    return {
        "kind": stored.kind,
        "sop_instance_uid": stored.sop_instance_uid,
        "href": f"{analysis_href(analysis_id)}/{stored.name}",
        "sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
    }


def _delivery(seen: DeliverySeen) -> dict[str, Any]:
    said = DeliveryOut.of(seen).model_dump(mode="json")
    del said["analysis_id"]
    return said


def _unknown(
    found: Mapping[str, Any], stored: Mapping[str, Any] | None, seen: AnalysisSeen
) -> list[dict[str, str]]:
    """Keep what the report said of its nulls; say it of all that is not the report's."""
    kept = (
        []
        if stored is None
        else [each for each in stored["unknown"] if not each["path"].startswith(_ADDED)]
    )
    names = _ADDED if stored is not None else tuple(name for name in found if name != "unknown")
    waiting = _WAITING.get(seen.state, "There is no report.")
    own = {name: found[name] for name in names}
    return kept + [
        {"path": path, "sentence": UNKNOWN.get(_INDEX.sub("[]", path), waiting)}
        for path in _nulls(own, "")
    ]


def _nulls(value: object, path: str) -> Iterator[str]:
    match value:
        case None:
            yield path
        case Mapping():
            for key, inner in value.items():
                yield from _nulls(inner, f"{path}.{key}".lstrip("."))
        case list():
            for number, inner in enumerate(value):
                yield from _nulls(inner, f"{path}[{number}]")
