"""The reference as a file: what `fontanelle.reference/1` may hold, and nothing else.

Only the border between text and values; `reference.py` turns a document into a `Reference`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

from fontanelle.norms.comparison import Sex, Tier

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Matrix = tuple[tuple[float, ...], ...]
Laterality = Literal["left", "right", "none"]
SCHEMA = "fontanelle.reference/1"


class Status(StrEnum):
    """How a number came to be known."""

    PUBLISHED = "published"
    DERIVED = "derived"
    LOCAL = "local"
    UNKNOWN = "unknown"


class ModelKind(StrEnum):
    """What is known of each region, and so how a volume is compared with it."""

    LINEAR = "linear"
    MEAN_SD = "mean_sd"
    LMS = "lms"


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


def _knowledge(number: Any) -> str:  # noqa: ANN401 (what a file holds)
    status = number.get("status") if isinstance(number, dict) else getattr(number, "status", None)
    return UNKNOWN if status == Status.UNKNOWN else KNOWN


KNOWN, UNKNOWN = "(known)", "(unknown)"
MaybeNumber = (
    Annotated[
        Annotated[NumberDocument, Tag(KNOWN)] | Annotated[UnknownDocument, Tag(UNKNOWN)],
        Discriminator(_knowledge),
    ]
    | None
)
"""A number that may be stated to be unknown, or not stated at all."""


class PopulationDocument(_Part):
    """Whom the reference was made of; what a comparison needs by name, the rest as facts."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[Key, FactDocument] = Field(init=False)

    n: NumberDocument
    male_share: MaybeNumber = None
    age_mean: MaybeNumber = None
    age_sd: MaybeNumber = None
    age_sex_correlation: MaybeNumber = None


class ProtocolDocument(_Part):
    """How the reference's scans were made and labelled."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[Key, FactDocument | str] = Field(init=False)

    label_protocol: Slug
    package_digest: Sha256 | None


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


class LinearModelDocument(_Part):
    """Regression on age and sex."""

    kind: Literal["linear"]
    equation: str
    relative_sex_effect: NumberDocument | None = None
    relative_age_slope: NumberDocument | None = None
    coefficient_se_rule: str | None = None
    residual_distribution: str | None = None


class MeanSdModelDocument(_Part):
    """Mean and SD alone: every child is expected the same."""

    kind: Literal["mean_sd"]
    equation: str
    residual_distribution: str | None = None


class LmsModelDocument(_Part):
    """Rows of L, M and S by sex and age (Cole and Green 1992)."""

    kind: Literal["lms"]
    equation: str


class _AnyRegion(_Part):
    name: Slug
    label: Annotated[int, Field(ge=1)]
    laterality: Laterality
    share_of_total: NumberDocument | None = None
    male_mean: MaybeNumber = None
    female_mean: MaybeNumber = None
    male_sd: MaybeNumber = None
    female_sd: MaybeNumber = None


class LinearRegionDocument(_AnyRegion):
    """One region's regression, and what the paper has but nobody could read yet."""

    mean: NumberDocument
    sd: NumberDocument
    sex_effect: NumberDocument
    age_slope: NumberDocument
    residual_sd: NumberDocument
    published_sex_coefficient: MaybeNumber = None
    published_age_coefficient: MaybeNumber = None
    r_squared: MaybeNumber = None


class MeanSdRegionDocument(_AnyRegion):
    """One region's mean and SD."""

    mean: NumberDocument
    sd: NumberDocument


class LmsRowDocument(_Part):
    """L, M and S of one sex at one age; M in the unit of the rows."""

    sex: Sex
    age_days: Annotated[int, Field(ge=0)]
    L: float
    M: Annotated[float, Field(gt=0)]
    S: Annotated[float, Field(gt=0)]


class LmsDocument(_Part):
    """One region's rows, with the provenance of them all."""

    unit: Literal["mL", "cm"]
    status: Literal[Status.PUBLISHED, Status.DERIVED, Status.LOCAL]
    source: str
    rows: Annotated[tuple[LmsRowDocument, ...], Field(min_length=2)]


class LmsRegionDocument(_AnyRegion):
    """One region's LMS table."""

    lms: LmsDocument


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
    value: Sha256


class EntryDocument(_Part):
    """Who typed the numbers in, when (UTC), from where, and who did so a second time."""

    by: Annotated[str, Field(min_length=1)]
    at: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
    source: str
    checked_by: Annotated[str, Field(min_length=1)] | None = None


class _AnyReference(_Part):
    schema_name: Annotated[Literal["fontanelle.reference/1"], Field(alias="schema")]
    id: Slug
    revision: Annotated[int, Field(ge=1)]
    title: str
    citation: CitationDocument
    status_values: tuple[Status, ...] = tuple(Status)
    population: PopulationDocument
    protocol: ProtocolDocument
    validity: ValidityDocument
    asymmetry: tuple[AsymmetryDocument, ...] = ()
    correlations: CorrelationsDocument | None = None
    calibration: CalibrationDocument
    tiers: TiersDocument
    contradictions: tuple[ContradictionDocument, ...] = ()
    unknown: tuple[str, ...] = ()
    entry: EntryDocument | None = None
    digest: DigestDocument


class LinearReferenceDocument(_AnyReference):
    """A reference file of kind `linear`."""

    model: LinearModelDocument
    regions: Annotated[tuple[LinearRegionDocument, ...], Field(min_length=1)]
    total: TotalDocument | None = None


class MeanSdReferenceDocument(_AnyReference):
    """A reference file of kind `mean_sd`."""

    model: MeanSdModelDocument
    regions: Annotated[tuple[MeanSdRegionDocument, ...], Field(min_length=1)]


class LmsReferenceDocument(_AnyReference):
    """A reference file of kind `lms`."""

    model: LmsModelDocument
    regions: Annotated[tuple[LmsRegionDocument, ...], Field(min_length=1)]


AnyReferenceDocument = LinearReferenceDocument | MeanSdReferenceDocument | LmsReferenceDocument
AnyRegionDocument = LinearRegionDocument | MeanSdRegionDocument | LmsRegionDocument


def _kind(members: Any) -> str:  # noqa: ANN401 (what a file holds)
    """Return the model that a file names; one that nobody knows is refused as a linear one."""
    model = members.get("model") if isinstance(members, dict) else getattr(members, "model", None)
    kind = model.get("kind") if isinstance(model, dict) else getattr(model, "kind", None)
    return f"({kind})" if kind in tuple(ModelKind) else f"({ModelKind.LINEAR})"


class ReferenceDocument(
    RootModel[
        Annotated[
            Annotated[LinearReferenceDocument, Tag("(linear)")]
            | Annotated[MeanSdReferenceDocument, Tag("(mean_sd)")]
            | Annotated[LmsReferenceDocument, Tag("(lms)")],
            Discriminator(_kind),
        ]
    ]
):
    """A whole reference file, `fontanelle.reference/1`: numbers with their provenance."""


def place(location: tuple[int | str, ...]) -> str:
    """Return where in a file pydantic found something, without its own names of alternatives."""
    parts = (str(part) for part in location)
    return ".".join(part for part in parts if part[0] != "(" and part not in _ALTERNATIVES)


_ALTERNATIVES = frozenset({"FactDocument", "str"})
