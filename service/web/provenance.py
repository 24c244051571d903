"""How a result came about, in words: package, engine, reference, scan, times, identities."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.web import rounding

Json = Mapping[str, Any]


def provenance(report: Json) -> Iterator[tuple[str, str]]:
    """Give each fact of how the numbers came about, and its name."""
    yield from _package(report["package"])
    engine, reference, scan = report["engine"], report["reference"], report["scan"]
    if engine:
        versions = ", ".join(f"{name} {version}" for name, version in engine["versions"].items())
        yield (
            "Engine",
            f"{engine['provider']}, {engine['precision']}, on {engine['device']}, "
            f"{rounding.seconds(engine['seconds'])} ({versions})",
        )
    if reference:
        yield "Reference", f"{reference['id']}, {reference['version']}"
    if reference and reference["tier"]:
        yield "Tier, site status", f"{reference['tier']}, {reference['site_status']}"
    if reference and reference.get("calibration"):
        yield "Calibration of this site", reference["calibration"]
    if scan:
        yield "Scan", _scan(scan)
    if report["timings_s"]:
        steps = (f"{name} {rounding.seconds(s)}" for name, s in report["timings_s"].items())
        yield "Timings", ", ".join(steps)
    yield from _identity(report)


def _package(package: Json) -> Iterator[tuple[str, str]]:
    version = f" {package['version']}" if package["version"] else ""
    qualified = {True: "", False: ", not qualified", None: ""}[package.get("qualified")]
    yield "Package", f"{package['name']}{version}{qualified}, sha256 {package['sha256']}"
    if package["protocol"]:
        yield "Protocol", f"{package['protocol']} (reference: {package['protocol_match']})"
    if package["intended_age_days"]:
        low, high = package["intended_age_days"]
        yield "Meant for", f"{low} to {high} days of age"


def _scan(scan: Json) -> str:
    return (
        f"{scan['slices']} slices of {scan['rows']} x {scan['columns']}, pixels "
        f"{rounding.mm(scan['pixel_spacing_mm'])}, step {rounding.mm(scan['slice_step_mm'])}, "
        f"tilt {scan['tilt_deg']:.1f}°"
    )


def _identity(report: Json) -> Iterator[tuple[str, str]]:
    yield "Study", report["study_instance_uid"] or "none: the input is no DICOM series"
    if report["series_instance_uid"]:
        yield "Series", f"{report['series_instance_uid']}, revision {report['series_revision']}"
    if report["digest"]:
        yield "Digest of the inputs", report["digest"]
    if report["rendered_at"]:
        yield "Rendered", rounding.moment(report["rendered_at"])
    if report.get("queued_at"):
        yield (
            "Asked for",
            f"by {report['requested_by']}, {rounding.moment(report['queued_at'])}; attempts: "
            f"{report['attempts']}",
        )
