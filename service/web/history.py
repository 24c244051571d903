"""The child's earlier scans in words: what changed, what growth was expected, what is error."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.web import rounding
from service.web.lines import in_words, region_label

Json = Mapping[str, Any]
CHANGES: Final[Mapping[str, str]] = {
    "within_error": "within the error",
    "smaller": "smaller",
    "larger": "larger",
    "not_called": "not called",
}
"""What may be said of a change, in words."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One row of the table of changes."""

    label: str
    earlier: str
    change: str
    percent: str
    growth: str
    limit: str
    remark: str


@dataclass(frozen=True, slots=True)
class EarlierView:
    """An earlier scan; without lines where it cannot be compared, or a later one was."""

    title: str
    analysis_id: int | None
    lines: tuple[ChangeLine, ...]
    reasons: tuple[Json, ...]


def earlier_views(report: Json) -> Iterator[EarlierView]:
    """Give the earlier scans, the latest first; only the first comparable one in full."""
    labels = {each["region"]: region_label(each) for each in report["measurements"]}
    is_told = False
    for found in report.get("earlier", ()):
        lines = () if is_told else tuple(_line(each, labels) for each in found["changes"])
        is_told = is_told or bool(lines)
        yield EarlierView(
            title=_title(found),
            analysis_id=found["analysis_id"],
            lines=lines,
            reasons=tuple(found["reasons"]) if lines or not found["changes"] else (),
        )


def _title(found: Json) -> str:
    day = found["study_date"] or "date unknown"
    match found["days"]:
        case None:
            return day
        case 0:
            return f"{day}, the same day"
        case days:
            return f"{day}, {days} days before"


def _line(change: Json, labels: Mapping[str, str]) -> ChangeLine:
    return ChangeLine(
        label=labels.get(change["region"]) or in_words(change["region"]),
        earlier=rounding.ml(change["earlier_ml"]),
        change=rounding.signed_ml(change["change_ml"]),
        percent=rounding.signed_percent(change["change_percent"]),
        growth=rounding.signed_ml(change["growth_ml"]),
        limit="" if change["limit_ml"] is None else f"± {rounding.ml(change['limit_ml'])}",
        remark=CHANGES[change["flag"]],
    )
