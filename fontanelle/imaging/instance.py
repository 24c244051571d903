"""One DICOM file: its header, where its pixel data lie, and whether the file is whole.

Values are taken as they lie in the file: pydicom would warn of a malformed one and print it.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from fontanelle.errors import Code, Refused
from fontanelle.imaging.attributes import first_text
from fontanelle.imaging.files import DICOM_SUFFIXES, refused_if_unreadable

_PREAMBLE_BYTES = 132
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    NotImplementedError,
    ValueError,
    struct.error,
    EOFError,
    zlib.error,
    OSError,
    KeyError,
)


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where the value of PixelData lies in its file.

    Attributes
    ----------
    offset_bytes
        First byte of the value. In a deflated file this counts in the inflated data set.
    declared_bytes
        Length that the header states; None where undefined (encapsulated).
    present_bytes
        What the file really holds from there on.
    """

    offset_bytes: int
    declared_bytes: int | None
    present_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One SOP Instance on disk.

    Attributes
    ----------
    path
        Its file.
    header
        Everything in front of PixelData.
    pixels
        None where there is no PixelData.
    """

    path: Path
    header: FileDataset
    pixels: PixelLocation | None

    @property
    def transfer_syntax(self) -> UID:
        """Transfer syntax as the file states it; empty where it does not."""
        return UID(first_text(self.header.file_meta, "TransferSyntaxUID"))

    def stored_bytes(self) -> bytes:
        """Read the value of PixelData as it lies in the file, as far as the file goes."""
        if self.pixels is None:
            return b""
        if self.transfer_syntax == DeflatedExplicitVRLittleEndian:
            return bytes(dcmread(self.path).PixelData)
        with self.path.open("rb") as file:
            file.seek(self.pixels.offset_bytes)
            return file.read(self.pixels.present_bytes)


def read_instance(path: Path) -> Instance | None:
    """Read one header.

    Returns
    -------
    The instance, or None for a file that is not DICOM and for a DICOMDIR.

    Raises
    ------
    Refused
        EMPTY where the file is empty or ends before its header does; INPUT_UNREADABLE where the
        system does not give it.
    """
    with refused_if_unreadable():
        return _read(path)


def _read(path: Path) -> Instance | None:
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        if not _is_dicom(path, file.read(_PREAMBLE_BYTES)):
            return None
        file.seek(0)
        try:
            # Validated, pydicom would warn of a malformed value and print it.
            with disable_value_validation():
                header = dcmread(file, stop_before_pixels=True)
            pixels = _locate_pixels(file, header, size_bytes)
            is_whole = pixels is not None or _ends_whole(header, file, size_bytes)
        except _UNREADABLE as error:
            raise _header_cut() from error
    if first_text(header.file_meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return None
    if not is_whole:
        raise _header_cut()
    return Instance(path, header, pixels)


def _is_dicom(path: Path, start: bytes) -> bool:
    if start[128:] == b"DICM":
        return True
    # Not DICOM, or what is left of it: nothing, only zeros, or a name that promises an instance.
    if not start.strip(b"\0") or path.suffix.lower() in DICOM_SUFFIXES:
        raise _header_cut()
    return False


def _header_cut() -> Refused:
    return Refused(Code.EMPTY, "A file is empty or ends before its header does.")


def _locate_pixels(file: BinaryIO, header: FileDataset, size_bytes: int) -> PixelLocation | None:
    """Look at the element in front of which the reader stopped."""
    if first_text(header.file_meta, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        value = dcmread(file.name).get("PixelData")
        return None if value is None else PixelLocation(0, len(value), len(value))
    start = file.tell()
    little_endian = header.original_encoding[1] is not False
    head = file.read(12)
    order = "<" if little_endian else ">"
    if len(head) < 12 or struct.unpack(f"{order}HH", head[:4]) != (0x7FE0, 0x0010):
        return None
    # What the bytes say, not what the transfer syntax promises: some writers err. An implicit
    # length is even and so never begins with the letter O (0x4F).
    explicit = head[4:6] in (b"OB", b"OW")
    declared = struct.unpack(f"{order}L", head[8:12] if explicit else head[4:8])[0]
    offset = start + (12 if explicit else 8)
    declared_bytes = None if declared == _UNDEFINED_LENGTH else declared
    present = (
        size_bytes - offset if declared_bytes is None else min(declared_bytes, size_bytes - offset)
    )
    return PixelLocation(offset, declared_bytes, present)


def _ends_whole(header: FileDataset, file: BinaryIO, size_bytes: int) -> bool:
    """Tell whether a file without PixelData ends with its last element, not within one."""
    if first_text(header.file_meta, "TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return True
    if len(header) == 0:
        return False
    last = header.get_item(max(header.keys()))
    if isinstance(last, RawDataElement) and last.length != _UNDEFINED_LENGTH:
        return last.value_tell + last.length == size_bytes
    file.seek(-len(_SEQUENCE_END), os.SEEK_END)
    return file.read() == _SEQUENCE_END
