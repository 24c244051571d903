"""Processes that an earlier run left behind and that are still ending: found, waited for, ended."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.embedded.server import Say

_LOOK_S: Final = 0.05
_SAY_EVERY_S: Final = 5.0


def working_in(folder: Path) -> list[int]:
    """Return the processes whose working directory a folder is, as that of PostgreSQL's all is."""
    real = folder.resolve()
    return [pid for pid in _processes() if _points_to(f"/proc/{pid}/cwd", real)]


def holding(file: Path) -> list[int]:
    """Return the other processes that have the lock of a file: its taker, and who inherited it."""
    real = file.resolve()
    return [pid for pid in _processes() if _holds(pid, real)]


Steps = tuple[tuple[float, signal.Signals], ...]
"""After how many seconds of waiting which signal is sent."""
Whom = Callable[[list[int], signal.Signals], list[int]]
"""Chooses, of those that are left, whom a signal is for."""


def everybody(found: list[int], _: signal.Signals) -> list[int]:
    """Choose all."""
    return found


def end(
    find: Callable[[], list[int]],
    what: str,
    steps: Steps,
    say: Say,
    whom: Whom = everybody,
) -> None:
    """Wait until nobody is found any more, growing firmer.

    Parameters
    ----------
    find
        Returns who is left.
    what
        Their name, for the line that says what is waited for.
    """
    begun = said = time.monotonic()
    left = list(steps)
    while found := find():
        waited_s = time.monotonic() - begun
        if left and waited_s >= left[0][0]:
            _, number = left.pop(0)
            send(whom(found, number), number)
        if time.monotonic() - said > _SAY_EVERY_S:
            said = time.monotonic()
            say(f"waiting for {what} of an earlier run to end ({waited_s:.0f} s) ...")
        time.sleep(_LOOK_S)


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to whoever of them still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes() -> Iterator[int]:
    ours = os.getpid()
    return (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != ours)  # noqa: PTH208


def _holds(pid: int, file: Path) -> bool:
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208
        found = [each for each in numbers if _points_to(f"/proc/{pid}/fd/{each}", file)]
        # proc(5): the locks that belong to this open file, by whomever they were taken.
        return any("FLOCK" in Path(f"/proc/{pid}/fdinfo/{each}").read_text() for each in found)
    except OSError:
        return False


def _points_to(link: str, path: Path) -> bool:
    try:
        return os.readlink(link) == str(path)  # noqa: PTH115
    except OSError:
        return False
