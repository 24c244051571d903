"""One way to start a child process, and to end it: no child outlives the process that started it.

Linux ends a child whose parent *thread* ends (PR_SET_PDEATHSIG): start children from a thread
that lives as long as they shall.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

ROTATE_AT_BYTES: Final = 10 << 20
"""A log that is larger when its child starts is put aside as NAME.log.1."""
_PR_SET_PDEATHSIG: Final = 1
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What is started, and how it is asked to end."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """All of it; it may hold secrets."""
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    """Who it runs as; None is as we do."""
    log: Path | None = None
    """Where stdout and stderr are appended to; None leaves them where ours go."""
    inherited: tuple[int, ...] = ()
    """File descriptors that it shares with us."""
    given: bytes = b""
    """What it reads from stdin."""


class Child:
    """A started program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started_at = time.monotonic()
        self._process = _popen(program)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (minus the signal's number); None while it lives."""
        return self._process.poll()

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_at

    def ask_to_end(self) -> None:
        """Send its own stop signal."""
        if self.exit_code is None:
            self._process.send_signal(self.program.stop_signal)

    def kill(self) -> None:
        """End it and what it started, at once, and wait until it is gone."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, limit_s: float | None) -> bool:
        """Wait until it has ended; False where the limit came first."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, limit_s: float | None) -> bool:
        """Ask it to end, and kill it after `limit_s` seconds; False if it had to be killed."""
        self.ask_to_end()
        if self.wait(limit_s):
            return True
        self.kill()
        return False


def _popen(program: Program) -> subprocess.Popen[bytes]:
    account, parent, number = program.account, os.getpid(), int(program.stop_signal)
    log = None if program.log is None else _opened(program.log)
    try:
        process = subprocess.Popen(  # noqa: S603 (our own programs, no shell)
            program.command,
            env=dict(program.environment),
            # Ours may be a folder that the account cannot enter.
            cwd="/",
            stdin=subprocess.PIPE if program.given else subprocess.DEVNULL,
            stdout=log,
            stderr=None if log is None else subprocess.STDOUT,
            pass_fds=program.inherited,
            # Ctrl-C at a terminal reaches us alone; the order of ending is ours.
            start_new_session=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            umask=0o077,
            preexec_fn=lambda: _end_with(parent, number),  # noqa: PLW1509
        )
    finally:
        if log is not None:
            log.close()
    if process.stdin is not None:
        with process.stdin as pipe, suppress(BrokenPipeError):
            pipe.write(program.given)
    return process


def _end_with(parent: int, number: int) -> None:
    """In the child, after its change of user (which would clear it): end when the parent does."""
    _PRCTL(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > ROTATE_AT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
