# SPDX-License-Identifier: GPL-2.0-only
"""`formats`: how this kernel lays out its trace pages and events, by its own description of them.

For each piece a line "== NAME BYTES" and BYTES bytes of the file: events/header_page, events/header_event,
events/SYSTEM/EVENT/format; and "== names": lines "TID COMM" of saved_cmdlines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lab.trace.damage import DamageLog

FILE = "formats"
_HEADING = re.compile(rb"== ([^\n]+) (\d{1,12})\n")
_FIELD = re.compile(
    r"\s*field:\s*(?P<what>[^;]+);\s*offset:\s*(?P<offset>\d{1,6});\s*size:\s*(?P<size>\d{1,6});"
    r"(?:\s*signed:\s*(?P<signed>[01]);)?"
)
_LOCATION = re.compile(r"__(?P<how>data|rel)_loc\b")
_STATE = re.compile(r"\{\s*(0x[0-9a-fA-F]{1,15}|\d{1,18})(?:UL)?\s*,")


class Kind(Enum):
    """Where a field's value is: in the record, in an array there, or at a place that the record names
    (offset in the lower 16 bits, length in the upper: from the record's begin, or from the field's end); REST is
    an array of whatever is left of the record."""

    NUMBER = "number"
    ARRAY = "array"
    DATA_LOC = "data_loc"
    REL_LOC = "rel_loc"
    REST = "rest"


@dataclass(frozen=True)
class Field:
    """A field of an event: `offset` and `size` in bytes, from the begin of the record's data."""

    name: str
    offset: int
    size: int
    signed: bool = False
    kind: Kind = Kind.NUMBER

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class EventFormat:
    """An event: `name` is "system:event", `number` what records of it have in common_type."""

    name: str
    number: int
    fields: Mapping[str, Field]
    print_format: str = ""


@dataclass(frozen=True)
class PageHeader:
    """Where a page has its time, its count of committed bytes and its data. The default is that of 64-bit kernels
    since 2.6.30 (kernel/trace/ring_buffer.c, struct buffer_data_page)."""

    timestamp: Field = Field("timestamp", 0, 8)
    commit: Field = Field("commit", 8, 8)
    data: Field = Field("data", 16, 4080)


@dataclass(frozen=True)
class Formats:
    """All of it; `events` by number, `names` of threads as the kernel had saved them."""

    header: PageHeader = PageHeader()
    events: Mapping[int, EventFormat] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    damage: tuple[str, ...] = ()

    def by_name(self, name: str) -> EventFormat | None:
        """The event "system:event", or None."""
        return next((event for event in self.events.values() if event.name == name), None)


def parse_formats(data: bytes) -> Formats:
    """What `data` says; never raises: what cannot be read is in `damage`."""
    log = DamageLog()
    header: PageHeader | None = None
    events: dict[int, EventFormat] = {}
    names: dict[int, str] = {}
    for name, body in _sections(data, log):
        if name == "names":
            names |= _parse_names(body)
        elif name == "events/header_page":
            header = _parse_header(body)
        elif name.endswith("/format"):
            event = _parse_event(name, body)
            if event is None:
                log.note(FILE, f"{name} cannot be read: its events are not told apart")
            else:
                events[event.number] = event
    if header is None:
        log.note(FILE, "no usable events/header_page: pages are taken to be those of a 64-bit kernel")
    return Formats(header or PageHeader(), events, names, log.texts)


def _sections(data: bytes, log: DamageLog) -> Iterator[tuple[str, str]]:
    """Each piece. A length that does not lead to the next heading is not believed."""
    at = 0
    while at < len(data):
        heading = _HEADING.match(data, at)
        if heading is None:
            following = data.find(b"\n== ", at)
            log.note(FILE, f"no heading at byte {at}: left out up to the next one")
            at = len(data) if following < 0 else following + 1
            continue
        begin, end = heading.end(), heading.end() + int(heading[2])
        name = heading[1].decode("utf-8", errors="replace")
        if end > len(data) or (end < len(data) and not _HEADING.match(data, end)):
            following = data.find(b"\n== ", begin - 1)
            end = len(data) if following < 0 else following + 1
            log.note(
                FILE, f"{name} has not the {heading[2].decode()} bytes that it should; {end - begin} are read"
            )
        yield name, data[begin:end].decode("utf-8", errors="replace")
        at = end


def _parse_names(body: str) -> dict[int, str]:
    found = (re.fullmatch(r"\s*(\d{1,9}) (.*)", line) for line in body.splitlines())
    return {int(match[1]): match[2] for match in found if match}


def _parse_header(body: str) -> PageHeader | None:
    found = _parse_fields(body)
    try:
        header = PageHeader(found["timestamp"], found["commit"], found["data"])
    except KeyError:
        return None
    sizes = header.timestamp.size == 8 and header.commit.size in (4, 8) and header.data.size >= 4
    aligned = not any(one.offset % 4 for one in (header.timestamp, header.commit, header.data))
    apart = header.timestamp.end <= header.data.offset and header.commit.end <= header.data.offset
    return header if sizes and aligned and apart else None


def _parse_event(name: str, body: str) -> EventFormat | None:
    number = re.search(r"^ID: (\d{1,5})$", body, re.MULTILINE)
    fields = _parse_fields(body)
    parts = name.split("/")
    if number is None or "common_type" not in fields or len(parts) < 3:
        return None
    shown = re.search(r"^print fmt: (.*)$", body, re.MULTILINE)
    return EventFormat(f"{parts[-3]}:{parts[-2]}", int(number[1]), fields, shown[1] if shown else "")


def _parse_fields(body: str) -> dict[str, Field]:
    matches = (_FIELD.match(line) for line in body.splitlines())
    fields = (_field(match) for match in matches if match)
    return {one.name: one for one in fields if one is not None}


def _field(match: re.Match[str]) -> Field | None:
    what, size = match["what"].strip(), int(match["size"])
    name = re.search(r"(\w+)\s*(?:\[[^\]]*\])?$", what)
    if name is None:
        return None
    return Field(name[1], int(match["offset"]), size, match["signed"] == "1", _kind(what, size))


def _kind(what: str, size: int) -> Kind:
    location = _LOCATION.search(what)
    if location is not None:
        return Kind.DATA_LOC if location["how"] == "data" else Kind.REL_LOC
    if size == 0:
        return Kind.REST
    return Kind.ARRAY if what.endswith("]") else Kind.NUMBER


def preempted_bit(event: EventFormat) -> int | None:
    """The bit of sched_switch's prev_state that says "preempted" (the "+" of "R+"): twice the highest state.

    The states are the list in its print format, which is generated from the kernel's own TASK_* constants
    (include/trace/events/sched.h: TASK_REPORT_MAX). None where there is no such list.
    """
    states = [int(state, 0) for state in _STATE.findall(event.print_format)]
    return 2 * max(states) if states else None
