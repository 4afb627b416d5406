# SPDX-License-Identifier: GPL-2.0-only
"""Many packets at once: rows of equal length, in which only numbers differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.export import wire
from lab.export.packets import TEXT_WIDTH, TIME_WIDTH, EventType, needs_texts, packet
from lab.trace.model import Times

#: Rows made at a time: a few MiB.
ROWS = 1 << 16
_NO_TIME = bytes([0x80] * (TIME_WIDTH - 1) + [0])
_NO_TEXT = bytes([0x80] * (TEXT_WIDTH - 1) + [0])
_NO_DOUBLE = b"\0" * 8


@dataclass(frozen=True)
class Slices:
    """Slices of one track, which follow each other or lie apart, sorted. `name` and `detail` are numbers of
    interned texts; `detail` is the value of the annotation that has number 1 among the names of annotations."""

    start_ns: Times
    end_ns: Times
    name: NDArray[np.int64]
    detail: NDArray[np.int64] | None = None


def slice_packets(sequence: int, slices: Slices) -> Iterator[bytes]:
    """The begin and the end of each slice."""
    begin = _Row(sequence, EventType.SLICE_BEGIN, named=True, detailed=slices.detail is not None)
    end = _Row(sequence, EventType.SLICE_END)
    for first in range(0, len(slices.start_ns), ROWS):
        part = slice(first, first + ROWS)
        detail = None if slices.detail is None else slices.detail[part]
        begins = begin.fill(slices.start_ns[part], slices.name[part], detail)
        yield np.hstack((begins, end.fill(slices.end_ns[part]))).tobytes()


def instant_packets(sequence: int, t_ns: Times, name: NDArray[np.int64]) -> Iterator[bytes]:
    """An instant at each time."""
    row = _Row(sequence, EventType.INSTANT, named=True)
    for first in range(0, len(t_ns), ROWS):
        yield row.fill(t_ns[first : first + ROWS], name[first : first + ROWS]).tobytes()


def counter_packets(sequence: int, t_ns: Times, values: NDArray[np.float64]) -> Iterator[bytes]:
    """The value of a counter at each time."""
    row = _Row(sequence, EventType.COUNTER, counted=True)
    for first in range(0, len(t_ns), ROWS):
        yield row.fill(t_ns[first : first + ROWS], value=values[first : first + ROWS]).tobytes()


class _Row:
    """A packet as it is but for its time and texts, and where these stand in it."""

    def __init__(
        self,
        sequence: int,
        kind: EventType,
        *,
        named: bool = False,
        detailed: bool = False,
        counted: bool = False,
    ) -> None:
        time = wire.tag(8, 0) + _NO_TIME
        name = wire.tag(10, 0) + _NO_TEXT if named else b""
        text = wire.number_field(1, 1) + wire.tag(17, 0) + _NO_TEXT
        detail = wire.bytes_field(4, text) if detailed else b""
        value = wire.double_tag(44) + _NO_DOUBLE if counted else b""
        event = wire.bytes_field(11, wire.number_field(9, kind) + name + detail + value)
        whole = packet(time, needs_texts(sequence), event)
        self._bytes = np.frombuffer(whole, dtype=np.uint8)
        # Value, detail and name stand at the packet's end, in this order from behind.
        self._value = len(whole) - len(_NO_DOUBLE)
        self._detail = len(whole) - len(value) - TEXT_WIDTH
        self._name = len(whole) - len(value) - len(detail) - TEXT_WIDTH
        self._time = whole.index(time) + 1

    def fill(
        self,
        t_ns: Times,
        name: NDArray[np.int64] | None = None,
        detail: NDArray[np.int64] | None = None,
        value: NDArray[np.float64] | None = None,
    ) -> wire.Bytes:
        """A row for each time."""
        rows = np.tile(self._bytes, (len(t_ns), 1))
        rows[:, self._time : self._time + TIME_WIDTH] = wire.padded_varints(t_ns, TIME_WIDTH)
        for place, numbers in ((self._name, name), (self._detail, detail)):
            if numbers is not None:
                rows[:, place : place + TEXT_WIDTH] = wire.padded_varints(numbers, TEXT_WIDTH)
        if value is not None:
            rows[:, self._value :] = np.ascontiguousarray(value, dtype="<f8").view(np.uint8).reshape(-1, 8)
        return rows
