# SPDX-License-Identifier: GPL-2.0-only
"""Traces made by hand: columns out of a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lab.plan.labplan import HOST_SCOPE
from lab.trace.model import (
    Marks,
    Migrations,
    State,
    Switches,
    Thread,
    Ticks,
    Trace,
    VcpuTimeline,
    Wakeups,
)

MS = 1_000_000
Row = Sequence[int]


def _columns(rows: Iterable[Row], width: int) -> list[np.ndarray]:
    table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.int64).reshape(-1, width)
    return [table[:, 0], *(table[:, at].astype(np.int32) for at in range(1, width))]


def switches(rows: Iterable[Row] = ()) -> Switches:
    """Rows of (time, cpu, prev_tid, prev_runnable, next_tid)."""
    t_ns, cpu, prev_tid, runnable, next_tid = _columns(rows, 5)
    return Switches(t_ns, cpu, prev_tid, runnable.astype(np.bool_), next_tid)


def make_trace(
    start_ns: int = 0,
    end_ns: int = 100,
    *,
    node: str = HOST_SCOPE,
    switched: Iterable[Row] = (),
    woken: Iterable[Row] = (),
    moved: Iterable[Row] = (),
    ticks: Iterable[Row] = (),
    marks: Iterable[tuple[int, int, int, str]] = (),
    moments: Iterable[Row] = (),
    names: dict[int, str] | None = None,
    lost: dict[int, int] | None = None,
    error_ns: int = 0,
    damage: tuple[str, ...] = (),
) -> Trace:
    """`switched` as for `switches`, `woken` (time, tid, target_cpu), `moved` (time, tid, from, to), `ticks` (time,
    cpu, tid, depth), `marks` (time, cpu, tid, text), `moments` (time, cpu)."""
    marks = sorted(marks)
    return Trace(
        node=node,
        phase="contended",
        start_ns=start_ns,
        end_ns=end_ns,
        switches=switches(switched),
        wakeups=Wakeups(*_columns(woken, 3)),
        migrations=Migrations(*_columns(moved, 4)),
        ticks=Ticks(*_columns(ticks, 4)),
        marks=Marks(*_columns([mark[:3] for mark in marks], 3), tuple(mark[3] for mark in marks)),
        moments_ns=_columns(moments, 2)[0],
        moments_cpu=_columns(moments, 2)[1],
        names=names or {},
        lost=lost or {},
        error_ns=error_ns,
        damage=damage,
    )


def vcpu_thread(tid: int, node: str = "guest1", vcpu: int = 0) -> Thread:
    return Thread(tid, node, f"vcpu {vcpu}", vcpu)


def make_timeline(
    stretches: Sequence[tuple[int, State]], *, start_ns: int = 0, node: str = "guest1", vcpu: int = 0
) -> VcpuTimeline:
    """Stretches of (end, state) that follow each other from `start_ns` on, on pCPU 0; thread 9 takes it."""
    ends = np.array([end for end, _ in stretches], dtype=np.int64)
    states = np.array([state for _, state in stretches], dtype=np.int32)
    starts = np.concatenate((np.array([start_ns], dtype=np.int64), ends[:-1]))
    taker = np.where((states == State.PREEMPTED) | (states == State.WAKING), 9, -1).astype(np.int32)
    return VcpuTimeline(node, vcpu, 100, starts, ends, states, np.zeros_like(states), taker)
