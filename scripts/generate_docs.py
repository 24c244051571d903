"""Write the pages of docs/ that are generated from code (`make docs`); a test compares them."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from fontanelle.errors import Code
from fontanelle.imaging.admission import as_markdown

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


def pages() -> dict[str, str]:
    """Return the generated pages: file name in docs/ and text."""
    return {"codes.md": "\n".join(_codes()), "admission.md": f"{_ADMISSION_HEAD}\n{as_markdown()}"}


def _codes() -> Iterator[str]:
    yield _CODES_HEAD
    for area, codes in groupby(sorted(Code, key=_area), key=_area):
        yield f"## {area}\n"
        yield "| code | meaning |\n|---|---|"
        yield from (f"| `{code}` | {code.meaning} |" for code in codes)
        yield ""


def _area(code: Code) -> str:
    return code.partition(".")[0]


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
