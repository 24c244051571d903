"""What an ONNX file says of itself: opset, inputs and outputs. No onnx and no engine needed.

An ONNX file is a protocol buffer (onnx.proto): fields of a number and a kind, nested. Weights are
stepped over, so a large file costs no more than a small one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fontanelle.errors import Code, Unavailable

FLOAT, UINT8 = 1, 2
"""TensorProto.DataType."""
OPSETS = (13, 21)
"""Oldest and newest that all engines read."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: its name, element type, and sides, None where they are free."""

    name: str
    element: int
    sides: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What is read of an ONNX file; `opset` is that of the standard operators."""

    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_header(path: Path) -> Header:
    """Read the header of an ONNX file.

    Raises
    ------
    Unavailable
        If it is none.
    """
    try:
        return _header(memoryview(path.read_bytes()))
    except (ValueError, IndexError) as error:
        raise Unavailable(Code.PACKAGE_INVALID, f"{path.name} is no ONNX file.") from error


def mistakes_of(header: Header, name: str, fields: Sequence[tuple[int, int, int]]) -> Iterator[str]:
    """Say how a network differs from what an engine is going to ask of it.

    Parameters
    ----------
    header
        Of the network.
    name
        Of its file, for the sentences.
    fields
        Sizes that it has to take.
    """
    if not OPSETS[0] <= header.opset <= OPSETS[1]:
        yield f"{name} has opset {header.opset}; {OPSETS[0]} to {OPSETS[1]} are served."
    if [tensor.name for tensor in header.inputs] != ["image"] or len(header.outputs) != 1:
        yield f"{name} must take one input called image and give one output."
        return
    (image,), (classes,) = header.inputs, header.outputs
    for tensor, element, what in ((image, FLOAT, "takes"), (classes, UINT8, "gives")):
        if tensor.element != element:
            found = _TYPES.get(tensor.element, f"type {tensor.element}")
            yield f"{name} {what} {found}, not {_TYPES[element]}."
    for shape in fields:
        if not _fits(image.sides, (1, 1, *shape)) or not _fits(classes.sides, (1, *shape)):
            yield f"{name} does not take a field of {' x '.join(map(str, shape))} voxels."


def _fits(sides: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    if len(sides) != len(shape):
        return False
    return all(side in {None, size} for side, size in zip(sides, shape, strict=True))


def _header(model: memoryview) -> Header:
    opset, graph = 0, memoryview(b"")
    for number, value in _fields(model):
        if number == 8 and isinstance(value, memoryview):
            domain, version = _opset(value)
            opset = version if domain in {"", "ai.onnx"} else opset
        if number == 7 and isinstance(value, memoryview):
            graph = value
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: set[str] = set()
    for number, value in _fields(graph):
        if isinstance(value, memoryview) and number in {11, 12}:
            (inputs if number == 11 else outputs).append(_tensor(value))
        if isinstance(value, memoryview) and number == 5:
            weights.add(_name_of_weights(value))
    if not opset or not inputs or not outputs:
        raise ValueError("no graph")
    given = tuple(tensor for tensor in inputs if tensor.name not in weights)
    return Header(opset, given, tuple(outputs))


def _opset(value: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, part in _fields(value):
        if number == 1 and isinstance(part, memoryview):
            domain = _text(part)
        if number == 2 and isinstance(part, int):
            version = part
    return domain, version


def _name_of_weights(value: memoryview) -> str:
    return next((_text(p) for n, p in _fields(value) if n == 8 and isinstance(p, memoryview)), "")


def _tensor(value: memoryview) -> Tensor:
    """Read a ValueInfoProto: name 1, type 2 -> tensor_type 1 -> element 1, shape 2 -> dim 1."""
    name, element = "", 0
    sides: list[int | None] = []
    for number, part in _fields(value):
        if number == 1 and isinstance(part, memoryview):
            name = _text(part)
        if number != 2 or not isinstance(part, memoryview):
            continue
        for _, tensor_type in _parts(part, 1):
            for inner, content in _fields(tensor_type):
                if inner == 1 and isinstance(content, int):
                    element = content
                if inner == 2 and isinstance(content, memoryview):
                    sides = [_side(dim) for _, dim in _parts(content, 1)]
    return Tensor(name, element, tuple(sides))


def _side(dim: memoryview) -> int | None:
    return next((v for n, v in _fields(dim) if n == 1 and isinstance(v, int)), None)


def _parts(message: memoryview, wanted: int) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield number, value


def _text(value: memoryview) -> str:
    return bytes(value).decode("utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Walk over the fields of a message: number, and a number or the bytes of what is nested."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("no protocol buffer")
        if at + size > len(message):
            raise ValueError("it ends early")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
