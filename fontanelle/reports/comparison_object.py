"""A comparison without a scan as the contract's JSON: volumes in, comparison out.

The same for `POST /compare` and for `norms compare`. Every number stands beside what it comes from:
the reference's digest, the tier, the site's status.
"""

from collections.abc import Mapping

from fontanelle.norms.comparison import Child, Comparison, Conditions
from fontanelle.reports.compared import (
    at_chronological_age,
    codes_of,
    compared_pair,
    compared_region,
    compared_total,
    together,
)
from fontanelle.reports.notice import NOTICE
from fontanelle.reports.rounding import ml


def comparison_object(
    found: Comparison, volumes_ml: Mapping[str, float], child: Child, conditions: Conditions
) -> dict[str, object]:
    """Return a comparison as JSON values, keys in the contract's order.

    Parameters
    ----------
    found
        Of these volumes, this child and under these conditions.
    volumes_ml
        By region, mL.
    """
    total_ml = sum(volumes_ml.values())
    return {
        "notice": NOTICE,
        "patient": {
            "sex": child.sex,
            "age_days": child.age_days,
            "gestational_age_weeks": child.gestational_age_weeks,
        },
        "package": {
            "sha256": conditions.package_sha256,
            "protocol": conditions.protocol,
            "protocol_match": conditions.protocol_match,
        },
        "reference": {
            "id": found.reference_id,
            "version": found.reference_version,
            "tier": found.tier,
            "site_status": found.site_status,
        },
        "measurements": [
            {"region": region.region} | compared_region(region, volumes_ml[region.region])
            for region in found.regions
        ],
        "total": compared_total(found, total_ml),
        "asymmetry": [compared_pair(pair) for pair in found.asymmetry],
        "at_chronological_age": at_chronological_age(found),
        "summary": {
            "total_ml": ml(total_ml),
            "corrected_age_days": found.corrected_age_days,
            **together(found),
        },
        "reasons": [
            {"code": code, "sentence": reason.sentence}
            for code, reason in zip(codes_of(found.reasons), found.reasons, strict=True)
        ],
    }
