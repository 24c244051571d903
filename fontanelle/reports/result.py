"""The one result model: what an analysis found, before any rendering.

`report.json`, SEG, SR and pages are rendered from a `Result` and from nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fontanelle.errors import Reason
from fontanelle.imaging.patient import Patient
from fontanelle.imaging.regions import RegionSet
from fontanelle.norms.comparison import Comparison, ProtocolMatch


class State(StrEnum):
    """How an analysis ended."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"


class Fitness(StrEnum):
    """What a succeeded analysis may be used for."""

    FULL = "full"
    LIMITED = "limited"
    WITHHELD = "withheld"


class Grade(StrEnum):
    """Outcome of one quality check."""

    PASS = "pass"  # noqa: S105 (a grade, no password)
    REMARK = "remark"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One check: its name, grade, the number it rests on, and a sentence; `reason` if it failed."""

    check: str
    grade: Grade
    value: float | None
    sentence: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class PackageUsed:
    """The package that measured."""

    name: str
    version: str
    sha256: str
    protocol: str
    protocol_match: ProtocolMatch
    intended_age_days: tuple[int, int]


@dataclass(frozen=True, slots=True)
class EngineUsed:
    """The engine that really ran, as it said itself."""

    provider: str
    precision: str
    device: str
    versions: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class RegionVolumes:
    """Volumes of one region in mL: the compartment is parenchyma plus CSF."""

    region: str
    compartment_ml: float
    parenchyma_ml: float
    csf_ml: float


@dataclass(frozen=True, slots=True)
class Volumes:
    """All that was measured, in mL, on the source planes.

    `intracranial_ml` is all compartments and the ventricles: the space inside the inner table.
    """

    regions: tuple[RegionVolumes, ...]
    ventricles_ml: float
    intracranial_ml: float

    @property
    def total_ml(self) -> float:
        """Sum of the compartments."""
        return sum(region.compartment_ml for region in self.regions)

    @property
    def by_region_ml(self) -> dict[str, float]:
        """Compartment of each region."""
        return {region.region: region.compartment_ml for region in self.regions}


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
    volumes, comparison
        None where the result is rejected or withheld.
    reasons
        Every limitation, worst first.
    timings_s
        Seconds of each stage.
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
