"""What a comparison with a reference says: values, or the reasons why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fontanelle.errors import Reason
from fontanelle.norms.prematurity import USUAL_RULE, CorrectionRule


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
    gestational_age_weeks
        Completed weeks at birth; None where they are not known: then the child counts as term.
    """

    age_days: int | None
    sex: Sex | None
    reasons: tuple[Reason, ...] = ()
    gestational_age_weeks: int | None = None


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
    measurement_error_percent
        The package's own error by region: SD of repeated measurements in percent of the volume. A
        region that is absent was not measured for it, and its intervals do not hold it.
    correction
        Whose age is corrected for preterm birth, and until when.
    tier
        The one that is to decide; None for the best that reference and site allow.

    qualified
        Whether the package reached the accuracy asked of it; what did not is never flagged.

    Of slice thickness, contrast and modality, None means that it is not known, and then it is no
    obstacle.
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
    measurement_error_percent: Mapping[str, float] = field(default_factory=dict)
    correction: CorrectionRule = USUAL_RULE
    tier: Tier | None = None
    qualified: bool = True


@dataclass(frozen=True, slots=True)
class RegionComparison:
    """One region beside its reference; all numbers None where it was not compared.

    Attributes
    ----------
    expected_ml, low_ml, high_ml
        Expected volume and 95 % prediction interval for a child of this age and sex, mL; of this
        site once it is calibrated.
    z, z_low, z_high
        z and its 95 % interval (sampling, coefficients, the site's offset, the package's measured
        error where there is one).
    centile
        Share of typical children with a smaller volume, 0 to 100.
    pooled_z, pooled_centile
        Against the pooled mean and SD; for information, never voting.
    centile_low, centile_high
        95 % interval of the centile.
    sd_ml
        SD of typical children of this age and sex, mL: what z is measured in.
    share_percent
        Percent of the sum of all regions; also where the region was not compared, as it needs no
        reference. None for the sum itself, and where the sum is 0.
    measurement_error_percent
        The package's own error that the intervals hold; None where it was never measured.
    chronological_expected_ml, chronological_z, chronological_centile
        At the age since birth, where the numbers above are those of a corrected age; else None.
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
    centile_low: float | None = None
    centile_high: float | None = None
    sd_ml: float | None = None
    share_percent: float | None = None
    measurement_error_percent: float | None = None
    chronological_expected_ml: float | None = None
    chronological_z: float | None = None
    chronological_centile: float | None = None


@dataclass(frozen=True, slots=True)
class AsymmetryComparison:
    """Asymmetry index 200 (L - R) / (L + R), in percent, beside the population's.

    `index` is None where both sides are empty; `z` is None where the index was not compared.
    `population_mean` and `population_sd` are those that it is compared with, also in percent.
    """

    pair: str
    index: float | None
    z: float | None
    flag: Flag
    reasons: tuple[Reason, ...]
    population_mean: float | None = None
    population_sd: float | None = None


@dataclass(frozen=True, slots=True)
class Multiplicity:
    """What many regions at once mean: that some are low is usual, and so many at once how rare.

    Attributes
    ----------
    limit
        |z| that one typical child in twenty exceeds in any region; beyond it a region is flagged.
    below_5th_centile
        How many of the compared regions lie below their 5th centile.
    of
        How many regions were compared.
    share_percent
        Percent of typical children with as many or more.
    is_small_head
        Whether so many are low that it is one finding: a small head.
    """

    limit: float
    below_5th_centile: int
    of: int
    share_percent: float
    is_small_head: bool


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
    total
        The sum of all regions as a line of its own (`region` is `total`), its SD from the regions'
        correlations; None where the reference has none.
    multiplicity
        None where nobody is flagged: a share that reassures is a flag, too.
    corrected_age_days
        The age that decided, where a child born preterm was compared by its corrected age.
    """

    reference_id: str
    reference_version: str
    tier: Tier
    site_status: SiteStatus
    regions: tuple[RegionComparison, ...]
    asymmetry: tuple[AsymmetryComparison, ...]
    reasons: tuple[Reason, ...]
    total: RegionComparison | None = None
    multiplicity: Multiplicity | None = None
    corrected_age_days: int | None = None
