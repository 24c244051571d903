"""What the report says of the whole head, before its regions: one line a measure.

Asymmetry comes first: it cancels head size, age, sex and most of what a scanner does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fontanelle.reports import sentences
from service.web import rounding
from service.web.lines import between, in_words, meaning, remark, usual_index

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OverviewLine:
    """One measure: its number, what is usual, and what may be said."""

    label: str
    value: str
    usual: str
    range: str
    z: str
    z_range: str
    centile: str
    remark: str


def overview(report: Json) -> Iterator[OverviewLine]:
    """Give the lines of a measured report; none where nothing was measured."""
    if not report["measurements"]:
        return
    yield from _asymmetry(report["asymmetry"])
    yield _total(report)
    head = report.get("head_size")
    if head is not None:
        yield _circumference(head["circumference"])
        yield _shown("Intracranial volume", head["intracranial"], "ml", "mL")
        yield _shown("Cephalic index", head["cephalic_index"], "percent", "%")
    ventricles = rounding.ml(report["summary"]["ventricles_ml"])
    yield _plain("Ventricles", f"{ventricles} mL", "the reference has none")


def together(report: Json) -> tuple[str, ...]:
    """Return what the regions say together: how many are low, and whether that is one finding."""
    summary = report["summary"]
    low, share = summary["regions_below_5th_centile"], summary["share_of_children_with_as_many"]
    if low is None or share is None:
        return ()
    said = sentences.low_regions(low, summary["regions_compared"], share)
    return (said, sentences.SMALL_HEAD) if summary["is_small_head"] else (said,)


def _asymmetry(pairs: list[Json]) -> Iterator[OverviewLine]:
    """Give the pair that is furthest from usual."""
    compared = [pair for pair in pairs if pair["z"] is not None]
    if not compared:
        return
    pair = max(compared, key=lambda each: abs(each["z"]))
    smaller, larger = ("left", "right") if pair["index"] < 0 else ("right", "left")
    yield OverviewLine(
        label=f"Asymmetry, most in the {in_words(pair['pair']).lower()} pair",
        value=f"{rounding.signed_percent(pair['index'])} %",
        usual=usual_index(pair),
        range=rounding.NONE,
        z=rounding.z(pair["z"]),
        z_range="",
        centile=rounding.NONE,
        remark=f"{smaller} smaller than {larger}; {remark(pair)}",
    )


def _total(report: Json) -> OverviewLine:
    total = report.get("total")
    if total is None:
        return _plain("All regions", f"{rounding.ml(report['summary']['total_ml'])} mL", "")
    return OverviewLine(
        label="All regions",
        value=f"{rounding.ml(total['volume_ml'])} mL",
        usual=rounding.ml(total["expected_ml"]),
        range=rounding.ml_range(total["low_ml"], total["high_ml"]),
        z=rounding.z(total["z"]),
        z_range=between(rounding.z_range, total["z_low"], total["z_high"]),
        centile=rounding.centile(total["centile"]),
        remark=remark(total),
    )


def _circumference(found: Json) -> OverviewLine:
    if found["cm"] is None:
        return _plain("Head circumference", rounding.NONE, _why(found))
    source = sentences.CIRCUMFERENCE_SOURCES[found["source"]]
    error = f", SD {rounding.cm(found['error_cm'])} cm" if found["error_cm"] else ""
    why = f"; {_why(found)}" if found["reasons"] else ""
    return OverviewLine(
        label="Head circumference",
        value=f"{rounding.cm(found['cm'])} cm",
        usual=rounding.cm(found["expected_cm"]),
        range=rounding.cm_range(found["low_cm"], found["high_cm"]),
        z=rounding.z(found["z"]),
        z_range=between(rounding.z_range, found["z_low"], found["z_high"])
        if found["error_cm"]
        else "",
        centile=rounding.centile(found["centile"]),
        remark=f"{source}{error}; chart {found['chart']}{why}",
    )


def _shown(label: str, found: Json, key: str, unit: str) -> OverviewLine:
    """Return a measure beside a mean that has no SD."""
    value, mean = found[key], found[f"mean_{key}"]
    if value is None:
        return _plain(label, rounding.NONE, _why(found))
    line = _plain(label, f"{rounding.percent(value)} {unit}", _why(found))
    if mean is None:
        return line
    # A percentage of a percentage says nothing.
    share = "" if unit == "%" else f"{rounding.percent(found['percent_of_mean'])} % of the "
    remark = f"{share}mean of children's CT, which has no SD: no z"
    return replace(line, usual=rounding.percent(mean), remark=remark)


def _plain(label: str, value: str, remark: str) -> OverviewLine:
    none = rounding.NONE
    return OverviewLine(label, value, none, none, none, "", none, remark)


def _why(found: Json) -> str:
    return meaning(found["reasons"][0]) if found["reasons"] else ""
