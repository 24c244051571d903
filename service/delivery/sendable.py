"""A Part 10 file as a C-STORE needs it: three UIDs, and where the data set's bytes lie."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pynetdicom.dsutils import split_dataset

from fontanelle.errors import Code, Refused
from fontanelle.imaging.attributes import first_text
from fontanelle.imaging.files import refused_if_unreadable
from fontanelle.imaging.instance import Instance, PixelLocation, read_instance

_UID: Final = re.compile(r"[0-9.]{1,64}")
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, slots=True)
class Sendable:
    """One instance on disk.

    Attributes
    ----------
    path
        Its file.
    offset_bytes
        Where the data set begins, behind the file meta information.
    """

    path: Path
    offset_bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    @property
    def context(self) -> tuple[str, str]:
        """The presentation context that it needs: SOP class and transfer syntax."""
        return self.sop_class_uid, self.transfer_syntax_uid


def read_sendable(path: Path) -> Sendable | None:
    """Read a file's header; None for what is not DICOM, and for a DICOMDIR.

    Raises
    ------
    Refused
        EMPTY or PIXEL_DATA_SHORT where the file is cut, UID_INVALID, INPUT_UNREADABLE. A cut file
        is not sent: some receivers would take it without a word.
    """
    instance = read_instance(path)
    if instance is None:
        return None
    with refused_if_unreadable():
        if instance.pixels is not None and not _is_whole(path, instance.pixels):
            raise Refused(Code.PIXEL_DATA_SHORT, "Pixel data are truncated.")
        _, offset_bytes = split_dataset(path)
    return Sendable(
        path,
        offset_bytes,
        _uid(instance, "SOPClassUID"),
        _uid(instance, "SOPInstanceUID"),
        _valid(str(instance.transfer_syntax)),
    )


def _uid(instance: Instance, keyword: str) -> str:
    # Of the data set, not of the file meta information: a receiver compares the command with it.
    return _valid(first_text(instance.header, keyword))


def _valid(uid: str) -> str:
    if not _UID.fullmatch(uid):
        raise Refused(Code.UID_INVALID, "A UID is missing or is not a valid DICOM UID.")
    return uid


def _is_whole(path: Path, pixels: PixelLocation) -> bool:
    if pixels.declared_bytes is not None:
        return pixels.present_bytes == pixels.declared_bytes
    with path.open("rb") as file:
        file.seek(pixels.offset_bytes)
        return _ends_with_delimiter(file, pixels.present_bytes)


def _ends_with_delimiter(file: BinaryIO, present_bytes: int) -> bool:
    """Walk over the fragments of encapsulated pixel data (PS3.5 A.4), without reading them."""
    while present_bytes >= 8:
        head = file.read(8)
        tag, length = head[:4], struct.unpack("<L", head[4:])[0]
        present_bytes -= 8 + length
        if tag != _ITEM:
            return tag == _SEQUENCE_END
        file.seek(length, 1)
    return False
