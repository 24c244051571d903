"""Invented references of other organs and other models, for tests; no number of them is real."""

import copy
from typing import Any

from fontanelle.norms.reference import sealed as seal
from tests.unit.norms.cases import document

INVENTED = "invented for tests"


def number(value: float, unit: str, status: str = "local", **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "status": status, "source": INVENTED, **more}


def frame(reference_id: str, kind: str, **members: Any) -> dict[str, Any]:
    """Return what every reference has, for three organs on MR at 5 to 6 years."""
    xi = document()
    return {
        "schema": "fontanelle.reference/1",
        "id": reference_id,
        "revision": 1,
        "title": "Liver and kidneys on MR, invented",
        "citation": {"text": INVENTED, "doi": "", "pmcid": "", "licence": "CC0"},
        "population": {"n": number(64, "children")},
        "protocol": {"label_protocol": "abdomen", "package_digest": "ab" * 32},
        "validity": xi["validity"]
        | {"age_days_min": 1826, "age_days_max": 2191, "modality": "MR", "sexes": ["F", "M"]},
        "model": {"kind": kind, "equation": INVENTED},
        "calibration": copy.deepcopy(xi["calibration"]),
        "tiers": {"available": ["local"], "order": ["local"]},
        "asymmetry": [
            {"pair": "kidney", "mean": number(3.0, "%"), "sd": number(4.0, "%")},
        ],
        **members,
    }


REGIONS = (("liver", 1, "none", 500.0), ("left_kidney", 2, "left", 80.0)) + (
    ("right_kidney", 3, "right", 76.0),
)


def mean_sd() -> dict[str, Any]:
    """Return a reference of kind `mean_sd`."""
    regions = [
        {
            "name": name,
            "label": label,
            "laterality": side,
            "mean": number(mean, "mL"),
            "sd": number(mean / 10, "mL"),
        }
        for name, label, side, mean in REGIONS
    ]
    return frame("abdomen-means", "mean_sd", regions=regions)


def lms() -> dict[str, Any]:
    """Return a reference of kind `lms`, its medians growing by a tenth over the year."""
    regions = [
        {
            "name": name,
            "label": label,
            "laterality": side,
            "lms": {
                "unit": "mL",
                "status": "local",
                "source": INVENTED,
                "rows": [
                    {"sex": sex, "age_days": age, "L": -0.5, "M": mean * growth, "S": 0.1}
                    for sex in ("M", "F")
                    for age, growth in ((1800, 1.0), (2000, 1.05), (2200, 1.1))
                ],
            },
        }
        for name, label, side, mean in REGIONS
    ]
    return frame("abdomen-lms", "lms", regions=regions)


def text_of(members: dict[str, Any]) -> str:
    return seal(members)
