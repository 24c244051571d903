"""The few messages of a C-STORE SCU as bytes.

What a peer sends is read with suspicion: whatever it is, `Malformed` is the worst that comes of it.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from fontanelle.uids import derived_uid

Context = tuple[str, str]
"""SOP class and transfer syntax: what one presentation context of ours is about."""

CONTEXT_LIMIT: Final = 128
"""Context ids are the odd numbers of a byte (PS3.8 7.1.1.13)."""
RECEIVE_LIMIT: Final = 16384
"""The longest P-DATA-TF that we ask for; answers have some 150 bytes."""

ACCEPT, REJECT, DATA, RELEASE_RQ, RELEASE_RP, ABORT = 2, 3, 4, 5, 6, 7
RELEASE: Final = struct.pack(">BxLL", RELEASE_RQ, 4, 0)
RELEASED: Final = struct.pack(">BxLL", RELEASE_RP, 4, 0)
ABORTED: Final = struct.pack(">BxLxxBB", ABORT, 4, 0, 0)
PDV: Final = struct.Struct(">BxLLBB")
"""P-DATA-TF with one presentation data value: two lengths, context id, control header."""
COMMAND, LAST = 1, 2
"""Bits of the control header (PS3.8 E.2)."""

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_C_STORE_RQ, _C_STORE_RSP, _MEDIUM = 0x0001, 0x8001, 0x0000
_FIXED_FIELDS: Final = 68
"""Protocol version, two AE titles and reserved bytes come before the items."""
_CONTEXT, _TRANSFER_SYNTAX, _USER_INFORMATION, _MAXIMUM_LENGTH = 0x21, 0x40, 0x50, 0x51


class Malformed(Exception):
    """The peer breaks the protocol."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the peer agreed to.

    Attributes
    ----------
    contexts
        Id of each presentation context that it takes.
    fragment_bytes
        How much of a message fits into one of its PDUs.
    """

    contexts: Mapping[Context, int]
    fragment_bytes: int


def association_request(called: str, calling: str, contexts: Sequence[Context]) -> bytes:
    """Return an A-ASSOCIATE-RQ that offers each context under an id of its own."""
    request = A_ASSOCIATE()
    request.application_context_name = UID(_APPLICATION_CONTEXT)
    request.calling_ae_title = calling
    request.called_ae_title = called
    offered = []
    for number, (sop_class, syntax) in zip(_ids(contexts), contexts, strict=True):
        context = build_context(UID(sop_class), UID(syntax))
        context.context_id = number
        offered.append(context)
    request.presentation_context_definition_list = offered
    length = MaximumLengthNotification()
    length.maximum_length_received = RECEIVE_LIMIT
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(derived_uid("implementation"))
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "FONTANELLE"
    request.user_information = [length, implementation, version]
    return A_ASSOCIATE_RQ(request).encode()


def read_acceptance(body: bytes, contexts: Sequence[Context], most_bytes: int) -> Accepted:
    """Read an A-ASSOCIATE-AC (PS3.8 9.3.3).

    Parameters
    ----------
    body
        What follows the PDU's length.
    contexts
        What was offered.
    most_bytes
        The longest fragment to make where the peer names no limit, or a longer one.
    """
    taken: dict[int, str] = {}
    limit = RECEIVE_LIMIT
    for kind, item in _items(body[_FIXED_FIELDS:]):
        if kind == _CONTEXT and len(item) > 4 and item[2] == 0:
            names = (name for sub, name in _items(item[4:]) if sub == _TRANSFER_SYNTAX)
            taken[item[0]] = next(names, b"").decode("latin-1").rstrip("\0 ")
        elif kind == _USER_INFORMATION:
            sizes = (size for sub, size in _items(item) if sub == _MAXIMUM_LENGTH)
            limit = int.from_bytes(next(sizes, limit.to_bytes(4)))
    # PS3.8 D.1.1: the limit counts length, context id and control header of the value too.
    fragment = min(limit - 6, most_bytes) if limit else most_bytes
    if fragment < 2:
        raise Malformed
    return Accepted(
        {c: i for i, c in zip(_ids(contexts), contexts, strict=True) if taken.get(i) == c[1]},
        fragment - fragment % 2,
    )


def _items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Take a sequence of items apart: type and content of each."""
    while encoded:
        if len(encoded) < 4:
            raise Malformed
        kind, length = struct.unpack_from(">BxH", encoded)
        if len(encoded) < 4 + length:
            raise Malformed
        yield kind, encoded[4 : 4 + length]
        encoded = encoded[4 + length :]


def _ids(contexts: Sequence[Context]) -> range:
    return range(1, 2 * len(contexts), 2)


def store_request(message_id: int, sop_class: str, sop_instance: str) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1; always implicit little endian)."""
    elements = (
        (0x0002, _padded(sop_class)),
        (0x0100, struct.pack("<H", _C_STORE_RQ)),
        (0x0110, struct.pack("<H", message_id)),
        (0x0700, struct.pack("<H", _MEDIUM)),
        (0x0800, struct.pack("<H", 0x0001)),  # A data set follows: anything but 0x0101.
        (0x1000, _padded(sop_instance)),
    )
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def command_pdus(command: bytes, context_id: int, fragment_bytes: int) -> bytes:
    """Return a command set as P-DATA-TF PDUs."""
    pdus = bytearray()
    for start in range(0, len(command), fragment_bytes):
        part = command[start : start + fragment_bytes]
        flags = COMMAND | (LAST if start + len(part) == len(command) else 0)
        pdus += PDV.pack(DATA, len(part) + 6, len(part) + 2, context_id, flags) + part
    return bytes(pdus)


def values_of(body: bytes) -> list[tuple[int, int, bytes]]:
    """Take a P-DATA-TF apart: context id, control header and bytes of each value in it."""
    found = []
    while body:
        if len(body) < 6:
            raise Malformed
        length, context_id, flags = struct.unpack_from(">LBB", body)
        if length < 2 or len(body) < 4 + length:
            raise Malformed
        found.append((context_id, flags, body[6 : 4 + length]))
        body = body[4 + length :]
    return found


def status_of(command: bytes, message_id: int) -> int:
    """Return the status of a C-STORE-RSP that answers this message."""
    numbers = {}
    while command:
        if len(command) < 8:
            raise Malformed
        group, element, length = struct.unpack_from("<HHL", command)
        if group != 0 or len(command) < 8 + length:
            raise Malformed
        if length == 2:
            numbers[element] = struct.unpack_from("<H", command, 8)[0]
        command = command[8 + length :]
    if numbers.get(0x0100) != _C_STORE_RSP or numbers.get(0x0120) != message_id:
        raise Malformed
    status = numbers.get(0x0900)
    if status is None:
        raise Malformed
    return int(status)


_REJECTIONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "it does not know the application context",
    (1, 3): "it does not know our (calling) AE title",
    (1, 7): "that is not its (called) AE title",
    (2, 1): "no reason given",
    (2, 2): "it speaks another protocol version",
    (3, 1): "it is congested for now",
    (3, 2): "it has too many associations",
}
"""By source and reason: PS3.8 table 9-21."""


def rejection_words(body: bytes) -> str:
    """Return why an A-ASSOCIATE-RJ refuses, with its three numbers."""
    if len(body) != 4:
        raise Malformed
    _, result, source, reason = body
    why = _REJECTIONS.get((source, reason), "an unknown reason")
    lasting = "for now" if result == 2 else "for good"
    return f"refused {lasting}: {why} (result {result}, source {source}, reason {reason})"
