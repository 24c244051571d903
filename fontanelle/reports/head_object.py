"""The size of a head as the contract's JSON."""

from collections.abc import Mapping

from fontanelle.norms.head_size import Circumference, HeadSize, Shown
from fontanelle.reports.compared import codes_of
from fontanelle.reports.rounding import cm, ml, percent, z_score

Json = Mapping[str, object]


def head_object(head: HeadSize | None) -> Json | None:
    """Return the size of a head beside other children's; None where nothing leaves."""
    if head is None:
        return None
    return {
        "circumference": _circumference(head.circumference),
        "intracranial": _shown(head.intracranial_ml, "ml"),
        "cephalic_index": _shown(head.cephalic_index, "percent"),
    }


def _circumference(found: Circumference) -> Json:
    return {
        "cm": cm(found.cm),
        "source": found.source,
        "error_cm": cm(found.error_cm),
        "chart": found.chart,
        "expected_cm": cm(found.expected_cm),
        "low_cm": cm(found.low_cm),
        "high_cm": cm(found.high_cm),
        "z": z_score(found.z),
        "z_low": z_score(found.z_low),
        "z_high": z_score(found.z_high),
        "centile": percent(found.centile),
        "reasons": codes_of(found.reasons),
    }


def _shown(found: Shown, unit: str) -> Json:
    rounded = ml if unit == "ml" else percent
    return {
        unit: rounded(found.value),
        f"mean_{unit}": rounded(found.mean),
        "percent_of_mean": percent(found.percent_of_mean),
        "reasons": codes_of(found.reasons),
    }
