"""`POST /compare`: volumes in, comparison out. The library is imported when it is called."""

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from fontanelle.errors import Code, Refused
from fontanelle.settings import ComparisonSettings
from service.api.auth import Service
from service.api.bodies import Body
from service.api.models import Answer, ReasonOut
from service.api.report_models import (
    AsymmetryOut,
    ChronologicalOut,
    ComparedOut,
    ReferenceUsedOut,
)

if TYPE_CHECKING:
    from fontanelle.norms.comparison import Conditions
    from fontanelle.norms.values import Reference, Site

REGIONS_LIMIT: Final = 100
LARGEST: Final = 1e9
"""Above any head, in any unit: what is not in mL is refused with its own sentence."""
RegionName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
Volume = Annotated[FiniteFloat, Field(ge=0, le=LARGEST)]
ErrorPercent = Annotated[FiniteFloat, Field(gt=0, le=50)]
ReferenceName = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]{1,100}|sha256:[0-9a-f]{64})$")]
"""A reference by name, or by its version."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TierName = Literal["local", "calibrated", "published", "derived", "pooled"]


class CompareIn(Body):
    """A child's volumes.

    The protocol says which anatomy the regions hold; it has to be said, as volumes under another
    one are not comparable. Unless told otherwise it is held for approximately the reference's.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reference": "xi2025",
                    "protocol": "xi2025-matched",
                    "protocol_match": "same",
                    "age_days": 730,
                    "sex": "F",
                    "volumes_ml": {
                        "left_frontal": 204.5,
                        "right_frontal": 205.1,
                        "left_parietal": 101.2,
                        "right_parietal": 100.4,
                        "left_occipital": 50.8,
                        "right_occipital": 51.3,
                        "left_temporal": 89.9,
                        "right_temporal": 90.7,
                        "cerebellum": 105.6,
                        "brainstem": 17.4,
                    },
                }
            ]
        }
    )

    reference: ReferenceName
    protocol: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    protocol_match: Literal["same", "matched", "approximate"] = "approximate"
    volumes_ml: Annotated[dict[RegionName, Volume], Field(min_length=1, max_length=REGIONS_LIMIT)]
    age_days: Annotated[int, Field(ge=0, le=50000)] | None = None
    sex: Literal["M", "F"] | None = None
    gestational_age_weeks: Annotated[int, Field(ge=20, le=45)] | None = Field(
        None, description="Completed weeks at birth; below 37 the age is corrected."
    )
    package_sha256: Digest | None = Field(
        None, description="What measured; this site's calibration of it is used, if there is one."
    )
    measurement_error_percent: Annotated[
        dict[RegionName, ErrorPercent], Field(max_length=REGIONS_LIMIT)
    ] = Field({}, description="SD of repeated measurement by region; absent where not measured.")
    tier: TierName | None = Field(None, description="That decides; the best there is unless said.")
    slice_thickness_mm: Annotated[FiniteFloat, Field(gt=0, le=100)] | None = None
    contrast: bool | None = None
    modality: Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")] | None = None


class PatientComparedOut(Answer):
    """Whose volumes they are said to be."""

    sex: str | None
    age_days: int | None
    gestational_age_weeks: int | None


class PackageComparedOut(Answer):
    """What measured, as far as it was said."""

    sha256: str | None
    protocol: str
    protocol_match: str


class ComparedTogetherOut(Answer):
    """Sums and counts; counts are null where nobody is called low."""

    total_ml: float
    corrected_age_days: int | None
    regions_below_5th_centile: int | None
    share_of_children_with_as_many: float | None
    regions_compared: int | None
    flag_limit: float | None
    is_small_head: bool | None


class CompareOut(Answer):
    """The comparison; why there is no z is part of the answer."""

    notice: str
    patient: PatientComparedOut
    package: PackageComparedOut
    reference: ReferenceUsedOut
    measurements: list[ComparedOut]
    total: ComparedOut | None
    asymmetry: list[AsymmetryOut]
    at_chronological_age: list[ChronologicalOut]
    summary: ComparedTogetherOut
    reasons: list[ReasonOut]


def compared_here(service: Service, asked: CompareIn) -> CompareOut:
    """Compare volumes with a reference that this installation has, as this site knows it.

    Raises
    ------
    Refused
        REFERENCE_UNKNOWN; and as `compared` does.
    """
    from fontanelle.norms.reference import load
    from fontanelle.records import references

    with service.records.begin() as session:
        reference = load(references.chosen(session, asked.reference).document)
        package = asked.package_sha256
        site = None if package is None else references.site(session, reference, package)
    return compared(asked, reference, site, service.settings.comparison)


def compared(
    asked: CompareIn, reference: "Reference", site: "Site | None", settings: ComparisonSettings
) -> CompareOut:
    """Compare volumes with a reference.

    Raises
    ------
    Refused
        REQUEST_INVALID where regions, units or tier are not those of the reference.
    """
    from fontanelle.norms.compare import compare
    from fontanelle.norms.comparison import Child, Sex
    from fontanelle.reports.comparison_object import comparison_object

    child = Child(
        age_days=asked.age_days,
        sex=None if asked.sex is None else Sex(asked.sex),
        gestational_age_weeks=asked.gestational_age_weeks,
    )
    conditions = _conditions(asked, site, settings)
    _require(asked, reference, conditions)
    found = compare(asked.volumes_ml, child, reference, conditions)
    return CompareOut.model_validate(comparison_object(found, asked.volumes_ml, child, conditions))


def _conditions(
    asked: CompareIn, site: "Site | None", settings: ComparisonSettings
) -> "Conditions":
    from fontanelle.norms.comparison import Conditions, ProtocolMatch, SiteStatus, Tier
    from fontanelle.norms.prematurity import CorrectionRule

    tier = asked.tier or settings.tier
    if site is not None and site.status is SiteStatus.NONE:
        site = None
    return Conditions(
        protocol=asked.protocol,
        protocol_match=ProtocolMatch(asked.protocol_match),
        site_status=SiteStatus.NONE if site is None else site.status,
        offsets=() if site is None else site.offsets,
        package_sha256=asked.package_sha256,
        slice_thickness_mm=asked.slice_thickness_mm,
        contrast=asked.contrast,
        modality=asked.modality,
        measurement_error_percent=asked.measurement_error_percent,
        correction=CorrectionRule.of(settings),
        tier=None if tier is None else Tier(tier),
    )


def _require(asked: CompareIn, reference: "Reference", conditions: "Conditions") -> None:
    from fontanelle.norms.tiers import available_tiers
    from fontanelle.norms.units import unit_mistakes

    available = available_tiers(reference, conditions)
    if conditions.tier not in {None, *available}:
        raise Refused(
            Code.REQUEST_INVALID, f"tier must be one of those there are: {', '.join(available)}."
        )
    # Of another protocol no z is shown, whatever its regions are called.
    same = asked.protocol == reference.label_protocol
    if same and set(asked.volumes_ml) != set(reference.region_names):
        wanted = ", ".join(reference.region_names)
        raise Refused(
            Code.REQUEST_INVALID, f"volumes_ml must hold exactly these regions: {wanted}."
        )
    if not set(asked.measurement_error_percent) <= set(asked.volumes_ml):
        raise Refused(
            Code.REQUEST_INVALID, "measurement_error_percent names regions without a volume."
        )
    if mistakes := list(unit_mistakes(asked.volumes_ml, reference)):
        raise Refused(Code.REQUEST_INVALID, f"volumes_ml: {'; '.join(mistakes)}.")
