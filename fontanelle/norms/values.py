"""What a reference holds, as values: numbers with their provenance, nothing that computes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fontanelle.norms.comparison import Sex, SiteOffset, SiteStatus, Tier
from fontanelle.norms.document import Laterality, Matrix, ModelKind, Status

if TYPE_CHECKING:
    # Numpy comes with it, which the API does not load.
    from fontanelle.norms.lms import LmsRow


@dataclass(frozen=True, slots=True)
class Num:
    """A number and where it comes from.

    Attributes
    ----------
    value
        In `unit`.
    status, source
        How it came to be known, and the place or the derivation.
    range
        What it may plausibly be; None where the number has no range.
    se
        Standard error in `unit`; None where it has none.
    """

    value: float
    unit: str
    status: Status
    source: str
    range: tuple[float, float] | None = None
    se: float | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Anything else that is stated, or not known (`value` None), with its provenance."""

    name: str
    value: float | str | tuple[float, ...] | None
    unit: str
    status: Status
    source: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Where to read more."""

    text: str
    doi: str
    pmcid: str
    licence: str


@dataclass(frozen=True, slots=True)
class Population:
    """Whom the reference was made of.

    Attributes
    ----------
    n
        Children.
    male_share
        Share of boys, 0 to 1.
    age_mean, age_sd
        Years; the SD with n in the denominator. With `male_share` they are known where the model
        is linear; elsewhere they may be None.
    age_sex_correlation
        Of age and sex (1 for a boy); None where nobody knows it.
    facts
        What else is stated about them.
    """

    n: Num
    male_share: Num | None
    age_mean: Num | None
    age_sd: Num | None
    age_sex_correlation: Num | None
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Validity:
    """For whom, and for which scans, the reference speaks; both ends of the ages included."""

    age_days_min: int
    age_days_max: int
    edge_note_days: int
    days_per_year: float
    sexes: tuple[Sex, ...]
    modality: str
    contrast: bool
    slice_thickness_max_mm: float

    def covers_age(self, age_days: int) -> bool:
        """Tell whether the age lies inside; nothing is extrapolated."""
        return self.age_days_min <= age_days <= self.age_days_max

    def is_near_edge(self, age_days: int) -> bool:
        """Tell whether an age inside is so close to an end that the reader should know."""
        to_edge_days = min(age_days - self.age_days_min, self.age_days_max - age_days)
        return to_edge_days <= self.edge_note_days


@dataclass(frozen=True, slots=True)
class RegionNorm:
    """One region: `expected = mean + sex_effect (s - male_share) + age_slope (age - age_mean)`.

    Attributes
    ----------
    label, laterality
        The region's number in label arrays, and its side.
    mean, sd
        Pooled over age and sex, mL.
    sex_effect
        Boys minus girls, mL.
    age_slope
        mL per year.
    residual_sd
        After age and sex, mL.
    share_of_total
        Percent of the sum of all regions; None where their sum says nothing.
    facts
        What the source has beside these, most of it not known.
    """

    name: str
    label: int
    laterality: Laterality
    mean: Num
    sd: Num
    sex_effect: Num
    age_slope: Num
    residual_sd: Num
    share_of_total: Num | None
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class MeanSdNorm:
    """One region of which only mean and SD are known, mL: every child is expected the same."""

    name: str
    label: int
    laterality: Laterality
    mean: Num
    sd: Num
    share_of_total: Num | None
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class LmsNorm:
    """One region by the LMS method; between rows L, M and S are linear in age.

    Attributes
    ----------
    male, female
        Rows by ascending age, from the first to the last age for which the reference speaks; empty
        for a sex that it does not cover.
    unit
        Of M.
    status, source
        Of all rows.
    """

    name: str
    label: int
    laterality: Laterality
    male: "tuple[LmsRow, ...]"
    female: "tuple[LmsRow, ...]"
    unit: str
    status: Status
    source: str
    share_of_total: Num | None
    facts: tuple[Fact, ...]

    def rows(self, sex: Sex) -> "tuple[LmsRow, ...]":
        """Return the rows of a sex."""
        return self.male if sex is Sex.MALE else self.female


Norm = RegionNorm | MeanSdNorm | LmsNorm
"""One region by any of the models; all regions of a reference have the same."""


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of the regions; its residual SD rests on their correlations."""

    mean: Num
    sex_effect: Num
    age_slope: Num
    residual_sd: Num


@dataclass(frozen=True, slots=True)
class AsymmetryNorm:
    """Asymmetry index of a pair of regions in the population, percent."""

    pair: str
    left: str
    right: str
    mean: Num
    sd: Num


@dataclass(frozen=True, slots=True)
class Correlations:
    """Of the regions' residuals, in the order of the regions."""

    status: Status
    source: str
    central: Matrix
    weak: Matrix | None
    strong: Matrix | None


@dataclass(frozen=True, slots=True)
class CalibrationPrior:
    """What is assumed of a site before its normal heads are measured.

    Attributes
    ----------
    prior_sd
        Of the site's offset, percent of a region's mean.
    n_min_offset, n_min_regression
        Normal heads needed for an offset, and for a regression of the site's own.
    """

    prior_sd: Num
    n_min_offset: int
    n_min_regression: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Who typed a reference's numbers in, when (UTC), from where, and who did so a second time."""

    by: str
    at: str
    source: str
    checked_by: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """Normative data of one population, under one label protocol.

    Attributes
    ----------
    version
        `sha256:` and the digest of the canonical JSON. A result stores it.
    label_protocol
        Which anatomy belongs to which region; nothing else may be compared.
    package_digest
        SHA-256 of the only package that may be compared; None where any of the protocol may.
    kind
        The model; `regions` are all of the norm that belongs to it: `RegionNorm` for `linear`,
        `MeanSdNorm` for `mean_sd`, `LmsNorm` for `lms`.
    total
        None where the model is not linear, or the sum of the regions says nothing.
    correlations
        None where nobody knows them.
    tiers
        Those that its numbers allow, best first.
    entry
        None where no person typed it in.
    unknown, contradictions
        What the source does not say, and where it disagrees with itself, in words.
    """

    id: str
    version: str
    revision: int
    title: str
    citation: Citation
    label_protocol: str
    package_digest: str | None
    protocol_facts: tuple[Fact, ...]
    population: Population
    validity: Validity
    kind: ModelKind
    regions: tuple[Norm, ...]
    total: Total | None
    asymmetry: tuple[AsymmetryNorm, ...]
    correlations: Correlations | None
    calibration: CalibrationPrior
    tiers: tuple[Tier, ...]
    unknown: tuple[str, ...]
    contradictions: tuple[str, ...]
    entry: Entry | None = None

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names in the reference's order."""
        return tuple(region.name for region in self.regions)

    @property
    def linear_regions(self) -> tuple[RegionNorm, ...]:
        """The regions of a linear reference; empty where the model is another."""
        return tuple(region for region in self.regions if isinstance(region, RegionNorm))


@dataclass(frozen=True, slots=True)
class Site:
    """How well this site is known for a package and a reference.

    Attributes
    ----------
    status, offsets
        As a comparison takes them: offsets of every region where there is a calibration.
    n
        The site's normal heads behind it.
    calibration
        Version of the calibration; None where there is none.
    """

    status: SiteStatus
    offsets: tuple[SiteOffset, ...] = ()
    n: int = 0
    calibration: str | None = None


UNKNOWN_SITE = Site(SiteStatus.NONE)
"""Of which no normal head was measured."""
