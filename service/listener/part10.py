"""Stored instances as files: DICOM Part 10 around the data set exactly as it was received."""

import hashlib
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from fontanelle.errors import Code, Unavailable
from fontanelle.uids import derived_uid

IMPLEMENTATION_UID: Final = derived_uid("implementation")
IMPLEMENTATION_VERSION: Final = "FONTANELLE"

_PREAMBLE: Final = bytes(128) + b"DICM"
_CHUNK: Final = 1 << 20
_META_LIMIT: Final = 4096
_SYNTAX, _CALLING, _CALLED = 0x0010, 0x0016, 0x0018


@dataclass(frozen=True, slots=True)
class Meta:
    """What was written in front of a data set, and where that begins."""

    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    dataset_at: int


def head(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae_title: str,
    called_ae_title: str,
) -> bytes:
    """Return preamble and file meta information (PS3.10 7.1)."""
    elements = b"".join(
        (
            struct.pack("<HH2sHIH", 2, 0x0001, b"OB", 0, 2, 0x0100),
            _element(0x0002, b"UI", sop_class_uid),
            _element(0x0003, b"UI", sop_instance_uid),
            _element(_SYNTAX, b"UI", transfer_syntax_uid),
            _element(0x0012, b"UI", IMPLEMENTATION_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION),
            _element(_CALLING, b"AE", calling_ae_title),
            _element(_CALLED, b"AE", called_ae_title),
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def _element(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("latin-1", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def read_meta(file: BinaryIO) -> Meta:
    """Read what `head` wrote.

    Raises
    ------
    Unavailable
        FILE_MISSING: the file is not what was written.
    """
    file.seek(0)
    start = file.read(len(_PREAMBLE) + _META_LIMIT)
    try:
        return _meta(start)
    except (struct.error, ValueError) as error:
        raise Unavailable(Code.FILE_MISSING, "A stored instance is damaged.") from error


def _meta(start: bytes) -> Meta:
    offset = len(_PREAMBLE)
    group, element, vr, _, length = struct.unpack_from("<HH2sHI", start, offset)
    # The preamble itself is the spool's.
    if start[offset - 4 : offset] != b"DICM" or (group, element, vr) != (2, 0, b"UL"):
        raise ValueError("no file meta information")
    offset += 12
    end = offset + length
    texts: dict[int, str] = {}
    while offset < end:
        _, element, vr, size = struct.unpack_from("<HH2sH", start, offset)
        offset += 8
        if vr == b"OB":
            size = struct.unpack_from("<I", start, offset)[0]
            offset += 4
        texts[element] = start[offset : offset + size].decode("latin-1").rstrip("\0 ")
        offset += size
    if offset != end or end > len(start) or _SYNTAX not in texts:
        raise ValueError("file meta information that ends elsewhere than it says")
    return Meta(texts[_SYNTAX], texts.get(_CALLING, ""), texts.get(_CALLED, ""), end)


def content_digest(file: BinaryIO) -> str:
    """Return what tells contents apart: SHA-256 of transfer syntax UID, zero byte, data set.

    Who sent it, and what we wrote in front, plays no part.

    Raises
    ------
    Unavailable
        FILE_MISSING: the file is not what was written.
    """
    meta = read_meta(file)
    digest = hashlib.sha256(meta.transfer_syntax_uid.encode() + b"\0")
    file.seek(meta.dataset_at)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
