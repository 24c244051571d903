"""The regression of a reference, applied to one volume: expectation, z, intervals, centile."""

from dataclasses import dataclass
from math import sqrt

from fontanelle.norms.comparison import Sex, SiteOffset
from fontanelle.norms.statistics import Z_95, centile
from fontanelle.norms.values import Reference, RegionNorm


@dataclass(frozen=True, slots=True)
class Place:
    """Where a child stands relative to the centre of a population.

    Attributes
    ----------
    sex_step
        1 for a boy, 0 for a girl, less the share of boys.
    age_step_years
        Age less the mean age.
    """

    sex_step: float
    age_step_years: float


@dataclass(frozen=True, slots=True)
class Score:
    """A volume beside what is expected; the attributes as in `RegionComparison`."""

    volume_ml: float
    expected_ml: float
    low_ml: float
    high_ml: float
    z: float
    z_low: float
    z_high: float
    centile: float
    pooled_z: float
    pooled_centile: float


def place_of(age_days: int, sex: Sex, reference: Reference) -> Place:
    """Return where a child of this age and sex stands relative to the population's centre."""
    population = reference.population
    age_years = age_days / reference.validity.days_per_year
    is_boy = 1.0 if sex is Sex.MALE else 0.0
    return Place(is_boy - population.male_share.value, age_years - population.age_mean.value)


def score(volume_ml: float, norm: RegionNorm, place: Place, n: float, offset: SiteOffset) -> Score:
    """Compute z, centile and intervals of one region.

    Parameters
    ----------
    volume_ml
        Measured volume, mL.
    norm
        Of the same region.
    place
        The child's sex and age relative to the population's centre.
    n
        Children in the population.
    offset
        Of the site, and its standard error: the whole prior while it was never measured.
    """
    residual_sd_ml = norm.residual_sd.value
    expected_ml = expected_volume_ml(norm, place) + offset.offset_ml
    se_ml = sqrt(
        residual_sd_ml**2 / n
        + (place.sex_step * (norm.sex_effect.se or 0.0)) ** 2
        + (place.age_step_years * (norm.age_slope.se or 0.0)) ** 2
        + offset.se_ml**2
    )
    spread_ml = Z_95 * sqrt(residual_sd_ml**2 + se_ml**2)
    z, z_spread = (volume_ml - expected_ml) / residual_sd_ml, Z_95 * se_ml / residual_sd_ml
    pooled_z = (volume_ml - norm.mean.value) / norm.sd.value
    return Score(
        volume_ml=volume_ml,
        expected_ml=expected_ml,
        low_ml=expected_ml - spread_ml,
        high_ml=expected_ml + spread_ml,
        z=z,
        z_low=z - z_spread,
        z_high=z + z_spread,
        centile=centile(z),
        pooled_z=pooled_z,
        pooled_centile=centile(pooled_z),
    )


def expected_volume_ml(norm: RegionNorm, place: Place) -> float:
    """Return the mean volume of children of this age and sex in the reference's population."""
    return (
        norm.mean.value
        + norm.sex_effect.value * place.sex_step
        + norm.age_slope.value * place.age_step_years
    )
