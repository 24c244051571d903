"""The data folder: closed to others, used by one `up` at a time, and who serves from it now."""

import json
import os
import signal
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fontanelle.errors import Code, Unavailable
from service.embedded import orphans
from service.embedded.lock import FolderLock
from service.embedded.server import Say, silent

_RUNNING: Final = "running.json"
_LOCK: Final = "lock"
_GRACE_S: Final = 0.5
"""Who has just taken the lock is given so long to write its name."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running `up` serves; without secrets."""

    pid: int
    database_url: str | None
    """Of the embedded PostgreSQL; None where the settings name one."""
    broker_url: str | None
    listener: tuple[str, int]
    api: tuple[str, int]


class DataFolder:
    """A data folder that is ours until it is closed.

    The roles inherit the lock: after a `kill -9` of `up` the next one waits until the last of
    them has ended, so that no two listeners ever write one spool.

    Raises
    ------
    Unavailable
        DATA_FOLDER where it cannot be used or another `up` uses it.
    """

    def __init__(self, path: Path, *, stop_s: float, say: Say = silent) -> None:
        self.path = path.absolute()
        _make(self.path)
        self._lock = FolderLock(self.path / _LOCK)
        try:
            self._take(stop_s, say)
        except BaseException:
            self._lock.close()
            raise

    @property
    def inherited(self) -> int:
        """The file descriptor that the roles inherit."""
        return self._lock.number

    def tell(self, running: Running) -> None:
        """Say where we serve, for the other commands."""
        unfinished = self.path / f"{_RUNNING}.new"
        unfinished.write_text(json.dumps(asdict(running), indent=1), encoding="utf-8")
        unfinished.chmod(0o600)
        unfinished.replace(self.path / _RUNNING)

    def close(self) -> None:
        """Give it back."""
        if self._lock.number >= 0:
            (self.path / _RUNNING).unlink(missing_ok=True)
        self._lock.close()

    def _take(self, stop_s: float, say: Say) -> None:
        firmer = ((_GRACE_S, signal.SIGTERM), (_GRACE_S + stop_s, signal.SIGKILL))
        while not self._lock.take():
            orphans.end(self._left_behind, "processes", firmer, say)
        os.ftruncate(self._lock.number, 0)
        os.pwrite(self._lock.number, _identity(os.getpid()).encode(), 0)

    def _left_behind(self) -> list[int]:
        """Return whom a dead `up` left with its lock."""
        holder = _living(self._lock.path)
        if holder is not None:
            raise Unavailable(
                Code.DATA_FOLDER, f"Another `fontanelle up` (process {holder}) uses {self.path}."
            )
        return orphans.holding(self._lock.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def running(data: Path) -> Running | None:
    """Return where the `up` of a data folder serves; None where none runs."""
    if _living(data / _LOCK) is None:
        return None
    with suppress(OSError, ValueError, TypeError):
        said = json.loads((data / _RUNNING).read_text(encoding="utf-8"))
        return Running(
            said["pid"],
            said["database_url"],
            said["broker_url"],
            tuple(said["listener"]),
            tuple(said["api"]),
        )
    return None


def _make(path: Path) -> None:
    try:
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            # As root the user of PostgreSQL has to pass, and sees nothing.
            path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        if not os.access(path, os.W_OK | os.X_OK) or not path.is_dir():
            raise Unavailable(Code.DATA_FOLDER, f"The data folder {path} cannot be written.")
    except OSError as error:
        raise Unavailable(
            Code.DATA_FOLDER, f"The data folder {path} cannot be made: {error.strerror}."
        ) from error


def is_readable_by_others(path: Path) -> bool:
    """Tell whether other users of this machine may list a folder."""
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _identity(pid: int) -> str:
    """Return a process id with the time of its start: ids are used again."""
    said = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    # Field 22 of proc(5); the second one, a name in parentheses, may hold anything.
    return f"{pid} {said.rpartition(')')[2].split()[19]}"


def _living(lock: Path) -> int | None:
    """Return the process that a lock file names, if it still lives."""
    with suppress(OSError, ValueError, IndexError):
        said = lock.read_text(encoding="ascii")
        pid = int(said.split()[0])
        if _identity(pid) == said:
            return pid
    return None
