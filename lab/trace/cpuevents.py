# SPDX-License-Identifier: GPL-2.0-only
"""The events of one CPU: its pages are read, records sorted out by event, and fields taken from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lab.trace.about import CpuCounts
from lab.trace.clocks import TraceClock
from lab.trace.damage import DamageLog
from lab.trace.events import WANTED, Wanted
from lab.trace.fields import is_readable, last_of_each, read_numbers, read_rest, read_text
from lab.trace.formats import EventFormat, Field, Formats, preempted_bit
from lab.trace.model import Marks, Times
from lab.trace.notes import fields_in, read_notes
from lab.trace.ringbuffer import Buffer, Index, Records, Words, read_buffer

#: No thread has a higher number (include/linux/threads.h, PID_MAX_LIMIT).
TIDS = 4 << 20
_COMMON_TYPE = Field("common_type", 0, 2)


@dataclass(frozen=True)
class Rows:
    """Events of one kind: times, and columns by their names."""

    table: type
    t_ns: Times
    columns: Mapping[str, NDArray[np.int64]]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CpuEvents:
    """What one CPU's file has. `t_ns` are the times of all its events, `names` by thread when it was last seen
    with which name, `lost` how many events are missing."""

    cpu: int
    t_ns: Times
    rows: tuple[Rows, ...] = ()
    names: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    lost: int = 0


class Reader:
    """Reads CPUs' files by `formats`; events that lie beyond `possible` ticks cannot be. Damage goes to `log`."""

    def __init__(
        self, formats: Formats, page_size: int, possible: tuple[int, int] | None, log: DamageLog
    ) -> None:
        self._formats = formats
        self._page_size = page_size
        self._possible = possible
        self._log = log
        commons = [event.fields["common_type"] for event in formats.events.values()]
        self._type = next((one for one in commons if is_readable(one)), _COMMON_TYPE)
        self._wanted = list(self._readable())

    def note_unreadable(self, events: Mapping[str, bool]) -> None:
        """Notes those of `events` that were recorded, and that no format tells apart."""
        known = {event.name for event in self._formats.events.values()}
        for name in sorted(name for name, there in events.items() if there and name not in known):
            self._log.note(
                "formats", f"{name} was recorded, and how is not there: its events are not told apart"
            )

    def _readable(self) -> Iterator[tuple[Wanted, EventFormat]]:
        for wanted in WANTED:
            event = self._formats.by_name(wanted.event)
            if event is None:
                continue
            missing = wanted.missing(event)
            if missing:
                self._log.note("formats", f"{event.name} has no number {', '.join(missing)}: it is left out")
                continue
            if wanted.event == "sched:sched_switch" and preempted_bit(event) is None:
                self._log.note(
                    "formats", f"{event.name} does not list states: only state 0 counts as runnable"
                )
            yield wanted, event

    def read(self, cpu: int, raw: bytes, clock: TraceClock | None, counts: CpuCounts | None) -> CpuEvents:
        """All of a CPU's file; without a clock only what it lost."""
        name = f"cpu{cpu}.raw"
        buffer = read_buffer(raw, self._formats.header, self._page_size)
        for fault in buffer.faults:
            self._log.note(name, f"byte {fault.at}: {fault.what}")
        records = self._possible_only(name, buffer.records)
        lost = _lost(buffer, len(records), counts)
        if clock is None:
            return CpuEvents(cpu, np.empty(0, np.int64), lost=lost)
        self._note_steps(name, records)
        events = CpuEvents(cpu, clock(records.raw), lost=lost)
        return self._with_rows(name, events, buffer.words, records)

    def _possible_only(self, name: str, records: Records) -> Records:
        if self._possible is None:
            return records
        first, last = self._possible
        fits = (records.raw >= first) & (records.raw <= last)
        if fits.all():
            return records
        outside = np.flatnonzero(~fits)
        self._log.note(
            name,
            f"byte {records.start[outside[0]]}: times of {len(outside)} events from here on lie far outside of the "
            f"recording; they are left out, and count as lost",
        )
        return records.where(fits)

    def _note_steps(self, name: str, records: Records) -> None:
        back = np.flatnonzero(records.raw[1:] < records.raw[:-1])
        if not len(back):
            return
        worst = int((records.raw[back] - records.raw[back + 1]).max())
        place = int(records.start[back[0] + 1])
        self._log.note(
            name, f"byte {place}: times step back, {len(back)} times from here on, by {worst} ticks at most"
        )

    def _with_rows(self, name: str, events: CpuEvents, words: Words, records: Records) -> CpuEvents:
        typed = records.length >= self._type.end
        numbers = np.full(len(records), -1, np.int64)
        numbers[typed] = read_numbers(words, records.where(typed), self._type)
        self._note_unknown(name, numbers)
        rows: list[Rows] = []
        names: dict[int, tuple[int, str]] = {}
        for wanted, event in self._wanted:
            chosen = self._long_enough(name, wanted, event, records, np.flatnonzero(numbers == event.number))
            if not len(chosen):
                continue
            part, t_ns = records.where(chosen), events.t_ns[chosen]
            rows.append(_rows(wanted, event, words, part, t_ns))
            for tid, comm in wanted.known_names(event):
                _add_names(names, words, part, t_ns, event.fields[tid], event.fields[comm])
        return replace(events, rows=tuple(rows), names=names)

    def _note_unknown(self, name: str, numbers: Index) -> None:
        counts = np.bincount(numbers[(numbers >= 0) & (numbers < 1 << 16)], minlength=1)
        unknown = [number for number in np.flatnonzero(counts).tolist() if number not in self._formats.events]
        without = len(numbers) - int(counts.sum())
        if unknown:
            many = int(counts[unknown].sum())
            shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
            self._log.note(
                name, f"{many} events have types that formats does not have ({shown}): only when is kept"
            )
        if without:
            self._log.note(name, f"{without} events have no type: only when they were is kept")

    def _long_enough(
        self, name: str, wanted: Wanted, event: EventFormat, records: Records, chosen: Index
    ) -> Index:
        names = [one for pair in wanted.known_names(event) for one in pair]
        said = fields_in(wanted.said)
        fields = [event.fields[one] for one in (*wanted.columns.values(), *names, *said)]
        fits = records.length[chosen] >= max(one.end for one in fields)
        if not fits.all():
            many, place = int((~fits).sum()), int(records.start[chosen[~fits][0]])
            self._log.note(
                name, f"byte {place}: {many} records of {event.name} are too short: only when is kept"
            )
        return chosen[fits]


def _lost(buffer: Buffer, there: int, counts: CpuCounts | None) -> int:
    """Events that were overwritten (by pages and by the kernel's counts), never stored, or are not here."""
    if counts is None:
        return buffer.missed + len(buffer.records) - there
    gone = max(counts.entries - there, 0)
    return max(counts.overrun, buffer.missed) + counts.dropped + counts.commit_overrun + gone


def _rows(wanted: Wanted, event: EventFormat, words: Words, records: Records, t_ns: Times) -> Rows:
    columns = {
        column: read_numbers(words, records, event.fields[name]) for column, name in wanted.columns.items()
    }
    return Rows(wanted.table, t_ns, columns, _words(wanted, event, words, records))


def _words(wanted: Wanted, event: EventFormat, words: Words, records: Records) -> tuple[str, ...]:
    if wanted.said:
        return read_notes(wanted.said, event, words, records)
    return _texts(event, words, records) if wanted.table is Marks else ()


def _texts(event: EventFormat, words: Words, records: Records) -> tuple[str, ...]:
    """What was written; of binary marks their number and their bytes, in hexadecimal."""
    buf, number = event.fields.get("buf"), event.fields.get("id")
    found: list[str] = []
    for start, length in zip(records.start.tolist(), records.length.tolist(), strict=True):
        if buf is None:
            found.append("")
        elif number is None:
            found.append((read_text(words, start, length, buf) or "").rstrip("\n"))
        else:
            data = read_rest(words, start, length, number.offset)
            value = int.from_bytes(data[: number.size], "little")
            found.append(f"{value:#x} {data[buf.offset - number.offset :].hex()}")
    return tuple(found)


def _add_names(
    names: dict[int, tuple[int, str]], words: Words, records: Records, t_ns: Times, tid: Field, comm: Field
) -> None:
    tids = read_numbers(words, records, tid)
    for place in last_of_each(tids, TIDS).tolist():
        thread, when = int(tids[place]), int(t_ns[place])
        text = read_text(words, int(records.start[place]), int(records.length[place]), comm)
        if text and (thread not in names or names[thread][0] <= when):
            names[thread] = (when, text)
