"""The folder that results are written to: all of a run's files, or none of them."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fontanelle.errors import Code, Refused

RESULT_NAMES: Final = (
    "segmentation.dcm",
    "report.dcm",
    "report.json",
    "labels.nii.gz",
    "overlay.png",
)
"""Whatever of these an earlier run left is replaced or removed: no folder mixes two runs."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that can be written, and a hidden one inside for what is not finished.

    Inside, not beside: a mounted folder cannot be renamed into from its parent.
    """

    folder: Path
    unfinished: Path

    def write(self, files: Mapping[str, bytes]) -> list[Path]:
        """Write all files under hidden names, sync them, then move them to their places.

        Raises
        ------
        Refused
            If the disk is full or goes away; the files of an earlier run are then untouched,
            unless it happened between two renames.
        """
        with _refusing_os_errors():
            for name, content in files.items():
                _write_synced(self.unfinished / name, content)
            for name in RESULT_NAMES:
                if name not in files:
                    (self.folder / name).unlink(missing_ok=True)
            written = [(self.unfinished / name).replace(self.folder / name) for name in files]
            _sync_folder(self.folder)
            return written


@contextmanager
def output_folder(path: Path) -> Iterator[OutputFolder]:
    """Make `path` ready to be written before the work is done; leave no trace if none was.

    Parameters
    ----------
    path
        Made where it is missing, with its parents.

    Raises
    ------
    Refused
        `output.unwritable` with the operating system's reason.
    """
    with _refusing_os_errors():
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".fontanelle-", dir=path))
    try:
        yield OutputFolder(path, unfinished)
    finally:
        for left in unfinished.iterdir():
            left.unlink()
        unfinished.rmdir()
        for folder in made:
            with suppress(OSError):  # not empty: the results are in it
                folder.rmdir()


@contextmanager
def _refusing_os_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            Code.OUTPUT_UNWRITABLE, f"The output folder cannot be written: {error.strerror}."
        ) from error


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
