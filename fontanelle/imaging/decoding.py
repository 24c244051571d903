"""From the stored pixels of a series to HU. Half a frame is never taken for a whole one."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from fontanelle.errors import Code, Refused
from fontanelle.imaging.attributes import decimals, unsigned
from fontanelle.imaging.geometry import Image
from fontanelle.imaging.instance import Instance
from fontanelle.imaging.series import Series, grid_of, sorted_instances

AIR_HU = -1024
"""What padding and everything below it becomes."""
TISSUE_HU = (-500, 3000)
"""A padding value within is a mistake of the header: obeyed, it would erase tissue."""

NATIVE = frozenset(
    (
        "",
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
)

# The plug-in is named, because pydicom would try the next one after a failure, and there are some
# that return a full-size array from half a frame. These raise. Only gdcm fills a JPEG Lossless
# frame that ends early, so frames must carry their end marker; one that was cut and then closed
# with a marker again would pass. RLE is decoded by pydicom's own Python, at 7 ms a
# slice, since pylibjpeg's Rust panics over a damaged stream with an exception that is no Exception.
PLUGINS: dict[UID, str] = {
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    RLELossless: "pydicom",
}

_LAYOUT = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_END_OF_IMAGE = b"\xff\xd9"
_DECODING_FAILED = (RuntimeError, ValueError, NotImplementedError, AttributeError, struct.error)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the stored values of one instance are to be read."""

    rows: int
    columns: int
    bits_stored: int
    is_signed: bool

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * 2

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int16 if self.is_signed else np.uint16)

    @property
    def stored_range(self) -> tuple[int, int]:
        half = 1 << (self.bits_stored - 1)
        return (-half, half - 1) if self.is_signed else (0, 2 * half - 1)


def decode(series: Series) -> Image:
    """Decode a series into HU.

    Parameters
    ----------
    series
        CT Image Storage instances, one frame each.

    Returns
    -------
    Image of int16, (slice, row, column) in the order of `sorted_instances`. Rescale values are
    applied slice by slice and fractions rounded to the nearest HU; padding and everything below
    -1024 HU becomes -1024.

    Raises
    ------
    Refused
        Geometry (see `series.grid_of`); NO_PIXEL_DATA, PIXEL_DATA_SHORT, UNDECODABLE, BITS,
        PHOTOMETRIC, RESCALE, ENHANCED.
    """
    grid = grid_of(series)
    ordered = sorted_instances(series)
    _require_pixel_data(ordered)
    hu: NDArray[np.int16] = np.empty(grid.shape, dtype=np.int16)
    # Slice after slice: with two threads nothing was gained, native or compressed, since the codecs
    # hold the interpreter's lock and a native slice takes a millisecond.
    for instance, plane in zip(ordered, hu, strict=True):
        _fill(instance, plane)
    return Image(hu, grid)


def _require_pixel_data(instances: Sequence[Instance]) -> None:
    without = sum(instance.pixels is None for instance in instances)
    if without:
        raise Refused(
            Code.NO_PIXEL_DATA, f"{without} of {len(instances)} instances have no pixel data."
        )


def _fill(instance: Instance, plane: NDArray[np.int16]) -> None:
    header = instance.header
    layout = _layout(header)
    slope, intercept = _rescale(header, layout)
    stored = _stored(instance, layout)
    padding = _padding(header, layout, stored, slope, intercept)
    if padding is not None:
        # Zero lies in every layout; padding alone may leave the range of the stored bits.
        np.copyto(stored, 0, where=padding)
    _require_range(stored, layout)
    _write_hu(stored, slope, intercept, plane)
    if padding is not None:
        np.copyto(plane, AIR_HU, where=padding)


def _layout(header: Dataset) -> _Layout:
    if decimals(header, "NumberOfFrames") not in ((), (1.0,)):
        raise Refused(Code.ENHANCED, "An instance holds more than one frame.")
    if unsigned(header, "SamplesPerPixel") not in (None, 1):
        raise Refused(Code.PHOTOMETRIC, "A pixel has more than one sample.")
    rows, columns, allocated, stored, high, representation = (
        unsigned(header, keyword) for keyword in _LAYOUT
    )
    if not (
        rows
        and columns
        and allocated == 16
        and stored is not None
        and 8 <= stored <= 16
        and high == stored - 1
        and representation in (0, 1)
    ):
        raise Refused(
            Code.BITS,
            f"Bits allocated, stored, high bit and sign are {allocated}, {stored}, {high}, "
            f"{representation}; a CT image has 16, 8 to 16, one less, 0 or 1.",
        )
    return _Layout(rows, columns, stored, representation == 1)


def _rescale(header: Dataset, layout: _Layout) -> tuple[float, float]:
    if "ModalityLUTSequence" in header:
        raise Refused(Code.RESCALE, "Grey values map to HU by a table, not by slope and intercept.")
    if "RescaleSlope" not in header and "RescaleIntercept" not in header:
        # Assumed, and said so by admission: signed values are HU, unsigned ones HU + 1024.
        return 1.0, 0.0 if layout.is_signed else -1024.0
    slope, intercept = decimals(header, "RescaleSlope"), decimals(header, "RescaleIntercept")
    if len(slope) != 1 or len(intercept) != 1 or slope[0] == 0:
        raise Refused(Code.RESCALE, "Rescale slope or intercept is missing, zero or not a number.")
    return slope[0], intercept[0]


def _stored(instance: Instance, layout: _Layout) -> NDArray[Any]:
    """Return the stored values, (row, column), in an array of our own."""
    syntax = instance.transfer_syntax
    if syntax in NATIVE:
        return _native(instance, layout)
    if syntax not in PLUGINS:
        raise Refused(Code.UNDECODABLE, f"There is no decoder for {_name(syntax)}.")
    if instance.pixels is None or instance.pixels.present_bytes == 0:
        raise _short(0, layout.frame_bytes)
    frame = _frame(instance.stored_bytes(), instance.pixels.declared_bytes)
    if syntax != RLELossless and not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise Refused(Code.PIXEL_DATA_SHORT, "A compressed frame ends before its end marker.")
    return _decompressed(frame, syntax, layout)


def _native(instance: Instance, layout: _Layout) -> NDArray[Any]:
    pixels = instance.pixels
    if pixels is None or pixels.declared_bytes is None:
        raise Refused(Code.UNDECODABLE, "Uncompressed pixel data have no length.")
    if pixels.present_bytes < max(layout.frame_bytes, pixels.declared_bytes):
        raise _short(pixels.present_bytes, max(layout.frame_bytes, pixels.declared_bytes))
    values: NDArray[Any] = np.empty((layout.rows, layout.columns), dtype=layout.dtype)
    if instance.transfer_syntax == DeflatedExplicitVRLittleEndian:
        flat = np.frombuffer(instance.stored_bytes(), dtype="<u2", count=values.size)
        values[:] = flat.view(layout.dtype).reshape(values.shape)
    else:
        with instance.path.open("rb") as file:
            file.seek(pixels.offset_bytes)
            read_bytes = file.readinto(values.data.cast("B"))
        if read_bytes < layout.frame_bytes:  # The file was cut after its header had been read.
            raise _short(read_bytes, layout.frame_bytes)
    if instance.transfer_syntax == ExplicitVRBigEndian:
        values.byteswap(inplace=True)
    return values


def _frame(value: bytes, declared_bytes: int | None) -> bytes:
    """Join the fragments of the only frame, each as long as it says it is."""
    items: list[bytes] = []
    at = 0
    while value[at : at + 4] == _ITEM and len(value) >= at + 8:
        length = int.from_bytes(value[at + 4 : at + 8], "little")
        items.append(value[at + 8 : at + 8 + length])
        if len(items[-1]) < length:
            raise _short(len(items[-1]), length)
        at += 8 + length
    if declared_bytes is None and value[at : at + 8] != _SEQUENCE_END:
        raise Refused(Code.PIXEL_DATA_SHORT, "Compressed pixel data end before their end marker.")
    return b"".join(items[1:])  # The first item is the offset table.


def _decompressed(frame: bytes, syntax: UID, layout: _Layout) -> NDArray[Any]:
    described: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "pixel_keyword": "PixelData",
    }
    try:
        values, _ = get_decoder(syntax).as_array(
            encapsulate([frame]), decoding_plugin=PLUGINS[syntax], raw=True, **described
        )
    except _DECODING_FAILED as error:
        raise Refused(
            Code.UNDECODABLE, f"A frame in {_name(syntax)} cannot be decoded; it may be damaged."
        ) from error
    if values.shape != (layout.rows, layout.columns) or values.dtype != layout.dtype:
        raise Refused(
            Code.BITS,
            f"A decoded frame is {values.dtype} of shape {values.shape}; the header says "
            f"{layout.dtype} of {layout.rows} x {layout.columns}.",
        )
    return np.array(values)


def _padding(
    header: Dataset, layout: _Layout, stored: NDArray[Any], slope: float, intercept: float
) -> NDArray[np.bool_] | None:
    value = _stored_value(header, "PixelPaddingValue", layout)
    if value is None:
        return None
    limit = _stored_value(header, "PixelPaddingRangeLimit", layout)
    low, high = sorted((value, value if limit is None else limit))
    ends_hu = sorted((low * slope + intercept, high * slope + intercept))
    if ends_hu[1] >= TISSUE_HU[0] and ends_hu[0] <= TISSUE_HU[1]:
        return None
    return np.asarray((stored >= low) & (stored <= high))


def _stored_value(header: Dataset, keyword: str, layout: _Layout) -> int | None:
    # Some writers give the padding of signed pixels as unsigned: the bit pattern counts.
    pattern = unsigned(header, keyword)
    return None if pattern is None else int(np.uint16(pattern).view(layout.dtype))


def _require_range(stored: NDArray[Any], layout: _Layout) -> None:
    low, high = layout.stored_range
    if layout.bits_stored < 16 and (stored.min() < low or stored.max() > high):
        raise Refused(
            Code.BITS,
            f"Stored values from {stored.min()} to {stored.max()} do not fit "
            f"{layout.bits_stored} bits.",
        )


def _write_hu(
    stored: NDArray[Any], slope: float, intercept: float, plane: NDArray[np.int16]
) -> None:
    limits = np.iinfo(np.int16)
    ends_hu = sorted(float(end) * slope + intercept for end in (stored.min(), stored.max()))
    if ends_hu[1] > limits.max:
        raise Refused(Code.BITS, f"Values reach {ends_hu[1]:.0f} HU; at most {limits.max} fit.")
    if slope == 1 and intercept.is_integer() and ends_hu[0] >= limits.min:
        # Sixteen bits wrap to the right sum, as the sum itself fits: no wider copy is needed.
        np.add(stored.view(np.int16), np.int16(intercept), out=plane)
    else:
        np.copyto(plane, np.rint(stored * slope + intercept).clip(AIR_HU), casting="unsafe")
    np.maximum(plane, AIR_HU, out=plane)


def _short(present_bytes: int, needed_bytes: int) -> Refused:
    return Refused(
        Code.PIXEL_DATA_SHORT,
        f"An instance holds {present_bytes} of {needed_bytes} bytes of pixel data.",
    )


def _name(syntax: UID) -> str:
    return f"{syntax.name} ({syntax})"
