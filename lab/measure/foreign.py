# SPDX-License-Identifier: GPL-2.0-only
"""What else ran on a host between two snapshots of it: foreign tasks, and run time that no task explains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.measure.snapshots import KERNEL, NOBODY, HostSnapshot, HostTask
from lab.measure.streamwords import CpuTimes

_NS_PER_S = 1_000_000_000
#: Threads that the kernel makes for a guest: vhost's carry the number of the emulator's process (drivers/vhost),
#: KVM's partly so (arch/x86/kvm); nobody else than a hypervisor has any of them.
_GUESTS_KTHREAD = re.compile(r"(?:vhost|kvm)-\D*(\d*)")


@dataclass(frozen=True)
class TaskRun:
    """`run_ns` that one task ran over some time, and children of its process that ended in it; `pcpus` are those on
    which it was seen at its edges."""

    task: HostTask
    run_ns: int
    children_ns: int
    pcpus: frozenset[int]

    def __add__(self, later: TaskRun) -> TaskRun:
        run_ns, children_ns = self.run_ns + later.run_ns, self.children_ns + later.children_ns
        return TaskRun(later.task, run_ns, children_ns, self.pcpus | later.pcpus)


@dataclass(frozen=True)
class HostRuns:
    """A host between two snapshots, `elapsed_ns` apart: every task that ran, the lab's own too, by its key.

    `busy_ns` is by pCPU what it worked, by its idle time; `counted_ns` what its scheduler counted when tasks left
    it, empty where the kernel does not count. `names` are those of processes.
    """

    elapsed_ns: int
    runs: Mapping[tuple[int, int], TaskRun]
    busy_ns: Mapping[int, int]
    counted_ns: Mapping[int, int]
    names: Mapping[int, str]
    guests_pids: frozenset[int]


@dataclass(frozen=True)
class ForeignRun:
    """What one foreign process, by the name of its first task, ran on pCPUs that it was seen on."""

    name: str
    pid: int
    run_ns: int
    pcpus: tuple[int, ...]


class RunHistory:
    """The snapshots of one stream, in order: what tasks ran from each to the next."""

    def __init__(self, snapshots: Sequence[HostSnapshot], user_hz: int) -> None:
        self.snapshots = tuple(snapshots)
        self._user_hz = user_hz
        self._known: dict[tuple[int, int], HostTask] = {}
        self._names: dict[int, str] = {}
        self._steps = [tuple(self._step(snapshot, number)) for number, snapshot in enumerate(snapshots)]

    def _step(self, snapshot: HostSnapshot, number: int) -> Iterator[TaskRun]:
        """What the tasks of a snapshot ran since the one before; a task without a line there did not run."""
        for task in snapshot.tasks:
            before = self._known.get(task.key)
            self._known[task.key] = task
            if task.tid == task.pid:
                self._names[task.pid] = task.name
            if number > 0:
                ran_ns = task.run_ns - (before.run_ns if before else 0)
                children_ns = task.children_ns - (before.children_ns if before else 0)
                seen_on = {task.pcpu} | ({before.pcpu} if before else set())
                yield TaskRun(task, ran_ns, children_ns, frozenset(seen_on))

    def between(self, first: int, last: int) -> HostRuns:
        """From snapshot number `first` to number `last`, which comes later."""
        runs: dict[tuple[int, int], TaskRun] = {}
        for run in (run for step in self._steps[first + 1 : last + 1] for run in step):
            runs[run.task.key] = runs[run.task.key] + run if run.task.key in runs else run
        before, after = self.snapshots[first], self.snapshots[last]
        elapsed_ns = after.t0_ns - before.t0_ns
        guests = {task.pid for task in after.tasks if task.is_guests}
        counted = {
            pcpu: ran_ns - before.run_ns[pcpu]
            for pcpu, ran_ns in after.run_ns.items()
            if pcpu in before.run_ns
        }
        busy = self._busy(before.cpus, after.cpus, elapsed_ns)
        return HostRuns(elapsed_ns, runs, busy, counted, dict(self._names), frozenset(guests))

    def _busy(self, before: Iterable[CpuTimes], after: Iterable[CpuTimes], elapsed_ns: int) -> dict[int, int]:
        """Not the sum of busy columns: a tick charges all of itself to whoever it finds. Idle time is exact."""
        earlier = {one.cpu: _not_for_tasks(one) for one in before}
        return {
            one.cpu: elapsed_ns - (_not_for_tasks(one) - earlier[one.cpu]) * _NS_PER_S // self._user_hz
            for one in after
            if one.cpu in earlier
        }


def _not_for_tasks(times: CpuTimes) -> int:
    """Interrupts are in it: kernels that tell them apart leave them out of tasks' run time, too."""
    return times.idle + times.iowait + times.irq + times.softirq + times.steal


# ---- whose it is


def is_foreign(task: HostTask, guests_pids: Iterable[int]) -> bool:
    """Whether a task is neither the lab's nor the kernel's on behalf of its guests."""
    if task.owner == NOBODY:
        return True
    return task.owner == KERNEL and not _serves_guest(task.name, guests_pids)


def _serves_guest(name: str, guests_pids: Iterable[int]) -> bool:
    match = _GUESTS_KTHREAD.match(name)
    return match is not None and (not match[1] or int(match[1]) in guests_pids)


def foreign_runs(runs: HostRuns, leased: Iterable[int]) -> tuple[ForeignRun, ...]:
    """Foreign processes that were seen on leased pCPUs, what ran most first."""
    found: dict[int, ForeignRun] = {}
    wanted = frozenset(leased)
    for run in runs.runs.values():
        task, pcpus = run.task, run.pcpus & wanted
        if run.run_ns <= 0 or not pcpus or not is_foreign(task, runs.guests_pids):
            continue
        name = runs.names.get(task.pid, task.name)
        one = found.get(task.pid, ForeignRun(name, task.pid, 0, ()))
        both = tuple(sorted(pcpus | set(one.pcpus)))
        found[task.pid] = replace(one, run_ns=one.run_ns + run.run_ns, pcpus=both)
    return tuple(sorted(found.values(), key=lambda one: -one.run_ns))


def unlisted_ns(runs: HostRuns, pcpu: int) -> int:
    """What tasks ran on a pCPU that ended before a snapshot saw them; 0 where the pCPU was not seen.

    Two measures know it, each wrong in its own way: idle time counts in units of 10 ms, and the scheduler counts a
    task's time when it leaves the pCPU, however long that takes. What both say is true. A task that moved about may
    be put down to the wrong pCPU: over all pCPUs that cancels out, so never more is told than is missing in all.
    """
    measures = [one for one in (runs.busy_ns, runs.counted_ns) if pcpu in one]
    if not measures:
        return 0
    listed: dict[int, float] = {}
    for run in runs.runs.values():
        for one in run.pcpus:
            listed[one] = listed.get(one, 0.0) + run.run_ns / len(run.pcpus)
    here = min(measure[pcpu] for measure in measures) - listed.get(pcpu, 0.0)
    in_all = min(sum(measure.values()) for measure in measures) - sum(listed.values())
    return max(0, round(min(here, in_all)) - _commands_ns(runs))


def _commands_ns(runs: HostRuns) -> int:
    """What commands of the lab ran that have ended: nobody knows on which pCPU, so it explains time on any."""
    waited = [(run.task.pid, run.children_ns) for run in runs.runs.values() if run.task.is_helper]
    return sum(max(ns for pid, ns in waited if pid == one) for one in {pid for pid, _ in waited})


def helpers_ns(runs: HostRuns) -> int:
    """What the lab's own helpers ran, on whichever pCPU: its probe, and what carried out its commands."""
    alive = sum(run.run_ns for run in runs.runs.values() if run.task.is_helper)
    return alive + _commands_ns(runs)


def busiest_parent(runs: HostRuns) -> tuple[str, int] | None:
    """Name and pid of the foreign process whose children ended after they had run most; None if none ended."""
    parents = [
        run for run in runs.runs.values() if run.children_ns > 0 and is_foreign(run.task, runs.guests_pids)
    ]
    if not parents:
        return None
    task = max(parents, key=lambda run: run.children_ns).task
    return runs.names.get(task.pid, task.name), task.pid
