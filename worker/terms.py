"""On which terms this site compares: how well it is known, and what its settings say."""

from dataclasses import dataclass, replace
from typing import Self

from fontanelle.norms.comparison import SiteOffset, SiteStatus, Tier
from fontanelle.norms.prematurity import USUAL_RULE, CorrectionRule
from fontanelle.norms.values import Site
from worker.head_size import HeadChart


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides a comparison beside child, scan and package.

    Attributes
    ----------
    site_status, offsets
        Of package and reference at this site.
    calibration_version
        Of the calibration that the offsets come from; None where there is none.
    correction
        Whose age is corrected for preterm birth, and until when.
    tier
        The one that is to decide where the reference has it; None for its best.
    head_chart
        Of head circumferences; None for the one of the product.
    """

    site_status: SiteStatus = SiteStatus.NONE
    offsets: tuple[SiteOffset, ...] = ()
    calibration_version: str | None = None
    correction: CorrectionRule = USUAL_RULE
    tier: Tier | None = None
    head_chart: HeadChart | None = None

    def at(self, site: Site) -> Self:
        """Return these terms at a site, as far as it is known."""
        if site.status is SiteStatus.NONE:
            return self
        return replace(
            self,
            site_status=site.status,
            offsets=site.offsets,
            calibration_version=site.calibration,
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return all of it for the digest of an analysis."""
        return (
            self.site_status,
            self.calibration_version or "",
            repr(self.correction),
            self.tier or "",
            *(() if self.head_chart is None else (self.head_chart.version,)),
        )


USUAL_TERMS = Terms()
