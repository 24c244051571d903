"""The z strip: each region's z with its interval on one axis, as SVG.

No colour says good or bad: nothing here is a verdict. What lies beyond the axis is drawn at its
end, as an arrow, with its number beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from service.web import rounding

LIMIT: Final = 6.0
"""The axis goes from minus to plus this."""
USUAL: Final = 1.96
"""95 % of typical children lie within."""
WIDTH: Final = 640
LABELS_PX: Final = 150
NUMBERS_PX: Final = 74
ROW_PX: Final = 24
TOP_PX: Final = 28
BOTTOM_PX: Final = 10
_LEFT: Final = LABELS_PX + 8
_RIGHT: Final = WIDTH - NUMBERS_PX
_CENTRE: Final = (_LEFT + _RIGHT) / 2
_PER_Z: Final = (_RIGHT - _LEFT) / (2 * LIMIT)


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the strip; without a z it says that there is none."""

    label: str
    z: float | None
    low: float | None
    high: float | None
    note: str = ""


def draw(marks: Sequence[Mark], *, title: str, provisional: bool) -> Markup:
    """Return the strip; empty where nothing was compared.

    Parameters
    ----------
    marks
        In the order in which they are drawn.
    title
        What a reader who does not see it is told.
    provisional
        Draw hollow marks.
    """
    if all(mark.z is None for mark in marks):
        return Markup()
    height = TOP_PX + ROW_PX * len(marks) + BOTTOM_PX
    parts = [
        f'<svg class="strip" role="img" viewBox="0 0 {WIDTH} {height}" '
        f'xmlns="http://www.w3.org/2000/svg" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        *_axis(height),
        *(part for row, mark in enumerate(marks) for part in _row(mark, row, provisional)),
        "</svg>",
    ]
    return Markup("\n".join(parts))  # noqa: S704 (every text in it was escaped)


def place(z: float) -> float:
    """Return where a z lies on the axis, at its end where it is beyond."""
    return round(_CENTRE + _PER_Z * min(max(z, -LIMIT), LIMIT), 1)


def _axis(height: int) -> list[str]:
    bottom = height - BOTTOM_PX
    low, high = place(-USUAL), place(USUAL)
    band = (
        f'<rect class="usual" x="{low}" y="{TOP_PX}" width="{high - low:.1f}" '
        f'height="{bottom - TOP_PX}"/>'
    )
    return [band, *(part for z in range(-6, 7, 2) for part in _tick(z, bottom))]


def _tick(z: int, bottom: int) -> tuple[str, str]:
    x = place(z)
    kind = "zero" if z == 0 else "grid"
    said = rounding.z(z).removesuffix(".00") if z else "0"
    return (
        f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP_PX - 4}" y2="{bottom}"/>',
        f'<text class="tick" x="{x}" y="{TOP_PX - 10}">{said}</text>',
    )


def _row(mark: Mark, row: int, provisional: bool) -> list[str]:
    middle = TOP_PX + ROW_PX * row + ROW_PX / 2
    label = f'<text class="label" x="{LABELS_PX}" y="{middle + 4}">{escape(mark.label)}</text>'
    if mark.z is None:
        said = escape(mark.note or "not compared")
        return [
            '<g class="mark none">',
            label,
            f'<text class="silent" x="{_CENTRE:.1f}" y="{middle + 4}">{said}</text>',
            "</g>",
        ]
    interval = (
        [] if mark.low is None or mark.high is None else _interval(mark.low, mark.high, middle)
    )
    number = f'<text class="number" x="{WIDTH - 4}" y="{middle + 4}">{rounding.z(mark.z)}</text>'
    return [
        '<g class="mark">',
        label,
        *interval,
        _point(mark.z, middle, provisional),
        number,
        "</g>",
    ]


def _interval(low: float, high: float, middle: float) -> list[str]:
    left, right = place(low), place(high)
    parts = [f'<line class="interval" x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>']
    parts += [
        f'<line class="interval" x1="{x}" x2="{x}" y1="{middle - 4}" y2="{middle + 4}"/>'
        for x, z in ((left, low), (right, high))
        if abs(z) <= LIMIT
    ]
    return parts


def _point(z: float, middle: float, provisional: bool) -> str:
    kind = "hollow" if provisional else "full"
    x = place(z)
    if abs(z) <= LIMIT:
        return f'<circle class="{kind}" cx="{x}" cy="{middle}" r="5"/>'
    back = x - 10 if z > 0 else x + 10
    return (
        f'<polygon class="{kind} beyond" '
        f'points="{x},{middle} {back},{middle - 6} {back},{middle + 6}"/>'
    )
