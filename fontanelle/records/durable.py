"""Bytes and names that survive a power cut: the few steps of it, each checked."""

import os
from itertools import count
from pathlib import Path
from typing import Final, Self

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

Buffer = bytes | bytearray | memoryview

_numbers = count()


class Temporary:
    """A file under a temporary name, until it gets its own. Leaves nothing behind otherwise."""

    __slots__ = ("_descriptor", "_is_ours", "path", "size_bytes")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._descriptor = descriptor
        self._is_ours = True

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Open a new file in a folder."""
        path = temporary_name(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        return cls(path, os.open(path, flags, FILE_MODE))

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

    def flush(self) -> None:
        """Have all bytes on disk."""
        os.fdatasync(self._descriptor)
        if os.fstat(self._descriptor).st_size != self.size_bytes:
            raise OSError("the file has another size than was written")

    def link(self, final: Path) -> bool:
        """Flush, and give the file its name for good unless it is taken; tell whether it was."""
        self.flush()
        try:
            os.link(self.path, final)
        except FileExistsError:
            return False
        else:
            return True
        finally:
            # Also where the name was taken: its giver may not have come so far.
            sync_folder(final.parent)

    def replace(self, final: Path) -> None:
        """Flush, and give the file its name for good, whatever had it before."""
        self.flush()
        self.path.replace(final)
        sync_folder(final.parent)

    def close(self) -> None:
        """Take the temporary name away, unless it was left to somebody. Twice is harmless."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if self._is_ours:
            self.path.unlink(missing_ok=True)


def temporary_name(folder: Path) -> Path:
    """Return a path that nothing has."""
    return folder / f"{os.getpid()}-{next(_numbers)}-{os.urandom(4).hex()}"


def make_folders(*folders: Path) -> None:
    """Make folders and what is missing above them, for good."""
    for folder in folders:
        missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
        for each in reversed(missing):
            each.mkdir(mode=FOLDER_MODE, exist_ok=True)
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_in(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted; nothing if there is none."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def error_name(error: OSError) -> str:
    """Return the system's word for an error; its text would hold a path."""
    return os.strerror(error.errno) if error.errno else type(error).__name__
