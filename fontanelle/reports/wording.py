"""The sentences of a report: what it is, what it rests on, and what it cannot say."""

from fontanelle.errors import Reason
from fontanelle.imaging.quality import QualityCheck
from fontanelle.norms.comparison import Comparison, Flag
from fontanelle.reports import sentences
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.result import Fitness, Result, ScanFacts

RANGE = sentences.RANGE


def statements(result: Result) -> list[str]:
    """Return all that is said in words, the notice first, then what limits, then provenance."""
    return [
        NOTICE,
        sentences.CAUTION,
        sentences.UNREVIEWED,
        *_limits(result),
        *(sentence(reason) for reason in (*result.reasons, *result.remarks)),
        *_findings(result),
        *_provenance(result),
        *(_check(check) for check in result.quality),
        _rendering(result),
    ]


def sentence(reason: Reason) -> str:
    """Return a reason for people, its code behind it."""
    return f"{reason.sentence} [{reason.code}]"


def population(result: Result) -> str:
    """Return whom the reference speaks of."""
    sex = {"M": "boys", "F": "girls"}.get(result.patient.sex or "", "children")
    age, comparison = result.patient.age_days, result.comparison
    corrected = None if comparison is None else comparison.corrected_age_days
    if corrected is not None:
        return f"Expected for {sex} aged {corrected} days, corrected for preterm birth."
    return f"Expected for {sex}" + ("" if age is None else f" aged {age} days") + "."


def authority(comparison: Comparison) -> str:
    """Return the reference with its digest, tier and site status."""
    return (
        f"Reference {comparison.reference_id}, {comparison.reference_version}, "
        f"tier {comparison.tier}, site status {comparison.site_status}"
    )


def equation(comparison: Comparison) -> str:
    """Return how a z came about."""
    return (
        "z = (volume - expected volume) / residual SD for this age and sex. "
        f"{authority(comparison)}."
    )


def _limits(result: Result) -> list[str]:
    if result.fitness is Fitness.WITHHELD or result.volumes is None:
        return [sentences.WITHHELD]
    comparison = result.comparison
    if comparison is None or all(region.z is None for region in comparison.regions):
        return [sentences.COMPARTMENT]
    provisional = any(region.flag is Flag.UNCALIBRATED for region in comparison.regions)
    return (
        [sentences.PROVISIONAL, sentences.COMPARTMENT] if provisional else [sentences.COMPARTMENT]
    )


def _findings(result: Result) -> list[str]:
    """Say what no single number says: both ages, many low regions, earlier scans."""
    said, comparison = [], result.comparison
    if comparison is not None and comparison.corrected_age_days is not None:
        said.append(
            f"Age {result.patient.age_days} days since birth, "
            f"{comparison.corrected_age_days} days corrected for preterm birth: the corrected age "
            "is compared."
        )
    many = None if comparison is None else comparison.multiplicity
    if many is not None:
        said.append(sentences.low_regions(many.below_5th_centile, many.of, many.share_percent))
        if many.is_small_head:
            said.append(sentences.SMALL_HEAD)
    if result.earlier:
        said.append(
            f"Earlier scans of this child: {len(result.earlier)}; changes stand in report.json."
        )
    return said


def _provenance(result: Result) -> list[str]:
    package, engine, comparison = result.package, result.engine, result.comparison
    said = [
        f"Package: {package.name} {package.version}, sha256 {package.sha256}, protocol "
        f"{package.protocol} ({package.protocol_match}), meant for "
        f"{package.intended_age_days[0]} to {package.intended_age_days[1]} days of age, "
        f"{'qualified' if package.qualified else 'not qualified'}."
    ]
    if engine is not None:
        said.append(f"Engine: {engine.provider}, {engine.precision}, on {engine.device}.")
    if comparison is not None:
        said.append(f"{authority(comparison)}.")
        if result.calibration_version is not None:
            said.append(f"Calibration of this site: {result.calibration_version}.")
    if result.scan is not None:
        said.append(_geometry(result.scan))
    return said


def _geometry(scan: ScanFacts) -> str:
    low_mm, high_mm = scan.slice_step_mm
    step = f"{low_mm:.3f}" if high_mm - low_mm < 0.001 else f"{low_mm:.3f} to {high_mm:.3f}"
    return (
        f"Scan: {scan.slices} slices of {scan.rows} x {scan.columns}, pixels "
        f"{scan.pixel_spacing_mm[0]:.3f} x {scan.pixel_spacing_mm[1]:.3f} mm, "
        f"perpendicular step {step} mm, tilt {scan.tilt_deg:.1f} degrees."
    )


def _check(check: QualityCheck) -> str:
    return f"Check {check.check}: {check.grade}. {check.sentence}"


def _rendering(result: Result) -> str:
    return f"Rendered {result.rendered_at.isoformat(timespec='seconds')}."
