"""ONNX models as bytes: as much of the format (protocol buffers, see onnx.proto3) as a convolution takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Attribute = int | Sequence[int]
TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): 6}  # TensorProto
IR_VERSION, OPSET = 8, 17
MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators


def _varint(value: int) -> bytes:
    """Seven bits a byte, least significant first; the high bit says that more follow."""
    value %= 2**64
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + _varint(value >> 7)


def _number(place: int, value: int) -> bytes:
    return _varint(place << 3) + _varint(value)


def _part(place: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return _varint(place << 3 | 2) + _varint(len(data)) + data


@dataclass(frozen=True)
class Node:
    """An operator, the names of what goes in and comes out, and its attributes."""

    operator: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""

    def pack(self) -> bytes:
        """As NodeProto."""
        attributes = b""
        for name, value in self.attributes.items():
            if isinstance(value, int):
                stored = _number(3, value) + _number(20, 2)
            else:
                stored = b"".join(_number(8, item) for item in value) + _number(20, 7)
            attributes += _part(5, _part(1, name) + stored)
        return (b"".join(_part(1, name) for name in self.inputs) + _part(2, self.output) + _part(4, self.operator)
                + attributes + _part(7, self.domain))


def _tensor(name: str, array: np.ndarray) -> bytes:
    """As TensorProto."""
    sizes = b"".join(_number(1, size) for size in array.shape)
    return sizes + _number(2, TYPES[array.dtype]) + _part(8, name) + _part(9, np.ascontiguousarray(array).tobytes())


def _value(name: str, kind: np.dtype, dimensions: int) -> bytes:
    """As ValueInfoProto, of whatever size."""
    shape = b"".join(_part(1, _part(2, f"{name}{i}")) for i in range(dimensions))
    return _part(1, name) + _part(2, _part(1, _number(1, TYPES[kind]) + _part(2, shape)))


def pack_model(nodes: Iterable[Node], constants: Mapping[str, np.ndarray], inputs: Mapping[str, tuple[type, int]],
               output: tuple[str, type, int]) -> bytes:
    """As ModelProto. inputs: type and number of dimensions of each, by name; output: with its name."""
    graph = b"".join(_part(1, node.pack()) for node in nodes) + _part(2, "cdraw")
    graph += b"".join(_part(5, _tensor(name, array)) for name, array in constants.items())
    graph += b"".join(_part(11, _value(name, np.dtype(kind), count)) for name, (kind, count) in inputs.items())
    name, kind, count = output
    graph += _part(12, _value(name, np.dtype(kind), count))
    opsets = b"".join(_part(8, _part(1, domain) + _number(2, version))
                      for domain, version in (("", OPSET), (MICROSOFT, 1)))
    return _number(1, IR_VERSION) + opsets + _part(7, graph)
