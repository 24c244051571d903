"""Files that must survive a power cut: the spool of what came in and the store of what we made.

Knows bytes, names and the disk; knows neither DICOM nor the database. A name in either folder
means that all bytes under it are on disk: they are written under a temporary name, every write is
checked for shortness, the file is flushed, and gets its name in one step, for good.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

from fontanelle.errors import Code, Unavailable
from fontanelle.records.durable import (
    FILE_MODE,
    FOLDER_MODE,
    Buffer,
    Temporary,
    error_name,
    files_in,
    make_folders,
    sync_folder,
)
from fontanelle.records.landing import ROOM_BYTES, Landed, Landing, sealed_key

SUFFIX: Final = ".dcm"

_FAN_OUT: Final = tuple(f"{index:02x}" for index in range(256))
_STORE_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SPOOL_KEY: Final = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{32})?")
_CONFLICT_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where a file lies in a store, and what it is."""

    key: str
    sha256: str
    size_bytes: int


class FileStore(Protocol):
    """Keeps what we made; a folder now, an object store another day."""

    def put(self, content: Buffer) -> StoredFile:
        """Keep the bytes for good. The same bytes twice are one file."""

    def read(self, key: str) -> bytes:
        """Return the bytes, having checked that they are those that were put."""

    def path(self, key: str) -> Path:
        """Return where a local program may read them."""


class LocalStore:
    """A folder of files named by the digest of their bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def put(self, content: Buffer) -> StoredFile:
        """Keep the bytes for good. The same bytes twice are one file.

        Raises
        ------
        Unavailable
            OUTPUT_UNWRITABLE where the disk does not take them; nothing is left behind.
        """
        digest = hashlib.sha256(content).hexdigest()
        final = self.path(digest)
        try:
            make_folders(self._incoming, final.parent)
            with Temporary.create(self._incoming) as temporary:
                temporary.write(content)
                # Replaces: what is there has the same bytes, or was damaged since.
                temporary.replace(final)
        except OSError as error:
            raise Unavailable(
                Code.OUTPUT_UNWRITABLE,
                f"A result of {len(content)} bytes cannot be stored ({error_name(error)}).",
            ) from error
        return StoredFile(digest, digest, len(content))

    def read(self, key: str) -> bytes:
        """Return the bytes.

        Raises
        ------
        Unavailable
            FILE_MISSING where they are not there, or are others than were put.
        """
        try:
            content = self.path(key).read_bytes()
        except OSError as error:
            raise _missing(error) from error
        if hashlib.sha256(content).hexdigest() != key:
            raise Unavailable(Code.FILE_MISSING, "A stored file was changed or damaged.")
        return content

    def path(self, key: str) -> Path:
        """Return where the bytes of a key lie, or would lie."""
        _require(_STORE_KEY, key)
        return self._folder / key[:2] / key

    def sweep(self, before_s: float) -> int:
        """Remove what writers that died left before this time (seconds since 1970)."""
        removed = 0
        for path in files_in(self._incoming):
            with suppress(FileNotFoundError):  # Its writer is alive and was quicker.
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    removed += 1
        return removed


def spool_key(sop_instance_uid: str) -> str:
    """Return under which name an instance lies in the spool: a UID itself is never a path."""
    return hashlib.sha256(sop_instance_uid.encode()).hexdigest()


class Spool:
    """The folder of instances as received; one process writes, any may read.

    `instances/<2 digits>/<key>.dcm` holds the first instance of a UID, `conflicts/<key>.dcm` those
    of the same UID and other content. A key is the digest of the UID; that of a conflict goes on
    with a dot and the beginning of the content's digest.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._instances = folder / "instances"
        self._conflicts = folder / "conflicts"
        self._incoming = folder / "incoming"
        self._landing = Landing(self._incoming)

    @contextmanager
    def writing(self) -> Iterator[Self]:
        """Be the one process that writes: make all folders, take up what a dead writer left.

        Raises
        ------
        Unavailable
            DATA_FOLDER where another process writes, or the folders cannot be made.
        """
        try:
            make_folders(self._instances, self._conflicts, self._incoming)
            _make_fan_out(self._instances)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            raise Unavailable(
                Code.DATA_FOLDER, f"The spool's folders cannot be made ({error_name(error)})."
            ) from error
        try:
            _lock(lock)
            self._recover()
            self._landing = Landing(self._incoming)
            with self._landing:
                yield self
        finally:
            os.close(lock)

    def free_bytes(self) -> int:
        """Return the room that is left to us on the spool's file system."""
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize

    def begin(self) -> Landed:
        """Begin to write an instance. It vanishes unless it is kept or set aside.

        If it begins with 128 zero bytes, as a DICOM file does, one flush will do to keep it; they
        are put to use for that.
        """
        return self._landing.take()

    def keep(self, temporary: Landed, key: str) -> bool:
        """Put the bytes on disk for good under a key, unless it is taken; tell whether they are.

        The first one wins, also of several at once. Where False is returned, the other one's
        name is on disk as well.
        """
        final = self.path(key)
        was_given = temporary.link_sealed(key, final)
        if was_given is None:
            return temporary.link(final)
        if was_given:
            self._landing.settle_later(temporary.path, final)
        else:
            sync_folder(final.parent)
        return was_given

    def set_aside(self, temporary: Landed, key: str, digest: str) -> str:
        """Put a conflicting instance on disk for good; return its key. Twice is harmless."""
        conflict = f"{key}.{digest[:_CONFLICT_DIGITS]}"
        temporary.link(self.path(conflict))
        return conflict

    def holds(self, key: str) -> bool:
        """Tell whether there is an instance of that key."""
        return self.path(key).exists()

    def path(self, key: str) -> Path:
        """Return where the instance or conflict of a key lies, or would lie."""
        _require(_SPOOL_KEY, key)
        folder = self._conflicts if "." in key else self._instances / key[:2]
        return folder / (key + SUFFIX)

    def open(self, key: str) -> BinaryIO:
        """Open an instance or a conflict for reading.

        Raises
        ------
        Unavailable
            FILE_MISSING where it is not there.
        """
        try:
            return self.path(key).open("rb")
        except OSError as error:
            raise _missing(error) from error

    def sync_name(self, key: str) -> None:
        """Make sure that the name of an instance is on disk, whoever wrote it."""
        sync_folder(self.path(key).parent)

    def keys(self) -> Iterator[str]:
        """Give the keys of all instances."""
        for name in _FAN_OUT:
            yield from _keys(self._instances / name)

    def conflicts(self) -> Iterator[str]:
        """Give the keys of all conflicts."""
        yield from _keys(self._conflicts)

    def _recover(self) -> None:
        """Name what was sealed and lost its name to a power cut; sweep what was not sealed."""
        sealed = []
        for path in sorted(files_in(self._incoming), key=_modified_s):
            key = sealed_key(path)
            if key is None or not _STORE_KEY.fullmatch(key):
                path.unlink()
            else:
                sealed.append((path, self._named(path, key)))
        for folder in {named.parent for _, named in sealed}:
            sync_folder(folder)
        for path, _ in sealed:
            path.unlink()

    def _named(self, path: Path, key: str) -> Path:
        """Give a sealed file its name, or one beside it if another content has that."""
        final = self.path(key)
        if final.exists() and not _same_content(path, final):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            final = self.path(f"{key}.{digest[:_CONFLICT_DIGITS]}")
        with suppress(FileExistsError):
            os.link(path, final)
        return final


def _make_fan_out(folder: Path) -> None:
    # At start, so that no new folder lies between an instance and its answer.
    missing = [folder / name for name in _FAN_OUT if not (folder / name).is_dir()]
    for each in missing:
        each.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if missing:
        sync_folder(folder)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(Code.DATA_FOLDER, "Another listener writes to the spool.") from error


def _same_content(one: Path, other: Path) -> bool:
    """Compare two files but for their seals."""
    if one.samefile(other) or one.stat().st_size != other.stat().st_size:
        return one.samefile(other)
    return one.read_bytes()[ROOM_BYTES:] == other.read_bytes()[ROOM_BYTES:]


def _modified_s(path: Path) -> float:
    return path.stat().st_mtime


def _keys(folder: Path) -> Iterator[str]:
    for path in files_in(folder):
        key = path.name.removesuffix(SUFFIX)
        if path.name.endswith(SUFFIX) and _SPOOL_KEY.fullmatch(key):
            yield key


def _require(pattern: re.Pattern[str], key: str) -> None:
    if not pattern.fullmatch(key):
        raise ValueError("not a key of this store")


def _missing(error: OSError) -> Unavailable:
    return Unavailable(Code.FILE_MISSING, f"A stored file cannot be read ({error_name(error)}).")
