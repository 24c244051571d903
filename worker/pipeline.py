"""The way of one scan, on one screen: read, find the head, segment, measure, check, compare."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fontanelle.clock import Clock
from fontanelle.errors import Code, Reason, Refused, Unavailable
from fontanelle.imaging.admission import Admission, admit_age
from fontanelle.imaging.files import opened
from fontanelle.imaging.geometry import Geometry, LabelArray
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.quality import Grade
from fontanelle.imaging.selection import Decision
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Comparison, Conditions, Flag, Sex
from fontanelle.norms.head_size import HeadSize
from fontanelle.norms.tiers import available_tiers
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.earlier import compared_with_history
from fontanelle.reports.result import EngineUsed, Fitness, Identity, PackageUsed, Result, State
from models.package import Package
from worker.head_size import beside_children, size_of
from worker.inference.engine import Segmenter
from worker.measuring import Measured, Stopwatch, Tools, measure_image
from worker.reading import NoScan, Question, Scan, no_scan, read_scan
from worker.rendering import Rendered, render, with_report
from worker.terms import USUAL_TERMS, Terms

__all__ = [
    "Outcome",
    "Stopwatch",
    "Tools",
    "analyse_path",
    "analyse_scan",
    "analyse_series",
    "measure_image",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one analysis gives back.

    Attributes
    ----------
    result
        Also where it is rejected: a reason is a result.
    rendered
        Name to file of what may leave the house; empty where it is rejected.
    decisions
        One per series of the study.
    """

    result: Result
    rendered: Mapping[str, Rendered]
    decisions: tuple[Decision, ...]

    @property
    def files(self) -> dict[str, bytes]:
        """Name to content."""
        return {name: file.content for name, file in self.rendered.items()}

    @property
    def report_json(self) -> str:
        """The analysis object as text, also where no file leaves."""
        stored = self.rendered.get("report.json")
        return stored.content.decode() if stored else to_json(self.result, (), self.decisions)


def analyse_path(
    path: Path,
    tools: Tools,
    *,
    age_days: int | None,
    sex: str | None,
    clock: Clock,
    terms: Terms = USUAL_TERMS,
) -> Outcome:
    """Analyse what lies at a path.

    Parameters
    ----------
    path
        Folder, archive or NIfTI file.
    tools
        Package, reference and engine.
    age_days, sex
        Said by the caller, where the header does not.
    clock
        For `rendered_at` and the stages' seconds.
    terms
        On which the child is compared.

    Raises
    ------
    Refused
        If there is no series at the path, or its pixels cannot be read.
    """
    watch = Stopwatch(clock)
    valid = tools.reference.validity
    valid_age_days = (valid.age_days_min, valid.age_days_max)
    question = Question(valid_age_days, age_days, sex, terms=terms)
    with opened(path) as files, watch.stage("read"):
        scan = read_scan(files, question)
    if isinstance(scan, NoScan):
        return _rejected(scan, tools, watch)
    return analyse_scan(scan, tools, watch)


def analyse_series(files: list[Path], tools: Tools, question: Question, clock: Clock) -> Outcome:
    """Analyse the instances of one selected series; what is no scan is rejected, not raised.

    Raises
    ------
    Unavailable
        FILE_MISSING where the system does not give a file.
    """
    watch = Stopwatch(clock)
    try:
        with watch.stage("read"):
            scan = read_scan(files, question)
    except Refused as refusal:
        if refusal.reason.code is Code.INPUT_UNREADABLE:
            # The disk's fault, not the series'.
            raise Unavailable(Code.FILE_MISSING, refusal.reason.sentence) from refusal
        scan = no_scan(refusal.reason, question)
    return (
        _rejected(scan, tools, watch)
        if isinstance(scan, NoScan)
        else analyse_scan(scan, tools, watch)
    )


def analyse_scan(scan: Scan, tools: Tools, watch: Stopwatch) -> Outcome:
    """Analyse one scan: measure, judge, compare, render."""
    try:
        measured = measure_image(scan.image, tools, watch, scan.patient)
    except Refused as refusal:
        reasons = (refusal.reason,)
        return _rejected(NoScan(scan.patient, scan.identity, reasons, scan.decisions), tools, watch)
    result = _result(scan, measured, tools, watch)
    error_percent = tools.package.measurement_error_percent
    earlier = compared_with_history(result, scan.history, error_percent)
    result = replace(result, earlier=earlier)
    with watch.stage("render"):
        rendered = render(result, scan, measured.labels)
    result = replace(result, timings_s=dict(watch.seconds))
    return Outcome(result, with_report(result, rendered, scan.decisions), scan.decisions)


def _result(scan: Scan, measured: Measured, tools: Tools, watch: Stopwatch) -> Result:
    """Put together what was found; outside the intended ages comes first on every page."""
    package = tools.package
    failed = _graded(measured, Grade.FAIL)
    limiting = _graded(measured, Grade.LIMIT)
    admission = admit_age(scan.patient, package.intended_age_days) | scan.admission
    comparison = None if failed else _compare(measured, scan, admission, tools)
    head = None if comparison is None else _head_size(scan, measured, comparison, watch)
    compared = comparison.reasons if comparison else ()
    return Result(
        digest=_digest(scan.sha256, scan.identity, scan.patient, tools, _further(scan)),
        rendered_at=watch.clock.now(),
        state=State.SUCCEEDED,
        fitness=_fitness(admission, comparison, limiting),
        patient=scan.patient,
        identity=scan.identity,
        scan=scan.facts,
        region_set=package.region_set,
        package=_package_used(package),
        engine=_engine_used(tools.engine, watch),
        volumes=None if failed else measured.volumes,
        comparison=comparison,
        head=head,
        calibration_version=None if comparison is None else scan.terms.calibration_version,
        quality=measured.quality,
        reasons=_once(failed + admission.reasons + limiting + compared + _known_limits(package)),
        remarks=admission.remarks + _on_uneven(measured.labels),
        timings_s=dict(watch.seconds),
    )


def _graded(measured: Measured, grade: Grade) -> tuple[Reason, ...]:
    return tuple(
        check.reason for check in measured.quality if check.grade is grade and check.reason
    )


def _further(scan: Scan) -> tuple[str, ...]:
    """Return the inputs of an analysis that lie outside its scan: history and the site's terms."""
    history = scan.history
    visits = (visit.digest for visit in history.visits)
    return (*scan.terms.inputs, str(history.is_patient_in_doubt), *visits)


def _head_size(
    scan: Scan, measured: Measured, comparison: Comparison, watch: Stopwatch
) -> HeadSize:
    with watch.stage("head_size"):
        size = size_of(scan.image, measured.labels, measured.volumes, measured.pose, scan.patient)
        return beside_children(size, scan.patient, comparison, scan.terms.head_chart)


def _compare(measured: Measured, scan: Scan, admission: Admission, tools: Tools) -> Comparison:
    patient = scan.patient
    child = Child(
        age_days=patient.age_days,
        sex=Sex(patient.sex) if patient.sex in set(Sex) else None,
        reasons=patient.reasons,
        gestational_age_weeks=patient.gestational_age_weeks,
    )
    conditions = Conditions(
        protocol=tools.package.protocol,
        protocol_match=tools.package.protocol_match,
        site_status=scan.terms.site_status,
        offsets=scan.terms.offsets,
        # A volume that a check doubts is compared with nobody.
        obstacles=admission.obstacles + _graded(measured, Grade.LIMIT),
        package_sha256=tools.package.sha256,
        slice_thickness_mm=scan.stack.thickest_mm,
        # A NIfTI file says neither.
        modality="CT" if scan.instances else None,
        contrast=_has(admission, Code.CONTRAST) if scan.instances else None,
        measurement_error_percent=tools.package.measurement_error_percent,
        correction=scan.terms.correction,
        qualified=tools.package.qualified,
    )
    if scan.terms.tier in available_tiers(tools.reference, conditions):
        conditions = replace(conditions, tier=scan.terms.tier)
    return compare(measured.volumes.by_region_ml, child, tools.reference, conditions)


def _has(admission: Admission, code: Code) -> bool:
    return any(reason.code is code for reason in admission.reasons)


def _fitness(
    admission: Admission, comparison: Comparison | None, limiting: tuple[Reason, ...]
) -> Fitness:
    if comparison is None:
        return Fitness.WITHHELD
    missing = any(region.flag is Flag.NOT_COMPARED for region in comparison.regions)
    return Fitness.LIMITED if missing or admission.reasons or limiting else Fitness.FULL


def _known_limits(package: Package) -> tuple[Reason, ...]:
    limits = tuple(Reason(Code.PACKAGE_LIMITS, sentence) for sentence in package.known_limits)
    if package.qualified:
        return limits
    return (Reason(Code.PACKAGE_UNQUALIFIED, Code.PACKAGE_UNQUALIFIED.meaning), *limits)


def _on_uneven(labels: LabelArray) -> tuple[Reason, ...]:
    if isinstance(labels.grid, Geometry):
        return ()
    return (Reason(Code.RESAMPLED_LABELS, Code.RESAMPLED_LABELS.meaning),)


def _once(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Drop repetitions; the first stays, so the worst leads."""
    return tuple(dict.fromkeys(reasons))


def _rejected(scan: NoScan, tools: Tools, watch: Stopwatch) -> Outcome:
    """End an analysis that measures nothing."""
    result = Result(
        digest=_digest("", scan.identity, scan.patient, tools),
        rendered_at=watch.clock.now(),
        state=State.REJECTED,
        fitness=None,
        patient=scan.patient,
        identity=scan.identity,
        scan=None,
        region_set=tools.package.region_set,
        package=_package_used(tools.package),
        engine=None,
        volumes=None,
        comparison=None,
        quality=(),
        reasons=scan.reasons,
        timings_s=dict(watch.seconds),
    )
    return Outcome(result, {}, scan.decisions)


def _digest(
    image: str,
    identity: Identity,
    patient: Patient,
    tools: Tools,
    further: tuple[str, ...] = (),
) -> str:
    """Return the digest of all inputs: one character more or less is another analysis."""
    engine = tools.engine.description
    inputs = (
        image,
        identity.series_instance_uid or "",
        str(identity.series_revision),
        patient.patient_id,
        patient.issuer or "",
        str(patient.age_days),
        str(patient.age_source),
        str(patient.sex),
        str(patient.gestational_age_weeks),
        str(patient.head_circumference_cm),
        tools.package.sha256,
        engine.provider,
        engine.precision,
        tools.reference.version,
        *further,
    )
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()


def _package_used(package: Package) -> PackageUsed:
    return PackageUsed(
        name=package.name,
        version=package.version,
        sha256=package.sha256,
        protocol=package.protocol,
        protocol_match=package.protocol_match,
        intended_age_days=package.intended_age_days,
        qualified=package.qualified,
    )


def _engine_used(engine: Segmenter, watch: Stopwatch) -> EngineUsed:
    description = engine.description
    return EngineUsed(
        provider=description.provider,
        precision=description.precision,
        device=description.device,
        versions=description.versions,
        # None of it where the head's pose could not be told.
        seconds=watch.seconds.get("segment", 0.0),
    )
