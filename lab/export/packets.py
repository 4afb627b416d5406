# SPDX-License-Identifier: GPL-2.0-only
"""Packets of a Perfetto trace, one by one. Numbers of fields: protos/perfetto/trace/ of Perfetto, 1.0 to 59."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from lab.export import wire

#: Bytes of a time: 63 bits.
TIME_WIDTH = 9
#: Bytes of the number of an interned text: 28 bits, more texts than fit into memory.
TEXT_WIDTH = 4

#: builtin_clock.proto.
_MONOTONIC = 3


class EventType(IntEnum):
    """TrackEvent.Type (track_event/track_event.proto)."""

    SLICE_BEGIN = 1
    SLICE_END = 2
    INSTANT = 3
    COUNTER = 4


class Interned(IntEnum):
    """Kinds of interned texts: fields of InternedData (interned_data/interned_data.proto)."""

    EVENT_NAME = 2
    ANNOTATION_NAME = 3
    ANNOTATION_TEXT = 29


@dataclass(frozen=True)
class Track:
    """A line of the picture. `sequence` is also its uuid: each track has a sequence of packets of its own, so that
    a packet need not say whose it is. Tracks of one parent are sorted by `rank`; one with a `unit` is a counter."""

    sequence: int
    name: str
    parent: int | None
    rank: int
    unit: str | None = None
    about: str = ""


def packet(*fields: bytes) -> bytes:
    """A TracePacket within its Trace (trace.proto)."""
    return wire.bytes_field(1, b"".join(fields))


def clock_packet(t_ns: int) -> bytes:
    """That the trace's time is CLOCK_MONOTONIC (clock_snapshot.proto): Perfetto's own would be CLOCK_BOOTTIME."""
    clock = wire.number_field(1, _MONOTONIC) + wire.number_field(2, t_ns)
    return packet(
        wire.bytes_field(6, wire.bytes_field(1, clock) + wire.number_field(2, _MONOTONIC)), of_sequence(1)
    )


def of_sequence(sequence: int, flags: int = 0) -> bytes:
    """Fields that say which sequence of packets a packet belongs to."""
    return wire.number_field(10, sequence) + (wire.number_field(13, flags) if flags else b"")


def needs_texts(sequence: int) -> bytes:
    """The same of a packet that refers to interned texts or defaults."""
    return of_sequence(sequence, 2)


def track_packets(track: Track) -> bytes:
    """A track (track_event/track_descriptor.proto), and the beginning of its sequence with its defaults
    (trace_packet_defaults.proto)."""
    defaults = wire.number_field(58, _MONOTONIC) + wire.bytes_field(11, wire.number_field(11, track.sequence))
    return packet(
        wire.bytes_field(60, _descriptor(track)),
        wire.bytes_field(59, defaults),
        of_sequence(track.sequence, 1 | 2),
    )


def _descriptor(track: Track) -> bytes:
    fields = [
        wire.number_field(1, track.sequence),
        wire.text_field(2, track.name),
        wire.number_field(12, track.rank),
        wire.number_field(11, 3),  # its own tracks are sorted by their ranks
        wire.number_field(15, 2),  # never merged with another of the same name
    ]
    if track.parent is not None:
        fields.append(wire.number_field(5, track.parent))
    if track.unit is not None:
        fields.append(wire.bytes_field(8, wire.text_field(6, track.unit)))
    if track.about:
        fields.append(wire.text_field(14, track.about))
    return b"".join(fields)


def texts_packet(sequence: int, texts: Iterable[tuple[Interned, int, str]]) -> bytes:
    """Interned texts of one sequence, each with its kind and its number, which is above 0."""
    entries = (
        wire.bytes_field(kind, wire.number_field(1, number) + wire.text_field(2, text))
        for kind, number, text in texts
    )
    return packet(wire.bytes_field(12, b"".join(entries)), needs_texts(sequence))


def event_packet(sequence: int, kind: EventType, t_ns: int, name: str, about: Mapping[str, str]) -> bytes:
    """One event with its name (an end of a slice has none) and what else is said about it, nothing interned: for
    what happens rarely."""
    said = [
        wire.bytes_field(4, wire.text_field(10, key) + wire.text_field(6, value))
        for key, value in about.items()
    ]
    named = wire.text_field(23, name) if name else b""
    event = wire.bytes_field(11, wire.number_field(9, kind) + named + b"".join(said))
    return packet(wire.number_field(8, t_ns), event, needs_texts(sequence))
