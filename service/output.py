"""The folder that results are written to: all of a run's files or none, and no other run's."""

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
    "labels.nii.gz",
    "overlay.png",
    "report.html",
    "report.json",
)
"""In the order in which they appear: where `report.json` is, the others of its run are too."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that can be written, and a hidden one inside for what is not finished.

    Inside, not beside: a mounted folder cannot be renamed into from its parent.
    """

    folder: Path
    unfinished: Path

    def write(self, files: Mapping[str, bytes]) -> list[Path]:
        """Write all files under hidden names, sync them, then move them to their places.

        Parameters
        ----------
        files
            Name, one of `RESULT_NAMES`, to content.

        Returns
        -------
        list of Path
            Where they are, in the order of `RESULT_NAMES`.

        Raises
        ------
        Refused
            If the disk is full or goes away; none of the files is then there.
        """
        names = sorted(files, key=RESULT_NAMES.index)
        with _refusing_os_errors():
            for name in names:
                _write_synced(self.unfinished / name, files[name])
            try:
                written = [(self.unfinished / name).replace(self.folder / name) for name in names]
                _sync_folder(self.folder)
            except OSError:
                _remove_results(self.folder)
                raise
        return written


@contextmanager
def output_folder(path: Path, reading: Path | None = None) -> Iterator[OutputFolder]:
    """Make `path` ready to be written before the work is done; leave no trace if none was.

    Results of an earlier run are removed at once: however this one ends, nobody who takes files
    from the folder takes another child's.

    Parameters
    ----------
    path
        Made where it is missing, with its parents.
    reading
        What the work will read; never removed.

    Raises
    ------
    Refused
        `output.unwritable` with the operating system's reason, or because `reading` is what would
        be removed.
    """
    if reading is not None:
        _refuse_to_remove(reading, path)
    with _refusing_os_errors():
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with _refusing_os_errors():
            path.mkdir(parents=True, exist_ok=True)
            _remove_results(path)
            unfinished = tempfile.TemporaryDirectory(
                prefix=".fontanelle-", dir=path, ignore_cleanup_errors=True
            )
        with unfinished as name:
            yield OutputFolder(path, Path(name))
    finally:
        for folder in made:
            with suppress(OSError):  # not empty: the results are in it
                folder.rmdir()


def _refuse_to_remove(reading: Path, out: Path) -> None:
    source, folder = reading.resolve(), out.resolve()
    if source == folder or source in {folder / name for name in RESULT_NAMES}:
        raise Refused(
            Code.OUTPUT_UNWRITABLE,
            "The input lies where the results of an earlier run are removed; name another output "
            "folder.",
        )


def _remove_results(folder: Path) -> None:
    present = [folder / name for name in RESULT_NAMES if os.path.lexists(folder / name)]
    for path in reversed(present):
        path.unlink()
    if present:
        _sync_folder(folder)


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
