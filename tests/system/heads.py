"""Heads to send: the coarse phantom, whose result is full; and any series under other UIDs."""

import atexit
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset, dcmread

from fontanelle.uids import derived_uid
from models.phantom.head import Recipe, make
from models.phantom.scan import Field, View, grid
from models.phantom.series import Header, write_series

COARSE = Field(slices=64, rows_columns=(192, 192), step_mm=2.4, pixel_mm=1.14)
"""As coarse as a comparison bears: a series of 5 MB that is measured in two seconds."""
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")

Change = Callable[[Dataset], None]


@dataclass(frozen=True)
class Sent:
    """A series on its way: its files, and the UIDs by which it is found again."""

    files: tuple[Path, ...]
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return self.files[0].parent


def phantom(folder: Path, label: str, change: Change | None = None) -> Sent:
    """Write the coarse phantom as a study of its own, which the label tells from others."""
    return restamped(sorted(_phantom().iterdir()), folder, label, change)


def restamped(
    files: Iterable[Path], folder: Path, label: str, change: Change | None = None
) -> Sent:
    """Write a series once more under other UIDs, derived from its own and a label.

    Parameters
    ----------
    change
        Is given each instance before it is written.
    """
    folder.mkdir(parents=True)
    for number, path in enumerate(files, start=1):
        instance = dcmread(path)
        for name in _UIDS:
            if name in instance:
                instance[name].value = derived_uid("restamped", label, str(instance[name].value))
        if change is not None:
            change(instance)
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)
    return as_sent(sorted(folder.iterdir()))


def as_sent(files: Iterable[Path]) -> Sent:
    """Return the files of one series with their UIDs."""
    found = tuple(files)
    headers = [dcmread(path, stop_before_pixels=True) for path in found]
    return Sent(
        found,
        str(headers[0].StudyInstanceUID),
        str(headers[0].SeriesInstanceUID),
        tuple(str(each.SOPInstanceUID) for each in headers),
    )


@cache
def _phantom() -> Path:
    folder = TemporaryDirectory(prefix="fontanelle-tests-")
    atexit.register(folder.cleanup)
    write_series(Path(folder.name) / "head", make(Recipe()), grid(View.AXIAL, COARSE), Header())
    return Path(folder.name) / "head"
