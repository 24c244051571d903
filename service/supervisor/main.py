"""`fontanelle up` without its command line: serves until a signal ends it."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from fontanelle import log
from fontanelle.settings import Settings
from service.embedded.server import Say, silent
from service.supervisor.supervisor import LOOK_S, Supervisor

Tell = Callable[[Settings], None]
"""Is told the settings as they were resolved."""


def _nothing(settings: Settings) -> None:
    """Tell nobody."""


class _Stopped(BaseException):  # noqa: N818 (not an error)
    """Somebody asked us to end."""


@dataclass(slots=True)
class _Phase:
    """Whether we still serve. No event: a signal may come while that holds its own lock."""

    is_serving: bool = True


def run(settings: Settings, *, say: Say = silent, tell: Tell = _nothing) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; a second signal ends the roles at once.

    Parameters
    ----------
    say
        Is told what is waited for, and what does not come.
    tell
        Is told what is served, once all roles are well.
    """
    log.configure("supervisor")
    serve(Supervisor(settings, say=say), say=say, tell=tell)


def serve(supervisor: Supervisor, *, say: Say = silent, tell: Tell = _nothing) -> None:
    """Start a supervisor and end it as `run` says."""
    with _signals(supervisor) as phase:
        try:
            supervisor.start()
            _look_after(supervisor, say, tell)
        except _Stopped:
            say("stopping ...")
        finally:
            phase.is_serving = False
            supervisor.stop()


def _look_after(supervisor: Supervisor, say: Say, tell: Tell) -> None:
    """Say what becomes of the roles, until a signal ends this."""
    told, said = False, set[str]()
    while supervisor.is_watching:
        if not told and not supervisor.waited_for():
            told = True
            tell(supervisor.settings)
        for role, sentence in supervisor.failing().items():
            # Whoever sends must be able to, even where nobody can measure now: the others go on.
            if role not in said:
                say(f"Warning: {sentence} It is tried again.")
            said.add(role)
        time.sleep(LOOK_S)


@contextmanager
def _signals(supervisor: Supervisor) -> Iterator[_Phase]:
    """Raise at the first signal while we serve; make haste at every further one."""
    phase = _Phase()

    def noticed(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if phase.is_serving:
            phase.is_serving = False
            raise _Stopped
        supervisor.hurry()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, noticed) for number in numbers}
    try:
        yield phase
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
