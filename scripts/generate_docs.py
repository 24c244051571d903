"""Write the pages of docs/ that are generated from code (`make docs`); a test compares them."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from fontanelle.errors import Code
from fontanelle.imaging.admission import as_markdown
from fontanelle.lifecycle import (
    ANALYSIS_MOVES,
    DELIVERY_MOVES,
    SERIES_MOVES,
    AnalysisState,
    DeliveryState,
    SeriesState,
)

DOCS: Final = Path(__file__).parent.parent / "docs"

_CODES_HEAD: Final = """\
# Codes

Every reason, rejection and failure has one of these codes and a sentence with the numbers of the
case. A code is never removed or given another meaning. Generated from `fontanelle/errors.py` by
`make docs`.
"""

_ADMISSION_HEAD: Final = """\
# Admission

May this series be measured? Every rule judges every series, in this order; what it says stands in
the result with its code and a sentence. *Rejected*: nothing is measured. *Limited*: volumes without
a comparison. *Accepted*: a remark. Generated from `fontanelle/imaging/rules` by `make docs`.
"""


_STATES_HEAD: Final = """\
# States

What becomes of a series, of an analysis and of a delivery. Every move is one transaction that also
writes an event (when, from, to, why, by whom); a move that is not drawn here is an error. Generated
from `fontanelle/lifecycle.py` by `make docs`.
"""
_STATES: Final[tuple[tuple[str, tuple[str, ...], Mapping[Any, frozenset[Any]]], ...]] = (
    ("Series", (SeriesState.RECEIVING,), SERIES_MOVES),
    ("Analysis", (AnalysisState.QUEUED,), ANALYSIS_MOVES),
    ("Delivery", (DeliveryState.HELD, DeliveryState.DUE), DELIVERY_MOVES),
)
"""Title, where it begins, the moves."""


def pages() -> dict[str, str]:
    """Return the generated pages: file name in docs/ and text."""
    return {
        "codes.md": "\n".join(_codes()),
        "admission.md": f"{_ADMISSION_HEAD}\n{as_markdown()}",
        "states.md": "\n".join(_states()),
    }


def _codes() -> Iterator[str]:
    yield _CODES_HEAD
    for area, codes in groupby(sorted(Code, key=_area), key=_area):
        yield f"## {area}\n"
        yield "| code | meaning |\n|---|---|"
        yield from (f"| `{code}` | {code.meaning} |" for code in codes)
        yield ""


def _states() -> Iterator[str]:
    yield _STATES_HEAD
    for title, beginnings, moves in _STATES:
        yield f"## {title}\n\n```mermaid\nstateDiagram-v2"
        yield from (f"    [*] --> {state}" for state in beginnings)
        for before, afters in moves.items():
            # In the order of the states, not of a set.
            yield from (f"    {before} --> {after}" for after in moves if after in afters)
            if not afters:
                yield f"    {before} --> [*]"
        yield "```\n"


def _area(code: Code) -> str:
    return code.partition(".")[0]


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
