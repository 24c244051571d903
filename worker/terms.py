"""On which terms this site compares: how well it is known, and what its settings say."""

from dataclasses import dataclass

from fontanelle.norms.comparison import SiteOffset, SiteStatus, Tier
from fontanelle.norms.prematurity import USUAL_RULE, CorrectionRule


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
    """

    site_status: SiteStatus = SiteStatus.NONE
    offsets: tuple[SiteOffset, ...] = ()
    calibration_version: str | None = None
    correction: CorrectionRule = USUAL_RULE
    tier: Tier | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return all of it for the digest of an analysis."""
        return (
            self.site_status,
            self.calibration_version or "",
            repr(self.correction),
            self.tier or "",
        )


USUAL_TERMS = Terms()
