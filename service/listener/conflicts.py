"""Tell two instances of one UID apart: the same one, a corrected patient, or other content."""

import struct
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from fontanelle.errors import FontanelleError
from service.listener.header import read_header
from service.listener.part10 import content_digest, read_meta

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

_CHUNK: Final = 1 << 20
_PATIENT_GROUP: Final = 0x0010
_PADDING_TAG: Final = 0xFFFCFFFC
_UNDECODABLE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
)
"""What pydicom raises for values that are none of their kind."""


class Difference(Enum):
    """What tells two instances of one UID apart."""

    NONE = "none"
    PATIENT = "patient"
    """Only attributes of group 0010: somebody corrected the patient."""
    CONTENT = "content"


def compare(here: Path, new: Path) -> Difference:
    """Compare two stored instances by what they say, in whatever transfer syntax.

    One that cannot be read any more is another one: both stay, and a person looks.
    """
    try:
        with here.open("rb") as mine, new.open("rb") as theirs:
            if content_digest(mine) == content_digest(theirs):
                return Difference.NONE
            if not _same_from_pixels_on(mine, theirs):
                return Difference.CONTENT
        return _difference(here, new)
    except (OSError, FontanelleError):
        return Difference.CONTENT


def _same_from_pixels_on(mine: BinaryIO, theirs: BinaryIO) -> bool:
    places = [_pixels_at(mine), _pixels_at(theirs)]
    if None in places:
        return places == [None, None]
    while True:
        left, right = mine.read(_CHUNK), theirs.read(_CHUNK)
        if left != right:
            return False
        if not left:
            return True


def _pixels_at(file: BinaryIO) -> int | None:
    """Return where the pixel data begin, and go there."""
    meta = read_meta(file)

    def read(offset: int, size: int) -> bytes:
        file.seek(meta.dataset_at + offset)
        return file.read(size)

    end = file.seek(0, 2)
    header = read_header(read, end - meta.dataset_at, meta.transfer_syntax_uid)
    if header.pixels_at is None:
        return None
    return file.seek(meta.dataset_at + header.pixels_at)


def _difference(here: Path, new: Path) -> Difference:
    """Compare the elements in front of the pixel data."""
    from pydicom import dcmread

    try:
        mine, theirs = (dcmread(path, stop_before_pixels=True) for path in (here, new))
        differing = [tag for tag in {*mine.keys(), *theirs.keys()} if _differs(tag, mine, theirs)]
    except _UNDECODABLE:
        return Difference.CONTENT
    if not differing:
        return Difference.NONE
    if all(tag.group == _PATIENT_GROUP for tag in differing):
        return Difference.PATIENT
    return Difference.CONTENT


def _differs(tag: "BaseTag", mine: "Dataset", theirs: "Dataset") -> bool:
    """Compare an element by its bytes, else by its meaning."""
    if tag.element == 0 or tag == _PADDING_TAG:
        return False
    if tag not in mine or tag not in theirs:
        return True
    if mine.get_item(tag).value == theirs.get_item(tag).value:
        return False
    return bool(mine[tag].value != theirs[tag].value)
