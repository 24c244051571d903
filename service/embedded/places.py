"""Where the embedded servers keep what is theirs, and as whom they run.

PostgreSQL refuses to run as root. As root it therefore runs as another user, who must be able to
reach its binaries and its cluster; where a folder is closed to that user, another place is found.
The mode of a folder that is not ours is never changed.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from fontanelle.errors import Code, Unavailable
from service.embedded.child import Account

ACCOUNTS: Final = ("fontanelle", "embedded_postgres", "nobody")
"""Who PostgreSQL runs as where we are root: the first that exists."""
ELSEWHERE: Final = (Path("/var/lib/fontanelle"), Path("/var/tmp/fontanelle"))  # noqa: S108
"""Where root puts what the data folder cannot hold; made and owned by root alone."""
SHORT: Final = (Path("/run"), Path("/tmp"))  # noqa: S108
SOCKET_PATH_BYTES: Final = 107
"""sun_path of unix(7), less the zero at its end."""
_SOCKET_NAME_BYTES: Final = len("/.s.PGSQL.5432")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/-]+")


def server_account() -> Account | None:
    """Return whom a server runs as; None is as we do.

    Raises
    ------
    Unavailable
        EMBEDDED_SERVER if we are root and there is nobody else.
    """
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Unavailable(
        Code.EMBEDDED_SERVER,
        "PostgreSQL does not run as root, and there is no user `nobody`: run as another user, "
        "add a user `fontanelle`, or set FONTANELLE_DATABASE_URL.",
    )


def own_name() -> str:
    """Return what the operating system calls us: PostgreSQL asks who is at its socket."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise Unavailable(
            Code.EMBEDDED_SERVER,
            f"The user id {os.geteuid()} has no name on this machine, so the embedded PostgreSQL "
            "cannot know it: add it to /etc/passwd, or set FONTANELLE_DATABASE_URL.",
        ) from None


def can_run(command: tuple[str, ...], account: Account | None) -> bool:
    """Tell whether an account can start a program. Tried, not guessed: modes are not all."""
    try:
        done = subprocess.run(  # noqa: S603 (our own programs, no shell)
            command,
            cwd="/",
            check=False,
            capture_output=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
    except OSError:
        return False
    return done.returncode == 0


def can_enter(folder: Path, account: Account | None) -> bool:
    """Tell whether an account can reach what lies in a folder."""
    return can_run(("test", "-x", str(folder)), account)


def own_folder(path: Path, mode: int = 0o700) -> Path:
    """Make a folder of ours, and its parents, or see that it is one.

    Raises
    ------
    Unavailable
        DATA_FOLDER if it cannot be made; or is a link, somebody else's, or open to others'
        writing: in a folder like /tmp anybody may have made one of that name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise Unavailable(Code.DATA_FOLDER, f"{path} is not a folder of this user.")
        if stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)
    except OSError as error:
        raise Unavailable(
            Code.DATA_FOLDER, f"The folder {path} cannot be made or used: {error.strerror}."
        ) from error
    return path


def elsewhere(name: str) -> Path | None:
    """Return a folder of root's of this name that every user can reach; None if none can be."""
    for parent in ELSEWHERE:
        try:
            return own_folder(own_folder(parent, 0o711) / name, 0o711)
        except Unavailable:
            continue
    return None


def short_name(path: Path) -> str:
    """Return a short name that stands for a path."""
    return sha256(os.fsencode(path.absolute())).hexdigest()[:12]


def socket_folder(preferred: Path, account: Account | None) -> Path:
    """Return a folder, closed to others, whose sockets have a path that is short and plain.

    Parameters
    ----------
    preferred
        Taken where its path fits; else one below /run or /tmp that its path determines.
    account
        Who makes the socket.
    """
    folder = preferred if _fits(preferred) else _short_folder(preferred)
    if account is None:
        return own_folder(folder)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid:
            return folder
        own_folder(folder)
        os.chown(folder, account.uid, account.gid)
    except OSError as error:
        raise Unavailable(
            Code.EMBEDDED_SERVER, f"The socket's folder {folder} cannot be made: {error.strerror}."
        ) from error
    return folder


def give_back(folder: Path, preferred: Path) -> None:
    """Remove an empty folder of sockets that lies elsewhere."""
    if folder != preferred:
        with suppress(OSError):
            folder.rmdir()


def _short_folder(preferred: Path) -> Path:
    parent = next(each for each in SHORT if os.access(each, os.W_OK))
    return parent / f"fontanelle-{short_name(preferred)}"


def _fits(folder: Path) -> bool:
    # A comma or a space would part the path in PostgreSQL's settings or in a URL.
    length = len(os.fsencode(folder)) + _SOCKET_NAME_BYTES
    return length <= SOCKET_PATH_BYTES and _PLAIN.fullmatch(str(folder)) is not None


def copied(source: Path, parts: tuple[str, ...], target: Path) -> Path:
    """Copy `parts` of a folder to `target`, whole or not at all; a finished copy is kept."""
    if target.exists():
        return target
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for part in parts:
            if (source / part).exists():
                shutil.copytree(source / part, partial / part, symlinks=True)
        _open_to_all(partial)
        # Somebody else may have been quicker.
        with suppress(OSError):
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _open_to_all(folder: Path) -> None:
    """Let everybody read and run what we copied; our umask closed it."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
