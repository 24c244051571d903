"""The one result model: what an analysis found, before any rendering.

`report.json`, SEG, SR and pages are rendered from a `Result` and from nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fontanelle.errors import Reason
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.quality import QualityCheck
from fontanelle.imaging.regions import RegionSet
from fontanelle.imaging.volumes import Volumes
from fontanelle.norms.comparison import Comparison, ProtocolMatch
from fontanelle.norms.head_size import HeadSize
from fontanelle.norms.serial import SerialComparison


class State(StrEnum):
    """How an analysis ended."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"


class Fitness(StrEnum):
    """What a succeeded analysis may be used for."""

    FULL = "full"
    LIMITED = "limited"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class PackageUsed:
    """The package that measured; `qualified` once it has reached every accuracy asked of it."""

    name: str
    version: str
    sha256: str
    protocol: str
    protocol_match: ProtocolMatch
    intended_age_days: tuple[int, int]
    qualified: bool = False


@dataclass(frozen=True, slots=True)
class EngineUsed:
    """The engine that really ran, as it said itself."""

    provider: str
    precision: str
    device: str
    versions: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """Geometry of the measured scan, for the report's provenance.

    Attributes
    ----------
    slices, rows, columns
        Matrix.
    pixel_spacing_mm
        Distance of rows, of columns.
    slice_step_mm
        Smallest and largest perpendicular step.
    tilt_deg
        Angle between the direction of travel and the normal.
    """

    slices: int
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    slice_step_mm: tuple[float, float]
    tilt_deg: float


@dataclass(frozen=True, slots=True)
class Identity:
    """What ties a result to its study; all None for a NIfTI file."""

    study_instance_uid: str | None
    series_instance_uid: str | None
    series_revision: int
    accession_number: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What one analysis found.

    Attributes
    ----------
    digest
        SHA-256 over all inputs of the analysis; every UID of ours derives from it.
    rendered_at
        Aware, UTC; the only date-time in the objects.
    volumes, comparison, head
        None where the result is rejected or withheld.
    reasons
        Every limitation, worst first.
    remarks
        What is worth knowing of the scan and limits nothing.
    timings_s
        Seconds of each stage.
    earlier
        The same child's earlier scans, the latest first; empty where there is none.
    calibration_version
        Of the site's calibration that was used; None where there is none.
    """

    digest: str
    rendered_at: datetime
    state: State
    fitness: Fitness | None
    patient: Patient
    identity: Identity
    scan: ScanFacts | None
    region_set: RegionSet
    package: PackageUsed
    engine: EngineUsed | None
    volumes: Volumes | None
    comparison: Comparison | None
    quality: tuple[QualityCheck, ...]
    reasons: tuple[Reason, ...]
    timings_s: Mapping[str, float]
    remarks: tuple[Reason, ...] = ()
    head: HeadSize | None = None
    earlier: tuple[SerialComparison, ...] = ()
    calibration_version: str | None = None
