"""What a comparison with a reference says: values, or the reasons why there are none."""

from dataclasses import dataclass
from enum import StrEnum

from fontanelle.errors import Reason


class Sex(StrEnum):
    """Sex as references know it."""

    MALE = "M"
    FEMALE = "F"


class Tier(StrEnum):
    """Where a reference's numbers come from, best first."""

    LOCAL = "local"
    CALIBRATED = "calibrated"
    PUBLISHED = "published"
    DERIVED = "derived"
    POOLED = "pooled"


class SiteStatus(StrEnum):
    """How well package and reference are known to fit this site."""

    NONE = "none"
    PROVISIONAL = "provisional"
    QUALIFIED = "qualified"


class ProtocolMatch(StrEnum):
    """How the regions of a package relate to those of a reference."""

    SAME = "same"
    MATCHED = "matched"
    APPROXIMATE = "approximate"


class Flag(StrEnum):
    """What may be said of one region."""

    NOT_FLAGGED = "not_flagged"
    LOW = "low"
    HIGH = "high"
    UNCALIBRATED = "uncalibrated"
    NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True)
class Child:
    """Whom the reference is asked about.

    Attributes
    ----------
    age_days
        From birth to acquisition; None where it is not known.
    sex
        None where it is neither M nor F.
    reasons
        Why age or sex must not be used although known (conflict, placeholder, imprecise).
    """

    age_days: int | None
    sex: Sex | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteOffset:
    """How far normal heads of this site lie from the reference in one region, mL.

    `se_ml` is the standard error that is left after calibration.
    """

    region: str
    offset_ml: float
    se_ml: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which a comparison is made.

    Attributes
    ----------
    protocol
        Label protocol of the package.
    protocol_match
        How it relates to the reference's.
    site_status
        Of package and reference at this site.
    obstacles
        Reasons found elsewhere why no z may be shown (by admission).
    offsets
        Of every region once the site is calibrated; empty while its status is none, and for a
        reference of the site's own.
    package_sha256
        Digest of the package; asked for by references that belong to one package only.
    slice_thickness_mm
        Of the thickest slice.
    contrast
        Whether contrast medium was given.
    modality
        As DICOM names it.

    Of the scan's last three, None means that it is not known, and then it is no obstacle.
    """

    protocol: str
    protocol_match: ProtocolMatch
    site_status: SiteStatus
    obstacles: tuple[Reason, ...] = ()
    offsets: tuple[SiteOffset, ...] = ()
    package_sha256: str | None = None
    slice_thickness_mm: float | None = None
    contrast: bool | None = None
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class RegionComparison:
    """One region beside its reference; all numbers None where it was not compared.

    Attributes
    ----------
    expected_ml, low_ml, high_ml
        Expected volume and 95 % prediction interval for a child of this age and sex, mL; of this
        site once it is calibrated.
    z, z_low, z_high
        z and its 95 % interval (sampling, coefficients, the site's offset).
    centile
        Share of typical children with a smaller volume, 0 to 100.
    pooled_z, pooled_centile
        Against the pooled mean and SD; for information, never voting.
    """

    region: str
    flag: Flag
    reasons: tuple[Reason, ...]
    expected_ml: float | None = None
    low_ml: float | None = None
    high_ml: float | None = None
    z: float | None = None
    z_low: float | None = None
    z_high: float | None = None
    centile: float | None = None
    pooled_z: float | None = None
    pooled_centile: float | None = None


@dataclass(frozen=True, slots=True)
class AsymmetryComparison:
    """Asymmetry index 200 (L - R) / (L + R), in percent, beside the population's.

    `index` is None where both sides are empty; `z` is None where the index was not compared.
    """

    pair: str
    index: float | None
    z: float | None
    flag: Flag
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All regions of one child against one reference.

    Attributes
    ----------
    reference_id, reference_version
        Name, and `sha256:` plus the digest of its canonical JSON.
    tier, site_status
        Always printed beside the numbers.
    regions
        In the order of the reference. Under another label protocol nothing is compared, and
        measured regions that the reference does not know come last.
    reasons
        Every reason of the comparison, its regions and its asymmetries, each once and with its
        sentence: what holds for all first.
    """

    reference_id: str
    reference_version: str
    tier: Tier
    site_status: SiteStatus
    regions: tuple[RegionComparison, ...]
    asymmetry: tuple[AsymmetryComparison, ...]
    reasons: tuple[Reason, ...]
