"""The analysis object as the OpenAPI description shows it; it is stored and answered as JSON."""

from datetime import datetime
from typing import Any, Self

from pydantic import ConfigDict

from fontanelle.lifecycle import AnalysisState, Verdict
from service.api.models import Answer, Fitness, ReasonOut


class _Part(Answer):
    """A part of the object. A report of another version may hold more, or less.

    What it holds more is not dropped. What a version before this one did not say has a default.
    """

    model_config = ConfigDict(frozen=True, extra="allow")


class PatientOut(_Part):
    """Whose scan it is."""

    id: str | None
    issuer: str | None
    sex: str | None
    birth_date: str | None
    age_days: int | None
    age_source: str | None
    gestational_age_weeks: int | None = None


class PackageOut(_Part):
    """What measured."""

    name: str
    version: str | None
    sha256: str
    protocol: str | None
    protocol_match: str | None
    intended_age_days: tuple[int, int] | None
    qualified: bool | None = None


class EngineOut(_Part):
    """The engine that really ran."""

    provider: str
    precision: str
    device: str
    seconds: float
    versions: dict[str, str]


class ReferenceUsedOut(_Part):
    """What it was compared with."""

    id: str
    version: str
    tier: str | None
    site_status: str | None
    calibration: str | None = None


class ScanOut(_Part):
    """Geometry of the scan."""

    slices: int
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    slice_step_mm: tuple[float, float]
    tilt_deg: float


class PooledOut(_Part):
    """Against the pooled mean and SD; for information."""

    z: float | None
    centile: float | None


class ComparedOut(_Part):
    """A region, or `total`, the sum of all, beside its reference."""

    region: str
    volume_ml: float
    expected_ml: float | None
    sd_ml: float | None = None
    low_ml: float | None
    high_ml: float | None
    z: float | None
    z_low: float | None
    z_high: float | None
    centile: float | None
    centile_low: float | None = None
    centile_high: float | None = None
    share_percent: float | None
    measurement_error_percent: float | None = None
    pooled: PooledOut
    flag: str
    reasons: list[str]


class MeasurementOut(ComparedOut):
    """A measured region."""

    parenchyma_ml: float
    csf_ml: float


class AsymmetryOut(_Part):
    """A pair of regions: 200 (L - R) / (L + R)."""

    pair: str
    index: float | None
    population_mean: float | None = None
    population_sd: float | None = None
    z: float | None
    flag: str
    reasons: list[str]


class SummaryOut(_Part):
    """Sums and counts."""

    total_ml: float | None
    intracranial_ml: float | None
    ventricles_ml: float | None
    head_circumference_cm: float | None
    corrected_age_days: int | None
    regions_below_5th_centile: int | None
    share_of_children_with_as_many: float | None
    regions_compared: int | None = None
    flag_limit: float | None = None
    is_small_head: bool | None = None


class ChronologicalOut(_Part):
    """A region at the age since birth, where a corrected age decided."""

    region: str
    expected_ml: float | None
    z: float | None
    centile: float | None


class CircumferenceOut(_Part):
    """A head circumference beside a chart."""

    cm: float | None
    source: str | None
    error_cm: float | None
    chart: str
    expected_cm: float | None
    low_cm: float | None
    high_cm: float | None
    z: float | None
    z_low: float | None
    z_high: float | None
    centile: float | None
    reasons: list[str]


class IntracranialOut(_Part):
    """Intracranial volume beside a mean; never scored."""

    ml: float | None
    mean_ml: float | None
    percent_of_mean: float | None
    reasons: list[str]


class CephalicIndexOut(_Part):
    """Width in percent of length, beside a mean; never scored."""

    percent: float | None
    mean_percent: float | None
    percent_of_mean: float | None
    reasons: list[str]


class HeadSizeOut(_Part):
    """How large the head is, and of which form."""

    circumference: CircumferenceOut
    intracranial: IntracranialOut
    cephalic_index: CephalicIndexOut


class ChangeOut(_Part):
    """How a region differs from an earlier scan."""

    region: str
    earlier_ml: float
    change_ml: float
    change_percent: float | None
    error_ml: float | None
    limit_ml: float | None
    growth_ml: float | None
    flag: str
    reasons: list[str]


class EarlierOut(_Part):
    """An earlier scan of the same child; without changes where the two cannot be compared."""

    analysis_id: int | None
    study_date: str | None
    age_days: int | None
    days: int | None
    changes: list[ChangeOut]
    reasons: list[ReasonOut]


class QualityOut(_Part):
    """A check of the segmentation."""

    check: str
    grade: str
    value: float | None
    sentence: str
    uncertainty_ml: dict[str, float]
    reasons: list[str]


class DecisionOut(_Part):
    """A series of the study, and why it was or was not measured."""

    series_instance_uid: str
    selected: bool
    reasons: list[ReasonOut]


class ObjectOut(_Part):
    """A file rendered from the result."""

    kind: str
    sop_instance_uid: str | None
    href: str
    sha256: str
    size_bytes: int


class DeliveryOfResult(_Part):
    """An object of the result on its way to a destination."""

    id: int
    object: str
    destination: str
    state: str
    reason: ReasonOut | None
    attempts: int
    status: str | None
    due_at: datetime
    acknowledged_at: datetime | None


class ReviewOfResult(_Part):
    """The latest word on the result."""

    verdict: Verdict
    person: str | None
    comment: str | None
    normal: bool | None = None
    at: datetime | None


class UnknownOut(_Part):
    """Why a value is null."""

    path: str
    sentence: str


class AnalysisOut(_Part):
    """The analysis object."""

    id: int
    state: AnalysisState
    fitness: Fitness | None
    notice: str
    requested_by: str
    attempts: int
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    patient: PatientOut
    study_instance_uid: str | None
    series_instance_uid: str | None
    series_revision: int
    accession_number: str | None
    package: PackageOut
    engine: EngineOut | None
    reference: ReferenceUsedOut | None
    scan: ScanOut | None
    measurements: list[MeasurementOut]
    total: ComparedOut | None = None
    asymmetry: list[AsymmetryOut]
    at_chronological_age: list[ChronologicalOut] = []
    summary: SummaryOut
    head_size: HeadSizeOut | None = None
    earlier: list[EarlierOut] = []
    quality: list[QualityOut]
    reasons: list[ReasonOut]
    remarks: list[ReasonOut]
    series: list[DecisionOut]
    objects: list[ObjectOut]
    deliveries: list[DeliveryOfResult]
    review: ReviewOfResult
    reviews: list[ReviewOfResult]
    timings_s: dict[str, float]
    digest: str | None
    rendered_at: datetime | None
    unknown: list[UnknownOut]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        return cls.model_validate(found)
