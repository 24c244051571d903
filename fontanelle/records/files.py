"""Files that must survive a power cut: the spool of what came in and the store of what we made.

Knows bytes, names and the disk; knows neither DICOM nor the database. A name in either folder
means that all bytes under it are on disk: they are written under a temporary name, every write is
checked for shortness, the file is flushed, gets its name in one step, and the folder is flushed.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

from fontanelle.errors import Code, Unavailable

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
SUFFIX: Final = ".dcm"

Buffer = bytes | bytearray | memoryview

_FAN_OUT: Final = tuple(f"{index:02x}" for index in range(256))
_STORE_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SPOOL_KEY: Final = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{32})?")
_CONFLICT_DIGITS: Final = 32
_numbers = count()


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
            _make_folders(self._incoming, final.parent)
            with Temporary(self._incoming) as temporary:
                temporary.write(content)
                # Replaces: what is there has the same bytes, or was damaged since.
                temporary.replace(final)
        except OSError as error:
            raise Unavailable(
                Code.OUTPUT_UNWRITABLE,
                f"A result of {len(content)} bytes cannot be stored ({_name(error)}).",
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
        for path in _files(self._incoming):
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

    @contextmanager
    def writing(self) -> Iterator[Self]:
        """Be the one process that writes: make all folders, sweep what a dead writer left.

        Raises
        ------
        Unavailable
            DATA_FOLDER where another process writes, or the folders cannot be made.
        """
        try:
            _make_folders(self._instances, self._conflicts, self._incoming)
            _make_fan_out(self._instances)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            raise Unavailable(
                Code.DATA_FOLDER, f"The spool's folders cannot be made ({_name(error)})."
            ) from error
        try:
            _lock(lock)
            for path in _files(self._incoming):
                path.unlink(missing_ok=True)
            yield self
        finally:
            os.close(lock)

    def free_bytes(self) -> int:
        """Return the room that is left to us on the spool's file system."""
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize

    def begin(self) -> "Temporary":
        """Begin to write an instance. It vanishes unless it is kept or set aside."""
        return Temporary(self._incoming)

    def keep(self, temporary: "Temporary", key: str) -> bool:
        """Put the bytes on disk for good under a key, unless it is taken; tell whether they are.

        The first one wins, also of several at once. Where False is returned, the other one's
        name is on disk as well.
        """
        return temporary.link(self.path(key))

    def set_aside(self, temporary: "Temporary", key: str, digest: str) -> str:
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
        _sync_folder(self.path(key).parent)

    def keys(self) -> Iterator[str]:
        """Give the keys of all instances."""
        for name in _FAN_OUT:
            yield from _keys(self._instances / name)

    def conflicts(self) -> Iterator[str]:
        """Give the keys of all conflicts."""
        yield from _keys(self._conflicts)


class Temporary:
    """A file under a temporary name, until it gets its own. Leaves nothing behind otherwise."""

    __slots__ = ("_descriptor", "path", "size_bytes")

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{os.getpid()}-{next(_numbers)}-{os.urandom(4).hex()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(self.path, flags, FILE_MODE)
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, *parts: Buffer) -> None:
        """Append. On a full disk the system writes a part and says so only by the count."""
        size = sum(len(part) for part in parts)
        written = os.writev(self._descriptor, parts)
        if written < size:
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.size_bytes += size

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes that were written; fewer at the end."""
        return os.pread(self._descriptor, size, offset)

    def link(self, final: Path) -> bool:
        """Flush, and give the file its name unless it is taken; tell whether it was given."""
        self._flush()
        try:
            os.link(self.path, final)
        except FileExistsError:
            return False
        else:
            return True
        finally:
            # Also where the name was taken: its giver may not have come so far.
            _sync_folder(final.parent)

    def replace(self, final: Path) -> None:
        """Flush, and give the file its name, whatever had it before."""
        self._flush()
        self.path.replace(final)
        _sync_folder(final.parent)

    def close(self) -> None:
        """Take the temporary name away. Twice is harmless."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        os.fdatasync(self._descriptor)
        if os.fstat(self._descriptor).st_size != self.size_bytes:
            raise OSError("the file has another size than was written")


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
        for each in reversed(missing):
            each.mkdir(mode=FOLDER_MODE, exist_ok=True)
            _sync_folder(each.parent)


def _make_fan_out(folder: Path) -> None:
    # At start, so that no new folder lies between an instance and its answer.
    missing = [folder / name for name in _FAN_OUT if not (folder / name).is_dir()]
    for each in missing:
        each.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if missing:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(Code.DATA_FOLDER, "Another listener writes to the spool.") from error


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _keys(folder: Path) -> Iterator[str]:
    for path in _files(folder):
        key = path.name.removesuffix(SUFFIX)
        if path.name.endswith(SUFFIX) and _SPOOL_KEY.fullmatch(key):
            yield key


def _require(pattern: re.Pattern[str], key: str) -> None:
    if not pattern.fullmatch(key):
        raise ValueError("not a key of this store")


def _missing(error: OSError) -> Unavailable:
    return Unavailable(Code.FILE_MISSING, f"A stored file cannot be read ({_name(error)}).")


def _name(error: OSError) -> str:
    """Return the system's word for an error; its text would hold a path."""
    return os.strerror(error.errno) if error.errno else type(error).__name__
