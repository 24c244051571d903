"""What the embedded servers have in common: launched, ready, stopped, with words in between."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fontanelle.errors import Code, Unavailable
from service.embedded.child import Child

Say = Callable[[str], None]
"""Tells a person, in one line, what is waited for."""
_LOOK_S: Final = 0.02
_SAY_EVERY_S: Final = 5.0


def silent(line: str) -> None:
    """Tell nobody."""


class Server(ABC):
    """A server of our own, as a child; a context manager that starts and stops it."""

    name: str

    def __init__(self, log: Path, say: Say) -> None:
        self.child: Child | None = None
        self._log = log
        self._say = say

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it answers; stays the same when it is launched again."""

    @abstractmethod
    def launch(self) -> None:
        """Start it, after what an earlier one left has ended; do not wait until it is ready."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it answers."""

    @abstractmethod
    def stop(self) -> None:
        """End it and wait until it has ended; nothing is left."""

    def start(self) -> Self:
        """Launch it and wait until it answers, for as long as it lives.

        Raises
        ------
        Unavailable
            EMBEDDED_SERVER where it cannot be started or ends before it answers.
        """
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self) -> None:
        """Wait until it answers. Without a limit: recovering from a crash takes what it takes."""
        assert self.child is not None  # noqa: S101
        said = time.monotonic()
        while not self.is_ready():
            if self.child.exit_code is not None:
                raise self._ended()
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                self._say(f"{self.name} is not ready yet ({self.child.age_s:.0f} s) ...")
            time.sleep(_LOOK_S)

    def _ended(self) -> Unavailable:
        assert self.child is not None  # noqa: S101
        return Unavailable(
            Code.EMBEDDED_SERVER,
            f"{self.name} ended with exit code {self.child.exit_code} before it was ready; "
            f"see {self._log}{_last_words(self._log)}.",
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _last_words(log: Path) -> str:
    """Return the reason that a server gave last."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-50:]
    except OSError:
        return ""
    # PostgreSQL's; else whatever came last.
    fatal = [line.split("FATAL:", 1)[1] for line in lines if "FATAL:" in line]
    said = [line for line in (fatal or lines) if line.strip()]
    return f" ({said[-1].strip().rstrip('.')})" if said else ""
