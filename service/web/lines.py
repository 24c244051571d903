"""The rows of the report's tables in words: a region, a pair, its numbers and its remark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fontanelle.errors import code_of
from service.web import rounding

Json = Mapping[str, Any]

FLAGS: Final[Mapping[str, str]] = {
    "not_flagged": "within the limit",
    "low": "below the limit",
    "high": "above the limit",
    "uncalibrated": "not judged",
    "not_compared": "not compared",
}
"""What may be said of one region, in words."""


@dataclass(frozen=True, slots=True)
class RegionLine:
    """One row of the table of regions."""

    label: str
    volume: str
    share: str
    parenchyma: str
    csf: str
    expected: str
    range: str
    z: str
    z_range: str
    z_since_birth: str
    centile: str
    centile_range: str
    remark: str


@dataclass(frozen=True, slots=True)
class PairLine:
    """One row of the table of asymmetries."""

    label: str
    index: str
    usual: str
    z: str
    remark: str


def region_line(measured: Json, since_birth: Json | None) -> RegionLine:
    """Return the row of a region.

    Parameters
    ----------
    measured
        Of the analysis object.
    since_birth
        The same region at the age since birth, where a corrected age decided; else None.
    """
    return RegionLine(
        label=region_label(measured),
        volume=rounding.ml(measured["volume_ml"]),
        share=rounding.percent(measured["share_percent"]),
        parenchyma=rounding.ml(measured["parenchyma_ml"]),
        csf=rounding.ml(measured["csf_ml"]),
        expected=rounding.ml(measured["expected_ml"]),
        range=rounding.ml_range(measured["low_ml"], measured["high_ml"]),
        z=rounding.z(measured["z"]),
        z_range=between(rounding.z_range, measured["z_low"], measured["z_high"]),
        z_since_birth="" if since_birth is None else rounding.z(since_birth["z"]),
        centile=rounding.centile(measured["centile"]),
        centile_range=between(
            rounding.centile_range, measured.get("centile_low"), measured.get("centile_high")
        ),
        remark=remark(measured),
    )


def pair_line(pair: Json) -> PairLine:
    """Return the row of a pair."""
    return PairLine(
        label=in_words(pair["pair"]),
        index=rounding.signed_percent(pair["index"]),
        usual=usual_index(pair),
        z=rounding.z(pair["z"]),
        remark=remark(pair),
    )


def usual_index(pair: Json) -> str:
    """Return mean and SD of a pair's index in typical children."""
    mean, sd = pair.get("population_mean"), pair.get("population_sd")
    if mean is None or sd is None:
        return rounding.NONE
    return f"{rounding.signed_percent(mean)} ± {rounding.percent(sd)}"


def between(said: Callable[[float, float], str], low: float | None, high: float | None) -> str:
    """Return an interval; nothing at all where there is none."""
    return "" if low is None or high is None else said(low, high)


def region_label(measured: Json) -> str:
    """Return a region's name for people; left and right stand first."""
    return str(measured.get("label") or in_words(measured["region"]))


def in_words(name: str) -> str:
    """Return a name of ours as words."""
    return name.replace("_", " ").capitalize()


def remark(compared: Json) -> str:
    """Return what may be said of a number."""
    if compared["flag"] == "not_compared" and compared["reasons"]:
        return f"not compared: {meaning(compared['reasons'][0])}"
    return FLAGS[compared["flag"]]


def meaning(code: str) -> str:
    """Return what a code means, as part of a sentence."""
    text = code_of(code).meaning
    return text[0].lower() + text[1:].removesuffix(".")
