# SPDX-License-Identifier: GPL-2.0-only
"""Values of a field in many records at once.

Records begin at multiples of four bytes, so that a value is taken from the one or two words that it lies in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.trace.formats import Field, Kind
from lab.trace.ringbuffer import Index, Records, Words


def read_numbers(words: Words, records: Records, field: Field) -> NDArray[np.int64]:
    """`field` of each record, which must be long enough for it; unsigned 64-bit values wrap."""
    word, shift = field.offset // 4, 8 * (field.offset % 4)
    at = records.start // 4 + word
    value = words[at].astype(np.uint64)
    if field.size * 8 + shift > 32:
        value |= words[at + 1].astype(np.uint64) << np.uint64(32)
    left = 64 - 8 * field.size
    shifted = (value >> np.uint64(shift)) << np.uint64(left)
    return (shifted.view(np.int64) >> left) if field.signed else (shifted >> np.uint64(left)).view(np.int64)


def is_readable(field: Field) -> bool:
    """Whether `read_numbers` can read it: a number of at most eight bytes in two words."""
    return field.kind is Kind.NUMBER and 1 <= field.size <= 8 and field.offset % 4 + field.size <= 8


def read_text(words: Words, start: int, length: int, field: Field) -> str | None:
    """The text that `field` has in the record of `length` bytes at `start`; None where it lies outside."""
    data = read_bytes(words, start, length, field)
    return None if data is None else data.split(b"\0", 1)[0].decode("utf-8", errors="replace")


def read_bytes(words: Words, start: int, length: int, field: Field) -> bytes | None:
    """What `field`, an array, has in the record of `length` bytes at `start`; None where it lies outside."""
    record = words[start // 4 : (start + length) // 4].tobytes()
    begin, size = _place(record, field)
    return record[begin : begin + size] if 0 <= begin <= begin + size <= length else None


def read_rest(words: Words, start: int, length: int, begin: int) -> bytes:
    """What is behind byte `begin` of a record."""
    return words[start // 4 : (start + length) // 4].tobytes()[begin:]


def last_of_each(values: NDArray[np.int64], below: int) -> Index:
    """Where each value that lies in 0 to `below` occurs last: one place for each, without a sort."""
    places = np.flatnonzero((values >= 0) & (values < below))
    if not len(places):
        return places
    last = np.full(int(values[places].max()) + 1, -1, np.int64)
    last[values[places]] = places
    return last[last >= 0]


def _place(record: bytes, field: Field) -> tuple[int, int]:
    if field.kind is Kind.REST:
        return field.offset, len(record) - field.offset
    if field.kind is Kind.ARRAY:
        return field.offset, field.size
    packed = int.from_bytes(record[field.offset : field.offset + 4], "little")
    begin = packed & 0xFFFF
    return (begin + field.end if field.kind is Kind.REL_LOC else begin), packed >> 16
