"""Prints what pyproject.toml requires: of the product itself, or of the extra that is named."""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print one requirement a line, as pip reads them."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = extras[sys.argv[1]] if len(sys.argv) > 1 else project["dependencies"]
    sys.stdout.writelines(f"{requirement}\n" for requirement in wanted)


if __name__ == "__main__":
    main()
