"""The analysis object in words: what the report page says, before any markup.

Takes the contract's JSON alone, so that a stored `report.json` makes the same page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from fontanelle.errors import Code
from fontanelle.lifecycle import AnalysisState, Verdict
from fontanelle.reports import sentences
from service.web import rounding, strip
from service.web.history import EarlierView, earlier_views
from service.web.lines import PairLine, RegionLine, in_words, pair_line, region_label, region_line
from service.web.overview import OverviewLine, overview, together
from service.web.provenance import provenance
from service.web.strip import Mark

Json = Mapping[str, Any]
UNDER_WAY: Final = frozenset({AnalysisState.QUEUED, AnalysisState.RUNNING})

_ENDINGS: Final[Mapping[str, tuple[str, str]]] = {
    AnalysisState.QUEUED: ("Waiting for a worker", "Nothing is measured yet."),
    AnalysisState.RUNNING: ("Being measured", "Nothing is measured yet."),
    AnalysisState.FAILED: (
        "The analysis failed",
        "That is a fault of the service or of this machine, not of the scan. Nothing was measured.",
    ),
    AnalysisState.CANCELLED: ("Cancelled", "Nothing was measured."),
    AnalysisState.REJECTED: (
        "Not measured",
        "This scan cannot be measured, for the reasons below. There are no volumes.",
    ),
}
_FITNESS: Final[Mapping[str, tuple[str, str]]] = {
    "full": ("Full result", "Volumes and their comparison."),
    "limited": (
        "Limited result",
        "Volumes; the comparison is missing or reserved, for the reasons below.",
    ),
    "withheld": ("Result withheld", sentences.WITHHELD),
}
_IN_DOUBT: Final = (
    "The patient of this study is in doubt",
    "Attributes of the patient were changed, or differ between instances. Nothing is delivered "
    "before a person has looked.",
)
_NORMAL: Final[Mapping[bool | None, str]] = {
    True: " Said to be a normal head.",
    False: " Said not to be a normal head.",
    None: "",
}
_SEXES: Final = {"M": "male", "F": "female"}
_OBJECTS: Final = {
    "segmentation": "Segmentation (DICOM SEG)",
    "structured_report": "Structured report (DICOM SR)",
    "labels": "Label array (NIfTI)",
    "overlay": "Overlay picture (PNG)",
    "report": "Analysis object (JSON)",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that has to be read before any number."""

    kind: str
    title: str
    text: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence and its code."""

    sentence: str
    code: str


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A check of the segmentation."""

    name: str
    grade: str
    sentence: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportView:
    """All that the report page says of the analysis object."""

    analysis_id: int | None
    state: str
    title: str
    is_under_way: bool
    is_measured: bool
    is_provisional: bool
    banners: tuple[Banner, ...]
    patient: tuple[tuple[str, str], ...]
    overview: tuple[OverviewLine, ...]
    together: tuple[str, ...]
    regions: tuple[RegionLine, ...]
    is_corrected: bool
    z_strip: Markup
    loss: str | None
    chance: str
    error: str
    pairs: tuple[PairLine, ...]
    earlier: tuple[EarlierView, ...]
    reasons: tuple[Said, ...]
    remarks: tuple[Said, ...]
    checks: tuple[CheckLine, ...]
    provenance: tuple[tuple[str, str], ...]
    objects: tuple[tuple[str, str], ...]
    deliveries: Sequence[Json]
    reviews: Sequence[Json]
    decisions: Sequence[Json]


def view_of(report: Json, *, patient_in_doubt: bool = False) -> ReportView:
    """Return what the page of an analysis object says.

    Parameters
    ----------
    patient_in_doubt
        Instances of the study name another patient, or the same one with other attributes.
    """
    state, measured = report["state"], report["measurements"]
    provisional = _is_provisional(report)
    since_birth = {each["region"]: each for each in report.get("at_chronological_age", ())}
    return ReportView(
        analysis_id=report["id"],
        state=state,
        title=_ending(report)[0],
        is_under_way=state in UNDER_WAY,
        is_measured=bool(measured),
        is_provisional=provisional,
        banners=tuple(_banners(report, patient_in_doubt=patient_in_doubt)),
        patient=tuple(_patient(report)),
        overview=tuple(overview(report)),
        together=together(report),
        regions=tuple(region_line(each, since_birth.get(each["region"])) for each in measured),
        is_corrected=bool(since_birth),
        z_strip=_strip(measured, provisional=provisional),
        loss=_loss(measured),
        chance=_chance(len(measured)),
        error=_error(measured),
        pairs=tuple(pair_line(each) for each in report["asymmetry"]),
        earlier=tuple(earlier_views(report)),
        reasons=tuple(_said(report["reasons"])),
        remarks=tuple(_said(report["remarks"])),
        checks=tuple(_check(each) for each in report["quality"]),
        provenance=tuple(provenance(report)),
        objects=tuple(
            (_OBJECTS.get(each["kind"], each["kind"]), each["href"]) for each in report["objects"]
        ),
        deliveries=report["deliveries"],
        reviews=report.get("reviews", ()),
        decisions=report["series"],
    )


def _ending(report: Json) -> tuple[str, str]:
    """Return how it ended, and what that means; of a superseded one how it had ended."""
    state, fitness = report["state"], report["fitness"]
    if fitness is not None:
        return _FITNESS[fitness]
    return _ENDINGS.get(state, _ENDINGS[AnalysisState.REJECTED])


def _banners(report: Json, *, patient_in_doubt: bool) -> Iterator[Banner]:
    outside = [
        each
        for each in (*report["reasons"], *report["remarks"])
        if each["code"] == Code.OUTSIDE_INTENDED_USE
    ]
    for reason in outside[:1]:
        yield Banner("stop", "Outside the intended use", reason["sentence"], reason["code"])
    if patient_in_doubt:
        yield Banner("stop", *_IN_DOUBT, Code.PATIENT_CORRECTION)
    if report["state"] == AnalysisState.SUPERSEDED:
        yield Banner(
            "stop", "Superseded", "A newer analysis took the place of this one.", Code.SUPERSEDED
        )
    title, text = _ending(report)
    yield Banner(_kind(report), title, f"{text} {_progress(report)}".rstrip())
    if report["fitness"] is not None:
        yield _reviewed(report.get("review"))
    if _is_provisional(report):
        yield Banner("note", "Provisional z-scores", sentences.PROVISIONAL)


def _progress(report: Json) -> str:
    match report["state"]:
        case AnalysisState.QUEUED:
            return f"Asked for {rounding.moment(report['queued_at'])}."
        case AnalysisState.RUNNING:
            since = rounding.moment(report["started_at"])
            return f"A worker took it {since}, attempt {report['attempts']}."
        case _:
            return ""


def _kind(report: Json) -> str:
    if report["fitness"] in {"full", "limited"} or report["state"] in UNDER_WAY:
        return "note"
    return "stop"


def _reviewed(review: Json | None) -> Banner:
    verdict = Verdict.UNREVIEWED if review is None else review["verdict"]
    if review is None or verdict == Verdict.UNREVIEWED:
        return Banner("warn", "PRELIMINARY · UNREVIEWED", sentences.UNREVIEWED)
    comment = f" “{review['comment']}”" if review["comment"] else ""
    normal = _NORMAL[review.get("normal")]
    who = f"{review['person']}, {rounding.moment(review['at'])}.{normal}{comment}"
    if verdict == Verdict.ACCEPTED:
        return Banner("note", "Accepted by a reader", who)
    return Banner("stop", "REJECTED by a reader", f"{who} Do not use the numbers.")


def _patient(report: Json) -> Iterator[tuple[str, str]]:
    patient = report["patient"]
    issuer = f" ({patient['issuer']})" if patient["issuer"] else ""
    yield "Patient ID", (patient["id"] or "unknown") + issuer
    ended = report["measurements"] or report["rendered_at"]
    if ended:
        source = (
            f", from {in_words(patient['age_source']).lower()}" if patient["age_source"] else ""
        )
        yield "Age at the scan", rounding.age(patient["age_days"]) + source
        corrected = report["summary"]["corrected_age_days"]
        if corrected is not None:
            born = f", born at {patient['gestational_age_weeks']} weeks"
            yield "Corrected age, compared", rounding.age(corrected) + born
        yield "Sex", _SEXES.get(patient["sex"] or "", "unknown")
        yield "Birth date", patient["birth_date"] or "unknown"
    yield "Accession number", report["accession_number"] or "none"


def _is_provisional(report: Json) -> bool:
    """Tell whether there are z-scores that judge nobody."""
    return any(each["flag"] == "uncalibrated" for each in report["measurements"])


def _strip(measured: Sequence[Json], *, provisional: bool) -> Markup:
    marks = [Mark(region_label(m), m["z"], m["z_low"], m["z_high"]) for m in measured]
    title = "z of each region with its 95 % interval, on an axis from -6 to 6"
    return strip.draw(marks, title=title, provisional=provisional)


def _loss(measured: Sequence[Json]) -> str | None:
    """Say what a comparison of volumes cannot see."""
    shares = [
        100 * (each["expected_ml"] - each["low_ml"]) / each["expected_ml"]
        for each in measured
        if each["expected_ml"] and each["low_ml"] is not None
    ]
    if not shares:
        return None
    return (
        f"A region leaves its 95 % range only where it is {min(shares):.0f} to {max(shares):.0f} % "
        "smaller than expected (it depends on the region): a smaller loss is not seen."
    )


def _chance(regions: int) -> str:
    """Say how often healthy children lie outside somewhere; independent regions are the most."""
    of_100 = round(100 * (1 - 0.95**regions))
    return (
        f"Of 100 healthy children up to {of_100} lie outside it in at least one of {regions} "
        "regions."
    )


def _error(measured: Sequence[Json]) -> str:
    """Say whether the intervals hold the package's own error."""
    known = [
        each["measurement_error_percent"]
        for each in measured
        if each.get("measurement_error_percent") is not None
    ]
    if not known:
        return "The package's own error was not measured and is not in the intervals."
    low, high = (rounding.percent(each) for each in (min(known), max(known)))
    span = low if low == high else f"{low} to {high}"
    return f"The intervals hold the package's own error of {span} % of each volume."


def _said(reasons: Sequence[Json]) -> Iterator[Said]:
    seen = set()
    for reason in reasons:
        said = Said(reason["sentence"], reason["code"])
        if said not in seen:
            seen.add(said)
            yield said


def _check(check: Json) -> CheckLine:
    return CheckLine(
        in_words(check["check"]), check["grade"], check["sentence"], tuple(check["reasons"])
    )
