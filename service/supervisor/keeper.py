"""One program that shall always run: started again when it ends, replaced when it is stuck."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from fontanelle import log
from fontanelle.errors import FontanelleError
from service.embedded.child import Child

_LOG = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Seconds that never go back."""


class Sign(Enum):
    """What one look at a program found."""

    ALIVE = auto()
    SILENT = auto()
    """It gave no sign; only silence that lasts is held against it."""
    STUCK = auto()
    """It lives, makes no progress, and that for long enough: replace it now."""
    UNKNOWN = auto()
    """Nothing can be said, as when the database is away: nothing is held against it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign, and of which process."""

    pid: int
    sign: Sign


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient a keeper is, in seconds."""

    stalled_s: float
    """With one that had been well."""
    start_s: float
    """With one that has just been started."""
    back_off_first_s: float = 0.2
    back_off_most_s: float = 10.0
    settled_s: float = 60.0
    """After so long a life the next end counts as the first."""


class Keeper:
    """Keeps one program running; `look` is called again and again."""

    def __init__(
        self,
        name: str,
        launch: Callable[[], Child],
        limits: Limits,
        clock: Clock = time.monotonic,
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self.is_ready = False
        self.ends = 0
        """How often it ended without having been well."""
        self.exit_code: int | None = None
        """How it ended last."""
        self._launch = launch
        self._limits = limits
        self._clock = clock
        self._due_at = 0.0
        self._back_off_s = limits.back_off_first_s
        self._silent_since: float | None = None

    def adopt(self, child: Child) -> None:
        """Take over a program that was started before and is well."""
        self.child = child
        self.is_ready = True

    def look(self, seen: Seen | None = None) -> None:
        """Do what is to be done now; `seen` is the latest sign, if any."""
        if self.child is None:
            if self._clock() >= self._due_at:
                self._start()
        elif self.child.exit_code is not None:
            self._note_end(self.child, self.child.exit_code)
        elif seen is not None and seen.pid == self.child.pid:
            self._judge(self.child, seen.sign)

    def _start(self) -> None:
        try:
            self.child = self._launch()
        except (FontanelleError, OSError) as error:
            log.failure(_LOG, "supervisor.not_started", error, role=self.name)
            self._put_off()
            return
        self._silent_since = None
        log.event(_LOG, "supervisor.started", role=self.name, pid=self.child.pid)

    def _note_end(self, child: Child, exit_code: int) -> None:
        log.warning(
            _LOG,
            "supervisor.ended",
            role=self.name,
            pid=child.pid,
            exit=exit_code,
            took_s=round(child.age_s, 1),
        )
        if child.age_s >= self._limits.settled_s:
            self._back_off_s = self._limits.back_off_first_s
        self.ends = 0 if self.is_ready else self.ends + 1
        self.exit_code = exit_code
        self.child = None
        self.is_ready = False
        self._put_off()

    def _put_off(self) -> None:
        self._due_at = self._clock() + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, self._limits.back_off_most_s)

    def _judge(self, child: Child, sign: Sign) -> None:
        if sign is Sign.ALIVE:
            self.is_ready = True
        if sign is not Sign.SILENT:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = self._clock()
        if sign is Sign.STUCK or self._is_silent_for_long():
            log.warning(_LOG, "supervisor.replaced", role=self.name, pid=child.pid, state=sign.name)
            self._silent_since = None
            child.kill()

    def _is_silent_for_long(self) -> bool:
        if self._silent_since is None:
            return False
        limit_s = self._limits.stalled_s if self.is_ready else self._limits.start_s
        return self._clock() - self._silent_since > limit_s
