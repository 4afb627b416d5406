# SPDX-License-Identifier: GPL-2.0-only
"""What traces say, as tracks: who ran on each pCPU, what each vCPU did, and its guest's tasks and locks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lab.export.branches import Branches
from lab.export.packets import Track
from lab.export.tracewriter import TraceWriter
from lab.export.whoran import Runs, runs_on
from lab.trace.holders import Holds, parse_holds
from lab.trace.model import State, Trace, TracedWindow, VcpuTimeline
from lab.trace.takers import name_taker

#: How the marks of the lock-holder load begin: those of holds become slices, the others only say that it marks.
_LOCK_MARKS = "pvlock "

Name = Callable[[int], str]


def write_traced(writer: TraceWriter, branches: Branches, window: TracedWindow) -> None:
    """Everything of one traced window, and what speaks against it."""

    def name(tid: int) -> str:
        return name_taker(tid, window.host.names, window.threads)

    for pcpu in np.unique(window.host.switches.cpu).tolist():
        runs = runs_on(window.host.switches, pcpu, _limits(window.host), window.threads.keys())
        _write_runs(writer, branches.pcpu(pcpu), runs, name)
    for vcpu in window.vcpus:
        _write_vcpu(writer, branches.vcpu(vcpu.node, vcpu.vcpu), vcpu, name)
    for guest in window.guests.values():
        _write_guest(writer, branches, guest)
    for doubt in window.doubts:
        writer.moment(branches.lab("events"), window.host.start_ns, f"trace of {window.phase}: {doubt}", {})


def _limits(trace: Trace) -> tuple[int, int]:
    return trace.start_ns, trace.end_ns


def _write_runs(writer: TraceWriter, track: Track, runs: Runs, name: Name) -> None:
    tids, which = np.unique(runs.tid, return_inverse=True)
    names = [name(tid) for tid in tids.tolist()]
    both = [*names, *(f"{one} and others" for one in names)]
    writer.slices(track, runs.start_ns, runs.end_ns, both, which + len(names) * runs.others)


def _write_vcpu(writer: TraceWriter, track: Track, vcpu: VcpuTimeline, name: Name) -> None:
    """Its states, but for what is not known; with each the pCPU that it runs on, or ran on last."""
    known = np.flatnonzero(vcpu.state != State.UNKNOWN)
    state, taker, pcpu = vcpu.state[known], vcpu.taker[known], vcpu.pcpu[known]
    # Only a preemption is told by its taker, so all that others have there is to be one.
    both = np.stack((state, np.where(state == State.PREEMPTED, taker, 0)), axis=1)
    kinds, which = np.unique(both, axis=0, return_inverse=True)
    names = [_state_name(State(one), tid, name) for one, tid in kinds.tolist()]
    pcpus, on = np.unique(pcpu, return_inverse=True)
    texts = [str(one) if one >= 0 else "unknown" for one in pcpus.tolist()]
    detail = ("pcpu", texts, on.reshape(-1))
    writer.slices(track, vcpu.start_ns[known], vcpu.end_ns[known], names, which.reshape(-1), detail)


def _state_name(state: State, taker: int, name: Name) -> str:
    if state is State.PREEMPTED:
        return f"preempted by {name(taker)}"
    return {State.RUNNING: "running", State.WAKING: "waking", State.BLOCKED: "halted"}[state]


# ---- guests


def _write_guest(writer: TraceWriter, branches: Branches, guest: Trace) -> None:
    def name(tid: int) -> str:
        return guest.names.get(tid, f"thread {tid}")

    for vcpu in np.unique(guest.switches.cpu).tolist():
        _write_runs(
            writer, branches.tasks(guest.node, vcpu), runs_on(guest.switches, vcpu, _limits(guest)), name
        )
    _write_marks(writer, branches, guest, name)
    holds = parse_holds(guest.marks)
    for lock in sorted(set(holds.name)):
        _write_lock(writer, branches.lock(guest.node, lock), holds, lock, name)


def _write_marks(writer: TraceWriter, branches: Branches, guest: Trace, name: Name) -> None:
    marks = guest.marks
    shown = np.array([not text.startswith(_LOCK_MARKS) for text in marks.text], dtype=np.bool_)
    for vcpu in np.unique(marks.cpu[shown]).tolist():
        mine = np.flatnonzero(shown & (marks.cpu == vcpu))
        texts = [f"{name(int(marks.tid[one]))}: {marks.text[one]}" for one in mine.tolist()]
        writer.instants(branches.marks(guest.node, vcpu), marks.t_ns[mine], texts, np.arange(len(mine)))
    _write_notes(writer, branches, guest)


def _write_notes(writer: TraceWriter, branches: Branches, guest: Trace) -> None:
    """What the guest's kernel told of itself."""
    notes = guest.notes
    for vcpu in np.unique(notes.cpu).tolist():
        mine = np.flatnonzero(notes.cpu == vcpu)
        texts = [notes.text[one] for one in mine.tolist()]
        writer.instants(branches.notes(guest.node, vcpu), notes.t_ns[mine], texts, np.arange(len(mine)))


def _write_lock(writer: TraceWriter, track: Track, holds: Holds, lock: str, name: Name) -> None:
    """One holds it at a time: what overlaps by the clocks' error begins when the hold before it ends."""
    mine = np.flatnonzero(np.array([one == lock for one in holds.name], dtype=np.bool_))
    mine = mine[np.argsort(holds.end_ns[mine], kind="stable")]
    end_ns = holds.end_ns[mine]
    start_ns = np.maximum(holds.begin_ns[mine], np.concatenate(([0], end_ns[:-1])))
    tids, which = np.unique(holds.tid[mine], return_inverse=True)
    writer.slices(track, start_ns, end_ns, [f"held by {name(tid)}" for tid in tids.tolist()], which)
