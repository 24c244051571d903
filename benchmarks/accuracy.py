"""How far the shipped package's volumes are from the truth: all tables of `models evaluate`.

    python -m benchmarks.accuracy [--quick] [--out DIR] [PACKAGE] [any option of models evaluate]

The real head of tests/data is measured as well, where it is. Writes accuracy.md, accuracy.json and
pictures to --out (accuracy-output unless said), and prints the Markdown.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from service.cli import run

SERIES = Path(__file__).parent.parent / "tests" / "data" / "ge_head_tilt.tar.xz"
OUT = Path("accuracy-output")


def arguments(given: Sequence[str]) -> list[str]:
    """Return the command line of the evaluation: what was given, and the defaults of this one."""
    made = ["models", "evaluate", *given]
    if "--out" not in given:
        made += ["--out", str(OUT)]
    if "--series" not in given and SERIES.is_file():
        made += ["--series", str(SERIES)]
    return made


def main() -> None:
    """Run and print."""
    sys.exit(run(arguments(sys.argv[1:])))


if __name__ == "__main__":
    main()
