# SPDX-License-Identifier: GPL-2.0-only
"""What traces come to, made by hand, for tests of the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from judging import VCPUS, WINDOW_NS, make_measurements

from lab.measure.windows import Measurements
from lab.recording import Event
from lab.trace.model import (
    Marks,
    Migrations,
    State,
    Switches,
    Thread,
    Ticks,
    Times,
    Trace,
    TracedWindow,
    VcpuTimeline,
    Wakeups,
)
from lab.trace.summary import HitBy, Holders, PhaseTrace, Physics, VcpuPreemptions

MS = 1_000_000


def lengths_of(*milliseconds: float) -> Times:
    """Sorted lengths."""
    return np.sort(np.array([round(one * MS) for one in milliseconds], dtype=np.int64))


def make_traced(
    node: str = "guest1",
    vcpu: int = 0,
    *,
    lengths_ms: Sequence[float] = (4.0,) * 2000,
    latencies_ms: Sequence[float] = (1.0,) * 400,
    by: Sequence[HitBy] = (),
    holders: Holders | None = None,
    error_ns: int = 0,
    doubts: tuple[str, ...] = (),
) -> VcpuPreemptions:
    """A vCPU over 20 s that is preempted for 4 ms a hundred times a second, and runs whenever it does not wait."""
    preempted_ns, waking_ns = (round(sum(some) * MS) for some in (lengths_ms, latencies_ms))
    return VcpuPreemptions(
        node=node,
        vcpu=vcpu,
        phase="contended",
        elapsed_ns=WINDOW_NS,
        lengths_ns=lengths_of(*lengths_ms),
        latencies_ns=lengths_of(*latencies_ms),
        run_ns=WINDOW_NS - preempted_ns - waking_ns,
        preempted_ns=preempted_ns,
        waking_ns=waking_ns,
        blocked_ns=0,
        migrations=0,
        by=tuple(by),
        holders=holders,
        error_ns=error_ns,
        doubts=doubts,
    )


def make_trace(
    *vcpus: VcpuPreemptions,
    physics: Sequence[Physics] = (),
    lost: dict[str, int] | None = None,
    doubts: tuple[str, ...] = (),
) -> PhaseTrace:
    """The trace of the phase `contended`: these vCPUs, or all of both guests."""
    every = vcpus or tuple(make_traced(node, vcpu) for node, vcpu in VCPUS)
    return PhaseTrace("contended", every, tuple(physics), lost, doubts)


def traced(trace: PhaseTrace) -> Measurements:
    """All is well, and the phase `contended` was traced."""
    return replace(make_measurements(), traces=(trace,))


# ---- a window of 16 ms: guest1 and guest2 take turns on pCPU 0

START_NS = 1_000_000_000
_R, _P, _W, _B = State.RUNNING, State.PREEMPTED, State.WAKING, State.BLOCKED
_GUEST1, _GUEST2, _HOG = 11, 12, 13
EVENTS = (
    Event(START_NS, "phase", {"phase": "contended"}),
    Event(START_NS + 2_500_000, "knob", {"node": "guest1", "knob": "avoid_cpus", "old": "", "new": "1"}),
    Event(START_NS + 3_000_000, "note", {"text": "nothing to see"}),
)


def make_window() -> TracedWindow:
    """A traced window, `guest2` itself traced, too."""
    return TracedWindow(
        phase="contended",
        host=make_raw("@host", error_ns=2_000, names={_HOG: "pvspin"}),
        guests={"guest2": make_raw("guest2", error_ns=15_000, lost={0: 3}, mark_ns=START_NS + 5 * MS)},
        threads={
            _GUEST1: Thread(_GUEST1, "guest1", "vcpu 0", 0),
            _GUEST2: Thread(_GUEST2, "guest2", "vcpu 0", 0),
            _HOG: Thread(_HOG, "noisy", "thread 0"),
        },
        vcpus=(
            make_timeline(
                "guest1", _GUEST1, (4, _R, 0, -1), (4, _P, 0, _GUEST2), (4, _R, 0, -1), (4, _B, 0, -1)
            ),
            make_timeline(
                "guest2",
                _GUEST2,
                (4, _P, 0, _GUEST1),
                (4, _R, 0, -1),
                (2, _P, 0, _HOG),
                (2, _W, 0, _GUEST1),
                (4, _R, 1, -1),
            ),
        ),
    )


def make_timeline(node: str, tid: int, *parts: tuple[int, State, int, int]) -> VcpuTimeline:
    """vCPU 0 of `node`, by (ms, state, pCPU, taker)."""
    ends = START_NS + np.cumsum([part[0] * MS for part in parts])
    columns = [np.array([part[place] for part in parts], dtype=np.int32) for place in (1, 2, 3)]
    return VcpuTimeline(node, 0, tid, np.concatenate(([START_NS], ends[:-1])), ends, *columns)


def make_raw(
    node: str,
    *,
    error_ns: int = 0,
    names: dict[int, str] | None = None,
    lost: dict[int, int] | None = None,
    mark_ns: int | None = None,
) -> Trace:
    """A trace without events of the scheduler, with one mark or none."""
    none, no = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    at = none if mark_ns is None else np.array([mark_ns], dtype=np.int64)
    zeros = np.zeros(len(at), dtype=np.int32)
    return Trace(
        node=node,
        phase="contended",
        start_ns=START_NS,
        end_ns=START_NS + 16 * MS,
        switches=Switches(none, no, no, no.astype(np.bool_), no),
        wakeups=Wakeups(none, no, no),
        migrations=Migrations(none, no, no, no),
        ticks=Ticks(none, no, no, no),
        marks=Marks(at, zeros, zeros, ("pvlock hold a 12000\n",) * len(at)),
        moments_ns=none,
        moments_cpu=no,
        names=names or {},
        lost=lost or {},
        error_ns=error_ns,
    )
