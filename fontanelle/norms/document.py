"""The reference as a file: what `fontanelle.reference/1` may hold, and nothing else.

Only the border between text and values; `reference.py` turns a document into a `Reference`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fontanelle.norms.comparison import Sex, Tier

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Matrix = tuple[tuple[float, ...], ...]


class Status(StrEnum):
    """How a number came to be known."""

    PUBLISHED = "published"
    DERIVED = "derived"
    LOCAL = "local"
    UNKNOWN = "unknown"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FactDocument(_Part):
    """Anything stated about population or protocol, with its provenance."""

    value: float | str | tuple[float, ...] | None
    unit: str
    status: Status
    source: str
    definition: str | None = None


class NumberDocument(_Part):
    """One number with its provenance: `{value, unit, status, source, range?, se?}`."""

    value: float
    unit: str
    status: Literal[Status.PUBLISHED, Status.DERIVED, Status.LOCAL]
    source: str
    range: tuple[float, float] | None = None
    se: Annotated[float, Field(ge=0)] | None = None
    definition: str | None = None


class UnknownDocument(_Part):
    """A number that exists somewhere, and that nobody could read yet."""

    value: None
    unit: str
    status: Literal[Status.UNKNOWN]
    source: str


class CitationDocument(_Part):
    """Where to read more."""

    text: str
    doi: str
    pmcid: str
    licence: str


class PopulationDocument(_Part):
    """Whom the reference was made of; what a comparison needs by name, the rest as facts."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, FactDocument] = Field(init=False)

    n: NumberDocument
    male_share: NumberDocument
    age_mean: NumberDocument
    age_sd: NumberDocument


class ProtocolDocument(_Part):
    """How the reference's scans were made and labelled."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, FactDocument | str] = Field(init=False)

    label_protocol: Slug
    package_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


class ValidityDocument(_Part):
    """For whom, and for which scans, the reference speaks."""

    age_days_min: int
    age_days_max: int
    inclusive: Literal[True]
    edge_note_days: Annotated[int, Field(ge=0)]
    days_per_year: Annotated[float, Field(ge=365, le=366)]
    sexes: tuple[Sex, ...]
    modality: str
    contrast: bool
    slice_thickness_max_mm: Annotated[float, Field(gt=0)]
    slice_thickness_status: str | None = None
    extrapolate: Literal[False]


class ModelDocument(_Part):
    """Regression on age and sex; other kinds are refused until something computes them."""

    kind: Literal["linear"]
    equation: str
    relative_sex_effect: NumberDocument | None = None
    relative_age_slope: NumberDocument | None = None
    coefficient_se_rule: str | None = None
    residual_distribution: str | None = None


class RegionDocument(_Part):
    """One region's numbers, and those that the paper has but nobody could read yet."""

    name: Slug
    label: Annotated[int, Field(ge=1)]
    laterality: Literal["left", "right", "none"]
    mean: NumberDocument
    sd: NumberDocument
    sex_effect: NumberDocument
    age_slope: NumberDocument
    residual_sd: NumberDocument
    share_of_total: NumberDocument
    male_mean: NumberDocument | UnknownDocument | None = None
    female_mean: NumberDocument | UnknownDocument | None = None
    published_sex_coefficient: NumberDocument | UnknownDocument | None = None
    published_age_coefficient: NumberDocument | UnknownDocument | None = None


class TotalDocument(_Part):
    """The sum of the regions."""

    name: Literal["total"]
    mean: NumberDocument
    sex_effect: NumberDocument
    age_slope: NumberDocument
    residual_sd: NumberDocument


class CorrelationsDocument(_Part):
    """Correlations of the regions' residuals; `weak` and `strong` bracket the central ones."""

    order: tuple[Slug, ...]
    of: str
    status: Status
    source: str
    central: Matrix
    weak: Matrix | None = None
    strong: Matrix | None = None


class AsymmetryDocument(_Part):
    """The population's asymmetry index of one pair of regions."""

    pair: Slug
    mean: NumberDocument
    sd: NumberDocument
    reversed_by_table_5_note: bool | None = None


class CalibrationDocument(_Part):
    """What is assumed of a site before its normal heads are measured."""

    prior_sd: NumberDocument
    n_min_offset: Annotated[int, Field(ge=1)]
    n_min_regression: Annotated[int, Field(ge=1)]


class TiersDocument(_Part):
    """Which tiers the numbers allow."""

    available: Annotated[tuple[Tier, ...], Field(min_length=1)]
    order: tuple[Tier, ...]
    note: str | None = None


class ContradictionDocument(_Part):
    """Where the source contradicts itself, and which side is used."""

    about: str
    a: str
    b: str
    used: Literal["a", "b", "neither"]


class DigestDocument(_Part):
    """The seal: SHA-256 of the canonical JSON without this member."""

    algorithm: Literal["sha256"]
    over: str
    value: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ReferenceDocument(_Part):
    """A whole reference file."""

    schema_name: Annotated[Literal["fontanelle.reference/1"], Field(alias="schema")]
    id: Slug
    revision: Annotated[int, Field(ge=1)]
    title: str
    citation: CitationDocument
    status_values: tuple[Status, ...]
    population: PopulationDocument
    protocol: ProtocolDocument
    validity: ValidityDocument
    model: ModelDocument
    regions: Annotated[tuple[RegionDocument, ...], Field(min_length=1)]
    total: TotalDocument
    asymmetry: tuple[AsymmetryDocument, ...]
    correlations: CorrelationsDocument
    calibration: CalibrationDocument
    tiers: TiersDocument
    contradictions: tuple[ContradictionDocument, ...] = ()
    unknown: tuple[str, ...] = ()
    digest: DigestDocument
