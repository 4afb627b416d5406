# SPDX-License-Identifier: GPL-2.0-only
"""Files of a trace as a kernel would have made them: pages, formats, about."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PAGE, HEAD = 4096, 16
PADDING, TIME_EXTEND, TIME_STAMP = 29, 30, 31
MISSED_EVENTS, MISSED_STORED = 1 << 31, 1 << 30
DELTA_BITS = 27

HEADER_PAGE = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"
)
SWITCH_PRINT = (
    '"prev_state=%s%s", (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000040) + 1) << 1) - 1)) ? '
    '__print_flags(REC->prev_state & 0xff, "|", { 0x00000001, "S" }, { 0x00000002, "D" }, { 0x00000040, "P" }, '
    '{ 0x00000080, "I" }) : "R", REC->prev_state & (((0x00000000 | 0x00000040) + 1) << 1) ? "+" : ""'
)
#: The bit that SWITCH_PRINT says "+" of.
PREEMPTED = 0x100


def head(kind: int, delta: int) -> bytes:
    """The header of a record."""
    return struct.pack("<I", kind | delta << 5)


def record(delta: int, data: bytes, long: bool = False) -> bytes:
    """A record with data, after a record that holds its time if need be; `long`: its length stands in a word."""
    extend = b""
    if delta >= 1 << DELTA_BITS:
        extend = head(TIME_EXTEND, delta % (1 << DELTA_BITS)) + struct.pack("<I", delta >> DELTA_BITS)
        delta = 0
    filled = data + bytes(-len(data) % 4)
    if long or not 4 <= len(filled) <= 112:
        return extend + head(0, delta) + struct.pack("<I", len(filled) + 4) + filled
    return extend + head(len(filled) // 4, delta) + filled


def stamp(time: int) -> bytes:
    """A record that has nothing but an absolute time."""
    return head(TIME_STAMP, time % (1 << DELTA_BITS)) + struct.pack("<I", (time >> DELTA_BITS) % (1 << 32))


def discarded(delta: int, words: int) -> bytes:
    """A record that was discarded after it had been reserved, `words` of data long."""
    return head(PADDING, delta) + struct.pack("<I", words * 4) + b"\xaa" * (words * 4 - 4)


def page(time: int, body: bytes, commit: int | None = None, missed: int | None = None) -> bytes:
    """A page; `missed` events are said to be lost before it, 0: an unknown number."""
    flags, behind = 0, b""
    if missed is not None:
        flags = MISSED_EVENTS | (MISSED_STORED if missed else 0)
        behind = struct.pack("<Q", missed) if missed else b""
    committed = len(body) if commit is None else commit
    whole = struct.pack("<QQ", time, committed | flags) + body + behind
    assert len(whole) <= PAGE
    return whole + bytes(PAGE - len(whole))


def pages(events: Sequence[tuple[int, bytes]], room: int = PAGE - HEAD) -> list[bytes]:
    """Pages with `events` (times that do not fall, data), each as full as `room` bytes allow."""
    made: list[bytes] = []
    body, begin, last = b"", 0, 0
    for time, data in events:
        piece = record(time - last, data)
        if not body or len(body) + len(piece) > room:
            made += [page(begin, body)] if body else []
            body, begin = record(0, data), time
        else:
            body += piece
        last = time
    return [*made, page(begin, body)] if body else made


@dataclass(frozen=True)
class Layout:
    """An event's format: `fields` are (declaration, name, offset, size, signed)."""

    system: str
    event: str
    number: int
    fields: Sequence[tuple[str, str, int, int, bool]]
    print_format: str = '""'

    def render(self) -> bytes:
        lines = [
            f"\tfield:{what};\toffset:{offset};\tsize:{size};\tsigned:{int(signed)};"
            for what, _, offset, size, signed in self.fields
        ]
        text = "\n".join([*lines[:4], "", *lines[4:]])
        return (
            f"name: {self.event}\nID: {self.number}\nformat:\n{text}\n\nprint fmt: {self.print_format}\n"
        ).encode()

    def pack(self, values: Mapping[str, int | bytes], tail: bytes = b"") -> bytes:
        """A record's data; fields without a value are full of ones."""
        data = bytearray(b"\xff" * max(offset + size for _, _, offset, size, _ in self.fields))
        for _, name, offset, size, signed in self.fields:
            value = self.number if name == "common_type" else values.get(name)
            if isinstance(value, int):
                data[offset : offset + size] = value.to_bytes(size, "little", signed=signed)
            elif value is not None:
                data[offset : offset + size] = value.ljust(size, b"\0")[:size]
        return bytes(data) + tail


COMMON = (
    ("unsigned short common_type", "common_type", 2, False),
    ("unsigned char common_flags", "common_flags", 1, False),
    ("unsigned char common_preempt_count", "common_preempt_count", 1, False),
    ("int common_pid", "common_pid", 4, True),
)
_PID, _INT = ("pid_t {}", 4, True), ("int {}", 4, True)
_COMM, _LONG = ("char {}[16]", 16, False), ("long {}", 8, True)
FIELDS: Mapping[tuple[str, str], Sequence[tuple[str, tuple[str, int, bool]]]] = {
    ("sched", "sched_switch"): (
        ("prev_comm", _COMM),
        ("prev_pid", _PID),
        ("prev_prio", _INT),
        ("prev_state", _LONG),
        ("next_comm", _COMM),
        ("next_pid", _PID),
        ("next_prio", _INT),
    ),
    ("sched", "sched_wakeup"): (("comm", _COMM), ("pid", _PID), ("prio", _INT), ("target_cpu", _INT)),
    ("sched", "sched_wakeup_new"): (("comm", _COMM), ("pid", _PID), ("prio", _INT), ("target_cpu", _INT)),
    ("sched", "sched_migrate_task"): (
        ("comm", ("__data_loc char[] {}", 4, False)),
        ("pid", _PID),
        ("prio", _INT),
        ("orig_cpu", _INT),
        ("dest_cpu", _INT),
    ),
    ("irq_vectors", "local_timer_entry"): (("vector", _INT),),
    ("ftrace", "print"): (("ip", ("unsigned long {}", 8, False)), ("buf", ("char {}[]", 0, False))),
}


def layouts(gaps: Sequence[int] = (0,), first_number: int = 300) -> dict[str, Layout]:
    """A layout of every event that the lab reads, by its name. `gaps` are free words before fields, in turn."""
    made: dict[str, Layout] = {}
    for number, ((system, event), own) in enumerate(FIELDS.items(), first_number):
        fields: list[tuple[str, str, int, int, bool]] = []
        at = 0
        for what, name, size, signed in COMMON:
            fields.append((what, name, at, size, signed))
            at += size
        for place, (name, (what, size, signed)) in enumerate(own):
            at += 4 * gaps[place % len(gaps)]
            at += -at % min(size or 4, 4)
            fields.append((what.format(name), name, at, size, signed))
            at += size
        shown = SWITCH_PRINT if event == "sched_switch" else '""'
        made[event] = Layout(system, event, number, fields, shown)
    return made


def formats(known: Mapping[str, Layout], names: str = "") -> bytes:
    """The file `formats`."""
    pieces = [("events/header_page", HEADER_PAGE.encode())]
    pieces += [(f"events/{one.system}/{one.event}/format", one.render()) for one in known.values()]
    pieces += [("names", names.encode())] if names else []
    return b"".join(b"== %s %d\n" % (name.encode(), len(body)) + body for name, body in pieces)


@dataclass
class AboutText:
    """The file `about`."""

    pairs: Sequence[tuple[int, int, int]]
    clock: str = "x86-tsc"
    cpus: Mapping[int, str] = field(default_factory=dict)
    events: Sequence[str] = ()

    def render(self) -> bytes:
        lines = ["version 1", f"clock {self.clock}", "kernel 6.18.0", "page_size 4096"]
        lines += [f"cpus {','.join(map(str, self.cpus))}"] if self.cpus else []
        lines += [f"event {event} present" for event in self.events]
        lines += [f"pair {raw} {mono} {error}" for raw, mono, error in self.pairs]
        lines += [f"cpu {cpu} {counts}" for cpu, counts in self.cpus.items()]
        return ("\n".join([*lines, "cost_ns 1000"]) + "\n").encode()
