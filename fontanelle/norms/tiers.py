"""Which tier decides, and what is known of the site then. One tier a comparison, always named."""

from fontanelle.norms.comparison import Conditions, SiteOffset, SiteStatus, Tier
from fontanelle.norms.values import Reference


def available_tiers(reference: Reference, conditions: Conditions) -> tuple[Tier, ...]:
    """Return the tiers that may decide, best first."""
    is_measured = conditions.site_status is not SiteStatus.NONE
    tiers = set(reference.tiers)
    if is_measured and reference.tiers[0] is not Tier.LOCAL:
        tiers.add(Tier.CALIBRATED)
    return tuple(tier for tier in Tier if tier in tiers)


def tier_of(reference: Reference, conditions: Conditions) -> Tier:
    """Return the tier that decides: the best, or the one that was asked for.

    Raises
    ------
    ValueError
        If reference and site do not have the tier that was asked for.
    """
    available = available_tiers(reference, conditions)
    chosen = conditions.tier or available[0]
    if chosen not in available:
        raise ValueError(f"there is no tier {chosen}, but {', '.join(available)}")
    return chosen


def is_calibrated(reference: Reference, conditions: Conditions) -> bool:
    """Tell whether the deciding tier knows this site, so that it may flag."""
    return conditions.site_status is not SiteStatus.NONE and tier_of(reference, conditions) in {
        Tier.LOCAL,
        Tier.CALIBRATED,
    }


def offsets_of(reference: Reference, conditions: Conditions) -> tuple[SiteOffset, ...] | None:
    """Return the site's offset in each region, in the reference's order.

    None where the site is not known to the deciding tier; empty where the reference is made of
    the site's own children, and so has no offset.

    Raises
    ------
    ValueError
        If the offsets in `conditions` do not fit the site's status.
    """
    is_own = Tier.LOCAL in reference.tiers
    wanted = () if conditions.site_status is SiteStatus.NONE or is_own else reference.region_names
    given = sorted(offset.region for offset in conditions.offsets)
    if given != sorted(wanted):
        raise ValueError(
            f"site status {conditions.site_status} needs offsets for {list(wanted)}, got {given}"
        )
    if not is_calibrated(reference, conditions):
        return None
    by_name = {offset.region: offset for offset in conditions.offsets}
    return tuple(by_name[name] for name in wanted)
