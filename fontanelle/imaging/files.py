"""What lies at a path: a folder, an archive of one, or a NIfTI file. Knows names, not contents."""

import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from errno import ENOSPC
from functools import partial
from io import BytesIO
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import IO, Self

from fontanelle.errors import Code, Refused, Unavailable

NIFTI_SUFFIXES = (".nii", ".nii.gz")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
ARCHIVE_LIMIT_BYTES = 8 << 30
"""An archive may unpack to this much: 15,000 slices of 512 x 512."""
ARCHIVE_LIMIT_FILES = 50_000

_BROKEN_ARCHIVE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    LZMAError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # A compression that zipfile does not know.
)

Member = tuple[str, int, Callable[[], IO[bytes] | None]]


def is_nifti(path: Path) -> bool:
    """Tell whether the name is that of a NIfTI file."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


@contextmanager
def opened(path: Path) -> Iterator[list[Path]]:
    """Give the regular files at a path, sorted by name.

    Parameters
    ----------
    path
        A folder (with all folders in it), a single file, or a .tar, .tar.gz, .tar.xz or .zip,
        which is unpacked into a private temporary folder for as long as the context is open. Its
        files come under numbers in the order of the archive: names may be a patient's.

    Raises
    ------
    Refused
        Nothing is there or cannot be looked at, the archive is broken, too large or names files
        outside itself, or there is no file in it.
    """
    with refused_if_unreadable():
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder:
        yield _require_any(_regular_files(path))
    elif not is_file:
        raise Refused(Code.INPUT_NOT_FOUND, "There is no file or folder of that name.")
    elif is_nifti(path) or not _is_archive(path):
        yield [path]
    else:
        with tempfile.TemporaryDirectory(prefix="fontanelle-") as folder:
            _unpack(path, Path(folder))
            yield _require_any(_regular_files(Path(folder)))


@contextmanager
def refused_if_unreadable() -> Iterator[None]:
    """Turn what the system says of a file that it does not give into INPUT_UNREADABLE."""
    try:
        yield
    except OSError as error:
        raise Refused(
            Code.INPUT_UNREADABLE,
            f"A file or folder cannot be read ({type(error).__name__}): slices may be missing. "
            "Look at its permissions.",
        ) from error


def _require_any(files: list[Path]) -> list[Path]:
    if not files:
        raise Refused(Code.INPUT_NO_DICOM, "There is no file in the folder or archive.")
    return files


def _regular_files(folder: Path) -> list[Path]:
    with refused_if_unreadable():
        return sorted(path for path in _below(folder) if not _is_litter(path.name))


def _below(folder: Path) -> Iterator[Path]:
    # Not Path.rglob: it passes over a folder that it may not list, and slices vanish.
    for parent, _folders, names in os.walk(folder, onerror=_raise):
        for name in names:
            path = Path(parent, name)
            # A link to nothing is a lost slice: it stays, to be refused where it is read.
            if path.is_file() or not path.exists():
                yield path


def _raise(error: OSError) -> None:
    raise error


def _is_litter(name: str) -> bool:
    # Names with a dot in front (.DS_Store, ._IM0001) are left by file managers.
    return name.startswith(".")


def _is_archive(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith((".zip", ".tgz", ".txz")) or ".tar" in name[-8:]


def _unpack(path: Path, folder: Path) -> None:
    try:
        if path.name.lower().endswith(".zip"):
            _unpack_zip(path, folder)
        else:
            _unpack_tar(path, folder)
    except _BROKEN_ARCHIVE as error:
        if isinstance(error, OSError) and error.errno == ENOSPC:
            raise Unavailable(
                Code.OUTPUT_UNWRITABLE, "The temporary folder has no room for the archive."
            ) from error
        raise Refused(
            Code.INPUT_ARCHIVE, f"The archive cannot be unpacked ({type(error).__name__})."
        ) from error


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if any(stat.S_ISLNK(info.external_attr >> 16) for info in members):
            raise Refused(Code.INPUT_ARCHIVE, "The archive holds links.")
        if any(info.flag_bits & 1 for info in members):
            raise Refused(Code.INPUT_ARCHIVE, "The archive is encrypted.")
        _write_all(
            ((info.filename, info.file_size, partial(archive.open, info)) for info in members),
            folder,
        )


class _Entry(tarfile.TarInfo):
    """A header that tells the end of an archive from an archive that just ends.

    tarfile takes a damaged or half header, and the end of the file, for the end of the archive:
    the slices behind it would vanish without a word.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read one header."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
                raise
            raise tarfile.ReadError("no end marker") from error


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path, tarinfo=_Entry) as archive:
        _write_all(_tar_members(archive), folder)


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if info.isdir():
            continue
        if not info.isfile():
            raise Refused(Code.INPUT_ARCHIVE, "The archive holds links or devices.")
        yield info.name, info.size, partial(archive.extractfile, info)


def _write_all(members: Iterable[Member], folder: Path) -> None:
    total_bytes = 0
    seen: set[PurePosixPath] = set()
    for count, (name, size_bytes, open_member) in enumerate(members, start=1):
        total_bytes += size_bytes
        if total_bytes > ARCHIVE_LIMIT_BYTES or count > ARCHIVE_LIMIT_FILES:
            raise Refused(
                Code.INPUT_ARCHIVE,
                f"The archive unpacks to more than {ARCHIVE_LIMIT_BYTES >> 30} GB "
                f"or {ARCHIVE_LIMIT_FILES} files.",
            )
        inside = _inside(name)
        if inside in seen:
            raise Refused(Code.INPUT_ARCHIVE, "The archive holds two files of one name.")
        seen.add(inside)
        if not _is_litter(inside.name):
            with open_member() or BytesIO() as content:
                _write(folder / f"{count:05}{_suffix(inside.name)}", size_bytes, content)


def _inside(name: str) -> PurePosixPath:
    parts = PurePosixPath(name.replace("\\", "/"))  # Some Windows programs write these.
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise Refused(Code.INPUT_ARCHIVE, "The archive names files outside itself.")
    return parts


def _suffix(name: str) -> str:
    # Only those that mean something to us: what follows a dot may be a name as well.
    known = (each for each in NIFTI_SUFFIXES + DICOM_SUFFIXES if name.lower().endswith(each))
    return next(known, "")


def _write(target: Path, size_bytes: int, content: IO[bytes]) -> None:
    # Written by hand, not by extractall: no owner, mode or time of the archive comes along, and
    # nobody but us may read it.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        copyfileobj(content, file)
        if file.tell() != size_bytes:
            raise Refused(Code.INPUT_ARCHIVE, "The archive ends within a file.")
