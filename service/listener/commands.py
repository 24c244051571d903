"""DIMSE command sets as bytes: a sender's are read with suspicion, our answers are written.

PS3.7 annex E: a command set is always Implicit VR Little Endian, all elements in group 0000.
"""

import struct
from dataclasses import dataclass
from typing import Final

C_STORE_RQ: Final = 0x0001
C_STORE_RSP: Final = 0x8001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
NO_DATA_SET: Final = 0x0101
LIMIT_BYTES: Final = 16384
"""Two UIDs, two AE titles and some numbers: nobody needs more."""

_UID_LIMIT: Final = 64
_COMMENT_LIMIT: Final = 64
_ELEMENT: Final = struct.Struct("<HHI")
_US: Final = struct.Struct("<H")
_PDU: Final = struct.Struct(">BxIIBB")

_SOP_CLASS, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000


class Malformed(Exception):
    """The peer breaks the protocol: nothing but an A-ABORT can answer."""


@dataclass(frozen=True, slots=True)
class Command:
    """What matters of a request. UIDs as they came, without padding; empty where absent."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str


def read_command(encoded: bytes) -> Command:
    """Read a command set.

    Raises
    ------
    Malformed
        It is no command set, or lacks what every request must have.
    """
    elements = _elements(encoded)
    return Command(
        field=_number(elements, _FIELD),
        message_id=_number(elements, _MESSAGE_ID) if _MESSAGE_ID in elements else 0,
        has_data_set=_number(elements, _DATA_SET_TYPE) != NO_DATA_SET,
        sop_class_uid=_text(elements.get(_SOP_CLASS, b"")),
        sop_instance_uid=_text(elements.get(_SOP_INSTANCE, b"")),
    )


def _elements(encoded: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset < len(encoded):
        if offset + _ELEMENT.size > len(encoded):
            raise Malformed("a command set that ends within an element")
        group, element, length = _ELEMENT.unpack_from(encoded, offset)
        offset += _ELEMENT.size
        if group or offset + length > len(encoded):
            raise Malformed("a command set with an element that is none")
        found[element] = encoded[offset : offset + length]
        offset += length
    return found


def _number(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != _US.size:
        raise Malformed("a command set without a number that it must have")
    number: int = _US.unpack(value)[0]
    return number


def _text(value: bytes) -> str:
    return value.decode("latin-1").rstrip("\0 ")


def store_answer(
    context_id: int, request: Command, status: int, comment: str, limit_bytes: int
) -> bytes:
    """Return a C-STORE response as P-DATA-TF PDUs.

    Parameters
    ----------
    context_id, request
        What is answered.
    status, comment
        The status, and what to say beside it (Error Comment, 64 characters).
    limit_bytes
        The longest PDU that the peer takes; 0 for any.
    """
    elements = [
        _uid(_SOP_CLASS, request.sop_class_uid),
        _us(_FIELD, C_STORE_RSP),
        _us(_ANSWERED_ID, request.message_id),
        _us(_DATA_SET_TYPE, NO_DATA_SET),
        _us(_STATUS, status),
        _element(_COMMENT, _even(comment[:_COMMENT_LIMIT].encode("ascii", "replace"), b" ")),
        _uid(_SOP_INSTANCE, request.sop_instance_uid),
    ]
    body = b"".join(elements)
    return p_data(context_id, _element(0, struct.pack("<I", len(body))) + body, limit_bytes)


def p_data(context_id: int, command: bytes, limit_bytes: int) -> bytes:
    """Return a command set as P-DATA-TF PDUs of one fragment each."""
    most = max(limit_bytes - 6, 2) if limit_bytes else len(command)
    pieces = [command[start : start + most] for start in range(0, len(command), most)]
    return b"".join(
        _PDU.pack(4, len(piece) + 6, len(piece) + 2, context_id, 3 if piece is pieces[-1] else 1)
        + piece
        for piece in pieces
    )


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value if value else b""


def _us(element: int, number: int) -> bytes:
    return _element(element, _US.pack(number))


def _uid(element: int, uid: str) -> bytes:
    # What is no UID is not sent back: the peer's library might choke on its own words.
    if not uid.isascii() or len(uid) > _UID_LIMIT:
        return b""
    return _element(element, _even(uid.encode(), b"\0"))


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value
