"""The way of one scan, on one screen: read, find the head, segment, measure, check, compare."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fontanelle.clock import Clock
from fontanelle.errors import Code, Reason, Refused, Unavailable
from fontanelle.imaging.admission import Admission, admit_age
from fontanelle.imaging.compartments import assemble
from fontanelle.imaging.files import opened
from fontanelle.imaging.geometry import Geometry, Image, LabelArray
from fontanelle.imaging.head import find_head
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.prepare import prepare
from fontanelle.imaging.quality import QualityCheck, assess
from fontanelle.imaging.resample import restored
from fontanelle.imaging.selection import Decision
from fontanelle.imaging.volumes import Volumes, measure
from fontanelle.norms.compare import compare
from fontanelle.norms.comparison import Child, Comparison, Conditions, Flag, Sex, SiteStatus
from fontanelle.norms.reference import Reference
from fontanelle.reports.analysis_object import to_json
from fontanelle.reports.result import EngineUsed, Fitness, Identity, PackageUsed, Result, State
from models.package import Package
from worker.inference.engine import Engine
from worker.reading import NoScan, Question, Scan, no_scan, read_scan
from worker.rendering import Rendered, render, with_report


@dataclass(frozen=True, slots=True)
class Tools:
    """What an analysis needs, loaded once and warm."""

    package: Package
    reference: Reference
    engine: Engine


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


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        started = self.clock.monotonic_s()
        yield
        self.seconds[name] = round(self.clock.monotonic_s() - started, 3)


def analyse_path(
    path: Path, tools: Tools, *, age_days: int | None, sex: str | None, clock: Clock
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

    Raises
    ------
    Refused
        If there is no series at the path, or its pixels cannot be read.
    """
    watch = Stopwatch(clock)
    valid = tools.reference.validity
    question = Question((valid.age_days_min, valid.age_days_max), age_days, sex)
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
        measured = measure_image(scan.image, tools, watch)
    except Refused as refusal:
        reasons = (refusal.reason,)
        return _rejected(NoScan(scan.patient, scan.identity, reasons, scan.decisions), tools, watch)
    result = _result(scan, measured, tools, watch)
    with watch.stage("render"):
        rendered = render(result, scan, measured.labels)
    result = replace(result, timings_s=dict(watch.seconds))
    return Outcome(result, with_report(result, rendered, scan.decisions), scan.decisions)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Labels on the source planes, volumes, and what the checks say of them."""

    labels: LabelArray
    volumes: Volumes
    quality: tuple[QualityCheck, ...]


def measure_image(image: Image, tools: Tools, watch: Stopwatch) -> Measured:
    """Take the steps from voxels to millilitres, in their order.

    Raises
    ------
    Refused
        If there is no brain, the field ends inside it, or the head does not fit the package.
    """
    package = tools.package
    with watch.stage("find_head"):
        head = find_head(image)
    with watch.stage("prepare"):
        prepared = prepare(image, head, package.preprocessing)
    with watch.stage("segment"):
        classes = tools.engine.segment(prepared.array)
    with watch.stage("restore"):
        codes = assemble(classes, package.region_set, package.outer_csf)
        labels = restored(codes, prepared.geometry, image.grid)
    with watch.stage("measure"):
        volumes = measure(labels, package.region_set)
        quality = assess(
            labels,
            LabelArray(codes, prepared.geometry),
            head,
            volumes,
            region_set=package.region_set,
            placement=package.placement,
        )
    return Measured(labels, volumes, quality)


def _result(scan: Scan, measured: Measured, tools: Tools, watch: Stopwatch) -> Result:
    """Put together what was found; outside the intended ages comes first on every page."""
    package = tools.package
    failed = tuple(check.reason for check in measured.quality if check.reason is not None)
    admission = admit_age(scan.patient, package.intended_age_days) | scan.admission
    comparison = None if failed else _compare(measured.volumes, scan, admission, tools)
    compared = comparison.reasons if comparison else ()
    return Result(
        digest=_digest(scan.sha256, scan.identity, scan.patient, tools),
        rendered_at=watch.clock.now(),
        state=State.SUCCEEDED,
        fitness=_fitness(admission, comparison),
        patient=scan.patient,
        identity=scan.identity,
        scan=scan.facts,
        region_set=package.region_set,
        package=_package_used(package),
        engine=_engine_used(tools.engine, watch),
        volumes=None if failed else measured.volumes,
        comparison=comparison,
        quality=measured.quality,
        reasons=_once(failed + admission.reasons + compared + _known_limits(package)),
        remarks=admission.remarks + _on_uneven(measured.labels),
        timings_s=dict(watch.seconds),
    )


def _compare(volumes: Volumes, scan: Scan, admission: Admission, tools: Tools) -> Comparison:
    patient = scan.patient
    child = Child(
        age_days=patient.age_days,
        sex=Sex(patient.sex) if patient.sex in set(Sex) else None,
        reasons=patient.reasons,
    )
    conditions = Conditions(
        protocol=tools.package.protocol,
        protocol_match=tools.package.protocol_match,
        site_status=SiteStatus.NONE,
        obstacles=admission.obstacles,
        package_sha256=tools.package.sha256,
        slice_thickness_mm=scan.stack.thickest_mm,
        # A NIfTI file says neither.
        modality="CT" if scan.instances else None,
        contrast=_has(admission, Code.CONTRAST) if scan.instances else None,
    )
    return compare(volumes.by_region_ml, child, tools.reference, conditions)


def _has(admission: Admission, code: Code) -> bool:
    return any(reason.code is code for reason in admission.reasons)


def _fitness(admission: Admission, comparison: Comparison | None) -> Fitness:
    if comparison is None:
        return Fitness.WITHHELD
    missing = any(region.flag is Flag.NOT_COMPARED for region in comparison.regions)
    return Fitness.LIMITED if missing or admission.reasons else Fitness.FULL


def _known_limits(package: Package) -> tuple[Reason, ...]:
    return tuple(Reason(Code.PACKAGE_LIMITS, sentence) for sentence in package.known_limits)


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


def _digest(image: str, identity: Identity, patient: Patient, tools: Tools) -> str:
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
        tools.package.sha256,
        engine.provider,
        engine.precision,
        tools.reference.version,
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
    )


def _engine_used(engine: Engine, watch: Stopwatch) -> EngineUsed:
    description = engine.description
    return EngineUsed(
        provider=description.provider,
        precision=description.precision,
        device=description.device,
        versions=description.versions,
        seconds=watch.seconds["segment"],
    )
