"""A site's offset from a reference: measured on its own normal heads, shrunken, written, read.

A calibration is data, as a reference is: `fontanelle.calibration/1`, one JSON object sealed by the
digest of its canonical form. It belongs to one reference, one package and one site.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from scipy.special import chdtri

from fontanelle.errors import Code, Refused
from fontanelle.norms.cohort import Cohort
from fontanelle.norms.comparison import SiteOffset, SiteStatus, Tier
from fontanelle.norms.document import DigestDocument, Slug
from fontanelle.norms.expectations import expectation
from fontanelle.norms.mistakes import Malformed, Mistake
from fontanelle.norms.reference import JsonValue, digest_of
from fontanelle.norms.statistics import level_of_each
from fontanelle.norms.values import Reference

SCHEMA = "fontanelle.calibration/1"
LARGEST_OFFSET_PERCENT = 8.0
"""Of a region's mean. No scanner shifts a volume further: beyond it the label protocol differs."""
CHECK_LEVEL = 0.05
"""Largest share of proper sites of whom the SD of any region is refused by chance."""
SEALED = "canonical JSON of this document without the member 'digest'"


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far normal heads of one site lie from a reference.

    Attributes
    ----------
    reference_version
        `sha256:` and the digest of the reference.
    package_sha256, protocol
        Of the package that measured the heads, and of its labels; it holds for no other.
    n
        Normal heads.
    offsets
        Of every region of the reference, in its order.
    made_at, by
        When, with its time zone, and who answers for the heads being normal.
    """

    reference_version: str
    package_sha256: str
    protocol: str
    n: int
    offsets: tuple[SiteOffset, ...]
    made_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class OffsetEstimate:
    """One region's offset and what it was made of.

    Attributes
    ----------
    mean_residual_ml
        Of the site's heads against their own expected volumes.
    prior_sd_ml
        What offsets between sites scatter by.
    sampling_se_ml
        residual SD / sqrt(n).
    shrinkage
        Share of the mean residual that is believed, 0 to 1.
    offset_ml, se_ml
        What is taken off a volume, and the standard error that is left.
    """

    mean_residual_ml: float
    prior_sd_ml: float
    sampling_se_ml: float
    shrinkage: float
    offset_ml: float
    se_ml: float


@dataclass(frozen=True, slots=True)
class RegionCheck:
    """One region's estimate beside what it was checked by.

    `sd_ratio` is the SD of the site's residuals in residual SDs of the reference;
    `offset_percent` is in percent of the region's mean.
    """

    region: str
    estimate: OffsetEstimate
    sd_ratio: float
    offset_percent: float


def shrunken_offset(
    mean_residual_ml: float, residual_sd_ml: float, prior_sd_ml: float, n: int
) -> OffsetEstimate:
    """Estimate an offset from `n` normal heads, drawn towards 0 as far as chance could explain it.

    A normal prior around 0 and a normal mean: B = tau^2 / (tau^2 + s^2 / n), offset = B mean,
    standard error = sqrt(B) s / sqrt(n).
    """
    sampling_se_ml = residual_sd_ml / sqrt(n)
    shrinkage = prior_sd_ml**2 / (prior_sd_ml**2 + sampling_se_ml**2)
    return OffsetEstimate(
        mean_residual_ml=mean_residual_ml,
        prior_sd_ml=prior_sd_ml,
        sampling_se_ml=sampling_se_ml,
        shrinkage=shrinkage,
        offset_ml=shrinkage * mean_residual_ml,
        se_ml=sqrt(shrinkage) * sampling_se_ml,
    )


def sd_ratio_limits(n: int, regions: int, level: float = CHECK_LEVEL) -> tuple[float, float]:
    """Return the limits of a region's SD, in true SDs, outside which a site is refused.

    Chi-squared, each region at Sidak's share of `level`.

    Parameters
    ----------
    n
        Heads.
    regions
        How many are tested.
    level
        Share of proper sites with any region outside, were regions independent; as they go
        together it is less.
    """
    df, tail = n - 1, level_of_each(regions, level) / 2.0
    low, high = (sqrt(float(chdtri(df, p)) / df) for p in (1.0 - tail, tail))
    return low, high


def residuals_ml(cohort: Cohort, reference: Reference) -> NDArray[np.float64]:
    """Return how far each child lies from what is expected of its age and sex, (children, regions).

    The cohort's regions are in the reference's order.
    """
    expected = expectation(reference, reference.tiers[0], cohort.age_days, cohort.is_boy).expected
    return np.asarray(cohort.volumes_ml - expected[:, : len(reference.regions)])


def checks(cohort: Cohort, reference: Reference) -> tuple[RegionCheck, ...]:
    """Estimate every region's offset on a site's normal heads, and what it is to be checked by."""
    found_ml = residuals_ml(cohort, reference)
    means, sds = found_ml.mean(axis=0), found_ml.std(axis=0, ddof=1)
    share = reference.calibration.prior_sd.value / 100.0
    return tuple(
        RegionCheck(
            norm.name,
            estimate := shrunken_offset(
                float(mean), norm.residual_sd.value, share * norm.mean.value, cohort.n
            ),
            float(sd) / norm.residual_sd.value,
            100.0 * estimate.offset_ml / norm.mean.value,
        )
        for norm, mean, sd in zip(reference.linear_regions, means, sds, strict=True)
    )


def calibrate(cohort: Cohort, reference: Reference, *, made_at: datetime, by: str) -> Calibration:
    """Measure a site's offset in every region.

    Parameters
    ----------
    cohort
        The site's normal heads, read with the reference's rules.
    reference
        Not of the site's own children: those need no offset.
    made_at
        With its time zone.
    by
        Who answers for the heads being normal.

    Raises
    ------
    Refused
        `calibration.refused`, with every reason: heads that scatter unlike the reference's
        children, offsets that no scanner makes, a local reference.
    """
    if unfit := _unfit(reference):
        raise Refused(Code.CALIBRATION_REFUSED, unfit)
    measured = checks(cohort, reference)
    if found := [*spread_mistakes(measured, cohort.n), *_too_far(measured)]:
        raise Malformed(Code.CALIBRATION_REFUSED, "The site is not calibrated.", found)
    return Calibration(
        reference_version=reference.version,
        package_sha256=cohort.package_sha256,
        protocol=cohort.protocol,
        n=cohort.n,
        offsets=tuple(
            SiteOffset(check.region, check.estimate.offset_ml, check.estimate.se_ml)
            for check in measured
        ),
        made_at=made_at,
        by=by,
    )


def status_of(n: int, reference: Reference) -> SiteStatus:
    """Return how well a site is known by `n` of its normal heads."""
    if n < reference.calibration.n_min_offset:
        return SiteStatus.NONE
    if n < reference.calibration.n_min_regression:
        return SiteStatus.PROVISIONAL
    return SiteStatus.QUALIFIED


def _unfit(reference: Reference) -> str | None:
    if Tier.LOCAL in reference.tiers:
        return f"The reference {reference.id} is of a site's own children, who need no offset."
    if not reference.linear_regions:
        return f"The reference {reference.id} is no regression on age and sex."
    return None


def spread_mistakes(measured: tuple[RegionCheck, ...], n: int) -> list[Mistake]:
    """Return the regions in which `n` heads scatter by more or less than chance explains."""
    low, high = sd_ratio_limits(n, len(measured))
    return [
        Mistake(
            check.region,
            f"the SD around the expected volume is {check.sd_ratio:.3f} times the reference's; of "
            f"{n} heads {low:.3f} to {high:.3f} would be chance. Another label protocol, or not "
            "all of these heads are normal; or bad luck: more heads tell, leaving some out tells "
            "nothing.",
        )
        for check in measured
        if not low <= check.sd_ratio <= high
    ]


def _too_far(measured: tuple[RegionCheck, ...]) -> list[Mistake]:
    return [
        Mistake(
            check.region,
            f"an offset of {check.offset_percent:+.1f} % of the mean is beyond "
            f"{LARGEST_OFFSET_PERCENT:g} %: another label protocol, not another scanner.",
        )
        for check in measured
        if abs(check.offset_percent) > LARGEST_OFFSET_PERCENT
    ]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _OffsetDocument(_Part):
    region: Slug
    offset_ml: float
    se_ml: Annotated[float, Field(gt=0)]


class _CalibrationDocument(_Part):
    schema_name: Annotated[Literal["fontanelle.calibration/1"], Field(alias="schema")]
    reference_version: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    package_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    protocol: Slug
    n: Annotated[int, Field(ge=2)]
    offsets: Annotated[tuple[_OffsetDocument, ...], Field(min_length=1)]
    made_at: AwareDatetime
    by: Annotated[str, Field(min_length=1)]
    digest: DigestDocument


def serialise(calibration: Calibration) -> str:
    """Return a calibration as the text of its JSON file, sealed."""
    members: dict[str, JsonValue] = {
        "schema": SCHEMA,
        "reference_version": calibration.reference_version,
        "package_sha256": calibration.package_sha256,
        "protocol": calibration.protocol,
        "n": calibration.n,
        "offsets": [
            {"region": each.region, "offset_ml": each.offset_ml, "se_ml": each.se_ml}
            for each in calibration.offsets
        ],
        "made_at": calibration.made_at.isoformat(),
        "by": calibration.by,
    }
    seal = {"algorithm": "sha256", "over": SEALED, "value": digest_of(members)}
    return json.dumps({**members, "digest": seal}, indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> Calibration:
    """Read a calibration from the text of its JSON file.

    Raises
    ------
    Refused
        `calibration.invalid` if the text is no calibration, or not what its digest says.
    """
    try:
        document = _CalibrationDocument.model_validate_json(text)
        digest = digest_of(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Refused(
            Code.CALIBRATION_INVALID, f"The calibration is malformed. {_said(error)}"
        ) from error
    regions = [each.region for each in document.offsets]
    if len(set(regions)) < len(regions):
        raise Refused(Code.CALIBRATION_INVALID, "The calibration names a region twice.")
    if digest != document.digest.value:
        raise Refused(
            Code.CALIBRATION_INVALID,
            f"The calibration says that its digest is {document.digest.value[:12]}…, but its "
            f"numbers give {digest[:12]}….",
        )
    return Calibration(
        reference_version=document.reference_version,
        package_sha256=document.package_sha256,
        protocol=document.protocol,
        n=document.n,
        offsets=tuple(
            SiteOffset(each.region, each.offset_ml, each.se_ml) for each in document.offsets
        ),
        made_at=document.made_at,
        by=document.by,
    )


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "It cannot be sealed by a digest."
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
