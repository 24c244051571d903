"""The walk over an encoded data set that decides whether it is whole, and whose it is.

Reads tags and lengths, and the four UIDs; decodes nothing else, trusts no length, and copies no
pixel. PS3.5 7.1 (elements), 7.5 (sequences), A.4 (encapsulated pixel data).
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fontanelle.errors import Code, Refused

Read = Callable[[int, int], bytes]
"""(offset, size) -> that many bytes of the data set, fewer at its end."""

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
NATIVE: Final = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG))

UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_LIMIT: Final = 64

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_UIDS: Final = frozenset((_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES))
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_CHUNK: Final = 16384
_DEPTH_LIMIT: Final = 32
_ELEMENT_LIMIT: Final = 1_000_000
"""An enhanced CT of 2,000 frames has about a fifth of it; a bomb has more."""
_PADDING_LIMIT: Final = 8


@dataclass(frozen=True, slots=True)
class Header:
    """Whose instance it is; UIDs are empty where absent.

    Attributes
    ----------
    pixels_at
        Where in the data set the value of the pixel data begins; None where there is none.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    pixels_at: int | None


def read_header(read: Read, size_bytes: int, transfer_syntax_uid: str) -> Header:
    """Walk over a data set to its last byte.

    Parameters
    ----------
    read
        Gives bytes of the data set.
    size_bytes
        Of the data set, as it came.
    transfer_syntax_uid
        As negotiated.

    Raises
    ------
    Refused
        DATASET_UNREADABLE: it is empty, cut, or no data set of that transfer syntax.
    """
    if not size_bytes:
        raise _unreadable("The data set is empty.")
    return _Walk(read, size_bytes, transfer_syntax_uid).header()


def is_uid(text: str) -> bool:
    """Tell whether it is a UID; leading zeros in a component are let pass, as they occur."""
    return len(text) <= UID_LIMIT and UID.fullmatch(text) is not None


class _Walk:
    """One pass over one data set."""

    __slots__ = ("_chunk", "_count", "_encapsulated", "_explicit", "_order", "_read", "_size")

    def __init__(self, read: Read, size: int, transfer_syntax_uid: str) -> None:
        self._read = read
        self._size = size
        self._explicit = transfer_syntax_uid != IMPLICIT_LITTLE
        self._order = ">" if transfer_syntax_uid == EXPLICIT_BIG else "<"
        self._encapsulated = transfer_syntax_uid not in NATIVE
        self._chunk = (0, b"")
        self._count = 0

    def header(self) -> Header:
        uids: dict[int, str] = {}
        pixels_at = None
        offset = 0
        while offset < self._size and not self._is_padding(offset):
            tag, is_sequence, value, length = self._element(offset, explicit=self._explicit)
            if tag < 0x00080000:
                raise _unreadable("The data set holds elements of a command or of a file.")
            if tag in _UIDS:
                if tag in uids:
                    raise _unreadable("The data set names itself twice.")
                uids[tag] = self._uid(value, length)
            elif tag in _PIXEL_DATA and length:
                pixels_at = value
            offset = self._behind(tag, value, length, is_sequence=is_sequence)
        return Header(
            uids.get(_SOP_CLASS, ""),
            uids.get(_SOP_INSTANCE, ""),
            uids.get(_STUDY, ""),
            uids.get(_SERIES, ""),
            pixels_at,
        )

    def _behind(self, tag: int, value: int, length: int, *, is_sequence: bool) -> int:
        if length != _UNDEFINED:
            if value + length > self._size:
                raise _unreadable("The data set ends within an element.")
            return value + length
        if tag in _PIXEL_DATA:
            if not self._encapsulated:
                raise _unreadable("The pixel data have no length.")
            return self._behind_sequence(value, explicit=True, depth=0, fragments=True)
        # PS3.5 6.2.2 note 7: of undefined length and VR UN is a sequence in implicit VR.
        return self._behind_sequence(value, explicit=self._explicit and is_sequence, depth=0)

    def _element(self, offset: int, *, explicit: bool) -> tuple[int, bool, int, int]:
        """Return tag, whether it is a sequence, where the value begins, and its length."""
        self._count += 1
        if self._count > _ELEMENT_LIMIT:
            raise _unreadable(f"The data set has more than {_ELEMENT_LIMIT} elements.")
        data, at = self._at(offset, 8)
        if not explicit:
            group, element, length = struct.unpack_from(self._order + "HHI", data, at)
            return group << 16 | element, False, offset + 8, length
        group, element, vr, length = struct.unpack_from(self._order + "HH2sH", data, at)
        tag = group << 16 | element
        if vr in _SHORT:
            return tag, False, offset + 8, length
        if group == 0xFFFE:
            length = struct.unpack_from(self._order + "I", data, at + 4)[0]
            return tag, False, offset + 8, length
        if vr not in _LONG:
            raise _unreadable("An element has no value representation.")
        data, at = self._at(offset, 12)
        return tag, vr == b"SQ", offset + 12, struct.unpack_from(self._order + "I", data, at + 8)[0]

    def _behind_sequence(
        self, offset: int, *, explicit: bool, depth: int, fragments: bool = False
    ) -> int:
        if depth > _DEPTH_LIMIT:
            raise _unreadable(f"Sequences lie in one another more than {_DEPTH_LIMIT} deep.")
        while True:
            tag, _, offset, length = self._element(offset, explicit=False)
            if tag == _SEQUENCE_END and not length:
                return offset
            if tag != _ITEM or (fragments and length == _UNDEFINED):
                raise _unreadable("A sequence holds something that is no item.")
            if length == _UNDEFINED:
                offset = self._behind_item(offset, explicit=explicit, depth=depth)
            else:
                offset += length

    def _behind_item(self, offset: int, *, explicit: bool, depth: int) -> int:
        while True:
            tag, is_sequence, offset, length = self._element(offset, explicit=explicit)
            if tag == _ITEM_END and not length:
                return offset
            if length == _UNDEFINED:
                inner = explicit and is_sequence
                offset = self._behind_sequence(offset, explicit=inner, depth=depth + 1)
            else:
                offset += length

    def _uid(self, value: int, length: int) -> str:
        # One more than allowed, and the padding: enough to see that it is too long.
        data, at = self._at(value, min(length, UID_LIMIT + 2))
        return data[at : at + min(length, UID_LIMIT + 2)].decode("latin-1").rstrip("\0 ")

    def _is_padding(self, offset: int) -> bool:
        """Tell whether nothing but a few zeros is left: some senders fill up to a word."""
        rest = self._size - offset
        if rest >= _PADDING_LIMIT:
            return False
        data, at = self._at(offset, rest)
        return not any(data[at : at + rest])

    def _at(self, offset: int, count: int) -> tuple[bytes, int]:
        """Return bytes that hold those wanted, and where those begin."""
        start, chunk = self._chunk
        if not start <= offset <= start + len(chunk) - count:
            if offset + count > self._size:
                raise _unreadable("The data set ends within an element.")
            start, chunk = self._chunk = (offset, self._read(offset, max(count, _CHUNK)))
        return chunk, offset - start


def _unreadable(sentence: str) -> Refused:
    return Refused(Code.DATASET_UNREADABLE, sentence)
