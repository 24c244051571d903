"""`POST /compare`: volumes in, comparison out. The library is imported when it is called."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import ConfigDict, Field, FiniteFloat

from fontanelle.errors import Code, Refused
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.rounding import ML_DECIMALS, PERCENT_DECIMALS, Z_DECIMALS
from service.api.bodies import Body
from service.api.models import Answer, Name, ReasonOut
from service.api.report_models import AsymmetryOut, ComparedOut, PooledOut, ReferenceUsedOut

if TYPE_CHECKING:
    from fontanelle.norms.comparison import AsymmetryComparison, Comparison, RegionComparison
    from fontanelle.norms.values import Reference

REGIONS_LIMIT: Final = 100
VolumeMl = Annotated[FiniteFloat, Field(ge=0, le=5000)]


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

    reference: Name
    protocol: Name
    protocol_match: Literal["same", "matched", "approximate"] = "approximate"
    volumes_ml: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")], VolumeMl],
        Field(min_length=1, max_length=REGIONS_LIMIT),
    ]
    age_days: Annotated[int, Field(ge=0, le=50000)] | None = None
    sex: Literal["M", "F"] | None = None
    package_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    slice_thickness_mm: Annotated[FiniteFloat, Field(gt=0, le=100)] | None = None
    contrast: bool | None = None
    modality: Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")] | None = None


class CompareOut(Answer):
    """The comparison; why there is no z is part of the answer."""

    notice: str
    reference: ReferenceUsedOut
    comparisons: list[ComparedOut]
    asymmetry: list[AsymmetryOut]
    reasons: list[ReasonOut]


def compared(asked: CompareIn, document: str) -> CompareOut:
    """Compare volumes with the reference of a document.

    Raises
    ------
    Refused
        REQUEST_INVALID where the regions are not those of the reference.
    """
    from fontanelle.norms.compare import compare
    from fontanelle.norms.comparison import Child, Conditions, ProtocolMatch, Sex, SiteStatus
    from fontanelle.norms.reference import load

    reference = load(document)
    _require_regions(asked, reference)
    child = Child(asked.age_days, None if asked.sex is None else Sex(asked.sex))
    conditions = Conditions(
        protocol=asked.protocol,
        protocol_match=ProtocolMatch(asked.protocol_match),
        site_status=SiteStatus.NONE,
        package_sha256=asked.package_sha256,
        slice_thickness_mm=asked.slice_thickness_mm,
        contrast=asked.contrast,
        modality=asked.modality,
    )
    return _answer(compare(asked.volumes_ml, child, reference, conditions), asked.volumes_ml)


def _require_regions(asked: CompareIn, reference: "Reference") -> None:
    # Of another protocol no z is shown, whatever its regions are called.
    same = asked.protocol == reference.label_protocol
    if same and set(asked.volumes_ml) != set(reference.region_names):
        wanted = ", ".join(reference.region_names)
        raise Refused(
            Code.REQUEST_INVALID, f"volumes_ml must hold exactly these regions: {wanted}."
        )


def _answer(found: "Comparison", volumes_ml: Mapping[str, float]) -> CompareOut:
    total_ml = sum(volumes_ml.values())
    return CompareOut(
        notice=NOTICE,
        reference=ReferenceUsedOut(
            id=found.reference_id,
            version=found.reference_version,
            tier=found.tier,
            site_status=found.site_status,
        ),
        comparisons=[_region(each, volumes_ml[each.region], total_ml) for each in found.regions],
        asymmetry=[_pair(each) for each in found.asymmetry],
        reasons=[ReasonOut.of(reason) for reason in found.reasons],
    )


def _region(found: "RegionComparison", volume_ml: float, total_ml: float) -> ComparedOut:
    return ComparedOut(
        region=found.region,
        volume_ml=round(volume_ml, ML_DECIMALS),
        expected_ml=_rounded(found.expected_ml, ML_DECIMALS),
        low_ml=_rounded(found.low_ml, ML_DECIMALS),
        high_ml=_rounded(found.high_ml, ML_DECIMALS),
        z=_rounded(found.z, Z_DECIMALS),
        z_low=_rounded(found.z_low, Z_DECIMALS),
        z_high=_rounded(found.z_high, Z_DECIMALS),
        centile=_rounded(found.centile, PERCENT_DECIMALS),
        share_percent=_rounded(100 * volume_ml / total_ml, PERCENT_DECIMALS) if total_ml else None,
        pooled=PooledOut(
            z=_rounded(found.pooled_z, Z_DECIMALS),
            centile=_rounded(found.pooled_centile, PERCENT_DECIMALS),
        ),
        flag=found.flag,
        reasons=[reason.code for reason in found.reasons],
    )


def _pair(found: "AsymmetryComparison") -> AsymmetryOut:
    return AsymmetryOut(
        pair=found.pair,
        index=_rounded(found.index, PERCENT_DECIMALS),
        z=_rounded(found.z, Z_DECIMALS),
        flag=found.flag,
        reasons=[reason.code for reason in found.reasons],
    )


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
