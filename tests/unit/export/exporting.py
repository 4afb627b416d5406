# SPDX-License-Identifier: GPL-2.0-only
"""Hand-made traces of two vCPUs, a hog and a stranger on two pCPUs, whose every nanosecond is known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lab.export.perfetto import Exported, write_perfetto
from lab.measure.windows import Measurements
from lab.trace.model import (
    Marks,
    Migrations,
    Switches,
    Thread,
    Ticks,
    Trace,
    TracedWindow,
    Wakeups,
)
from lab.trace.timeline import vcpu_timelines

#: When the window begins: late enough that times need many bytes.
T0 = 7_000_000_000_000_000
END = T0 + 1_000_000
VCPU0, VCPU1, HOG, STRANGER = 100, 101, 200, 300
IDLE = 0
THREADS = {
    VCPU0: Thread(VCPU0, "one", "vcpu 0", 0),
    VCPU1: Thread(VCPU1, "one", "vcpu 1", 1),
    HOG: Thread(HOG, "noisy", "thread 0"),
}

#: (after T0, CPU, who left, whether it wanted to run, who came)
Switch = tuple[int, int, int, bool, int]
HOST_SWITCHES: Sequence[Switch] = (
    (100_000, 0, VCPU0, True, HOG),
    (200_000, 1, IDLE, False, VCPU1),
    (300_000, 0, HOG, True, VCPU0),
    (400_000, 1, VCPU1, True, STRANGER),
    (500_000, 1, STRANGER, True, VCPU1),
    (600_000, 0, VCPU0, False, IDLE),
    (800_000, 0, IDLE, False, VCPU0),
    (900_000, 1, VCPU1, False, IDLE),
)
GUEST_SWITCHES: Sequence[Switch] = (
    (50_000, 0, 11, True, 12),
    (350_000, 0, 12, False, IDLE),
    (820_000, 0, IDLE, False, 11),
)


@dataclass(frozen=True)
class FakeEvent:
    t_ns: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


def switches(rows: Sequence[Switch]) -> Switches:
    columns = list(zip(*rows, strict=True)) or [[]] * 5
    return Switches(
        np.array(columns[0], dtype=np.int64) + T0,
        np.array(columns[1], dtype=np.int32),
        np.array(columns[2], dtype=np.int32),
        np.array(columns[3], dtype=np.bool_),
        np.array(columns[4], dtype=np.int32),
    )


def wakeups(rows: Sequence[tuple[int, int, int]]) -> Wakeups:
    times, tids, cpus = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Wakeups(times + T0, tids.astype(np.int32), cpus.astype(np.int32))


def marks(rows: Sequence[tuple[int, int, int, str]]) -> Marks:
    numbers = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3).T
    cpu, tid = numbers[1].astype(np.int32), numbers[2].astype(np.int32)
    return Marks(numbers[0] + T0, cpu, tid, tuple(row[3] for row in rows))


def trace(
    node: str,
    rows: Sequence[Switch],
    *,
    woken: Sequence[tuple[int, int, int]] = (),
    marked: Sequence[tuple[int, int, int, str]] = (),
    names: Mapping[int, str] | None = None,
) -> Trace:
    times, numbers = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    return Trace(
        node=node,
        phase="p",
        start_ns=T0,
        end_ns=END,
        switches=switches(rows),
        wakeups=wakeups(woken),
        migrations=Migrations(times, numbers, numbers, numbers),
        ticks=Ticks(times, numbers, numbers, numbers),
        marks=marks(marked),
        moments_ns=times,
        moments_cpu=numbers,
        names=names or {},
    )


def traced_window() -> TracedWindow:
    host = trace(
        "@host",
        HOST_SWITCHES,
        woken=[(150_000, VCPU1, 1), (750_000, VCPU0, 0)],
        names={STRANGER: "bash"},
    )
    guest = trace(
        "one",
        GUEST_SWITCHES,
        marked=[
            (60_000, 0, 12, "hello"),
            (340_000, 0, 12, "pvlock hold big 250000"),
            (345_000, 0, 12, "pvlock marks big 1000"),
        ],
        names={11: "idler", 12: "worker"},
    )
    return TracedWindow("p", host, {"one": guest}, THREADS, vcpu_timelines(host, THREADS))


def measurements(**changes: Any) -> Measurements:
    return Measurements(**{"phases": (), "vcpus": (), "tasks": (), "affinities": (), "clocks": (), **changes})


def perfetto(events: Sequence[FakeEvent] = (), measured: Measurements | None = None, **more: Any) -> bytes:
    sink = io.BytesIO()
    write_perfetto(Exported("demo", events, measured or measurements(), **more), sink)
    return sink.getvalue()


def later(window: TracedWindow, by_ns: int) -> TracedWindow:
    """The same once more, `by_ns` later."""
    host, guest = (_later(one, by_ns) for one in (window.host, window.guests["one"]))
    return TracedWindow("q", host, {"one": guest}, THREADS, vcpu_timelines(host, THREADS))


def _later(one: Trace, by_ns: int) -> Trace:
    return replace(
        one,
        start_ns=one.start_ns + by_ns,
        end_ns=one.end_ns + by_ns,
        switches=replace(one.switches, t_ns=one.switches.t_ns + by_ns),
        wakeups=replace(one.wakeups, t_ns=one.wakeups.t_ns + by_ns),
        marks=replace(one.marks, t_ns=one.marks.t_ns + by_ns),
    )
