"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 120.0
"""Generous: a busy machine is no failure."""


def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return when the condition holds; a file that is not there yet counts as no."""
    begun = time.monotonic()
    while not _holds(condition):
        assert time.monotonic() - begun < limit_s, "waited in vain"
        time.sleep(0.02)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except FileNotFoundError:
        return False


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has buried yet has."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return said.rpartition(")")[2].split()[0] == "Z"
