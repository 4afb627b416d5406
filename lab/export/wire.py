# SPDX-License-Identifier: GPL-2.0-only
"""Protocol buffers on the wire (protobuf.dev/programming-guides/encoding), as far as a trace needs them.

Written here rather than by a library: a minute of sixteen vCPUs is millions of packets that differ in a few
numbers, and a library makes each of them one by one.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_BITS = 7


def varint(number: int) -> bytes:
    """`number`, which is not negative, in as few bytes as there can be."""
    encoded = bytearray()
    while number >= 1 << _BITS:
        encoded.append(number & 0x7F | 0x80)
        number >>= _BITS
    encoded.append(number)
    return bytes(encoded)


def padded_varints(numbers: NDArray[np.int64], width: int) -> Bytes:
    """Each of `numbers` in exactly `width` bytes, a row each: high bytes may be empty (every decoder reads those,
    and Perfetto's own writer makes them for lengths). Raises ValueError where one needs more."""
    if len(numbers) and (int(numbers.min()) < 0 or int(numbers.max()) >> (_BITS * width)):
        raise ValueError(f"a number is negative, or too large for {width} bytes of {_BITS} bits")
    shifts = np.arange(width, dtype=np.int64) * _BITS
    encoded = ((numbers[:, None] >> shifts) & 0x7F).astype(np.uint8)
    encoded[:, :-1] |= 0x80
    return encoded


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field's value."""
    return varint(field << 3 | wire_type)


def number_field(field: int, number: int) -> bytes:
    """A field of any unsigned or enumeration type, or of a signed one that is not negative."""
    return tag(field, _VARINT) + varint(number)


def double_tag(field: int) -> bytes:
    """What stands before the eight bytes of a double."""
    return tag(field, _FIXED64)


def double_field(field: int, number: float) -> bytes:
    """A field of type double."""
    return double_tag(field) + struct.pack("<d", number)


def bytes_field(field: int, content: bytes) -> bytes:
    """A message within a message, or bytes."""
    return tag(field, _LENGTH) + varint(len(content)) + content


def text_field(field: int, text: str) -> bytes:
    """A field of type string."""
    return bytes_field(field, text.encode("utf-8", "replace"))
