"""The reference sender: a series encoded in memory, one association, plain sockets."""

import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
CALLING, CALLED = "BENCHMARK", "FONTANELLE"
COLUMNS = 512
UID_LENGTH = 48


@dataclass(frozen=True, slots=True)
class Series:
    """What one association sends."""

    number: int
    instances: int
    pixels: bytes

    def send(self, port: int, begin: Callable[[], object]) -> list[float]:
        """Send it, and return how long each instance took; fewer if one was refused."""
        waits_s = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limit_bytes = associate(connection)
            begin()
            for index in range(self.instances):
                message = store_request(self.number, index, self.pixels, limit_bytes)
                started_s = time.monotonic()
                connection.sendall(message)
                if read_status(connection) != 0:
                    break
                waits_s.append(time.monotonic() - started_s)
            connection.sendall(struct.pack(">BxI4x", 5, 4))
            connection.recv(10)
        return waits_s


def associate(connection: socket.socket) -> int:
    """Open an association for CT in Explicit VR Little Endian; return the longest PDU."""
    context = struct.pack(">Bxxx", 1) + _item(0x30, CT.encode())
    context += _item(0x40, EXPLICIT_LITTLE.encode())
    user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.3.4")
    body = struct.pack(">Hxx16s16s32x", 1, CALLED.ljust(16).encode(), CALLING.ljust(16).encode())
    body += _item(0x10, APPLICATION_CONTEXT.encode()) + _item(0x20, context) + _item(0x50, user)
    connection.sendall(struct.pack(">BxI", 1, len(body)) + body)
    kind, answer = _read_pdu(connection)
    if kind != 2:
        raise SystemExit("The association was rejected.")
    place = answer.index(b"\x51\x00\x00\x04")
    limit: int = struct.unpack_from(">I", answer, place + 4)[0]
    return limit or 1 << 20


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def store_request(series: int, index: int, pixels: bytes, limit_bytes: int) -> bytes:
    """Return the PDUs of one C-STORE request."""
    elements = b"".join(
        (
            _command_element(0x0002, CT.encode() + b"\0" * (len(CT) % 2)),
            _command_element(0x0100, struct.pack("<H", 1)),
            _command_element(0x0110, struct.pack("<H", index + 1)),
            _command_element(0x0700, struct.pack("<H", 0)),
            _command_element(0x0800, struct.pack("<H", 1)),
            _command_element(0x1000, _uid(series, index)),
        )
    )
    command = _command_element(0, struct.pack("<I", len(elements))) + elements
    encoded = data_set(series, index, pixels)
    most = limit_bytes - 6
    pdus = [_p_data(command, 3)]
    for start in range(0, len(encoded), most):
        piece = encoded[start : start + most]
        pdus.append(_p_data(piece, 2 if start + most >= len(encoded) else 0))
    return b"".join(pdus)


def _command_element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _p_data(piece: bytes, control: int) -> bytes:
    return struct.pack(">BxIIBB", 4, len(piece) + 6, len(piece) + 2, 1, control) + piece


def _uid(series: int, index: int) -> bytes:
    """Return an even number of bytes, always as many."""
    return f"2.25.{os.getppid():09}{series:04}{index + 1:08}".ljust(UID_LENGTH, "7").encode()


@cache
def bytes_of_pixels(kilobytes: int) -> bytes:
    """Return noise as pixel data: whole rows of 512 16-bit values."""
    rows = max(kilobytes * 1000 // (2 * COLUMNS), 1)
    return os.urandom(2 * COLUMNS * rows)


def data_set(series: int, index: int, pixels: bytes) -> bytes:
    """Return an encoded CT instance."""
    before, behind = _frame(len(pixels))
    return before + _uid(series, index) + behind + pixels


@cache
def _frame(pixel_bytes: int) -> tuple[bytes, bytes]:
    """Return what stands around the SOP Instance UID, up to the pixels."""
    from pydicom import Dataset, dcmwrite

    header = Dataset()
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SOPClassUID = CT
    header.SOPInstanceUID = place = "9" * UID_LENGTH
    header.StudyDate, header.Modality = "20260101", "CT"
    header.PatientName, header.PatientID = "Bench^Mark", "1"
    header.SliceThickness, header.KVP = 1, 120
    header.StudyInstanceUID, header.SeriesInstanceUID = "2.25.1", "2.25.2"
    header.ImagePositionPatient, header.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = pixel_bytes // (2 * COLUMNS), COLUMNS
    header.PixelSpacing = [0.5, 0.5]
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1
    header.RescaleIntercept, header.RescaleSlope = 0, 1
    written = BytesIO()
    dcmwrite(written, header, implicit_vr=False, little_endian=True)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, pixel_bytes)
    before, behind = (written.getvalue() + pixels).split(place.encode())
    return before, behind


def _read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", _read(connection, 6))
    return kind, _read(connection, length)


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise SystemExit("The receiver closed the connection.")
        content += piece
    return content


def read_status(connection: socket.socket) -> int:
    """Read the answer to a C-STORE request; one fragment."""
    _, body = _read_pdu(connection)
    place = body.index(struct.pack("<HHI", 0, 0x0900, 2))
    status: int = struct.unpack_from("<H", body, place + 8)[0]
    return status
