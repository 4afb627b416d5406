# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots of a host out of its probe's stream (images/probe/STREAM.md, `s` to `z` lines)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lab.measure.streamwords import CpuTimes, DamageError, parse_cpu_times, parse_number, parse_numbers
from lab.units import parse_cpulist

#: Owners of tasks that are no guest's: the lab itself, the host's kernel, and somebody else. What the lab's probe
#: was told of has LAB and a name of its own ("@lab:hog-noise").
LAB, KERNEL, NOBODY = "@lab", "@kernel", "-"
#: The name of the process that carries out the lab's commands on the host.
COMMANDS = "commands"
#: The name of the process that records a trace of the host.
TRACER = "tracer"
#: The names of whoever looks at a run, and of what carries its connection (`lab top`).
ONLOOKER, ONLOOKER_LINK = "top", "top-link"

#: Where the time that a pCPU's tasks have run stands in its line of /proc/schedstat, its name being number 0
#: (Documentation/scheduler/sched-stats.rst): in ns, counted when a task leaves the pCPU.
_RUN_TIME = 7


_HELPERS = frozenset(f"{LAB}:{name}" for name in (COMMANDS, TRACER, ONLOOKER, ONLOOKER_LINK))


@dataclass(frozen=True)
class HostTask:
    """One task of the host.

    `owner` is a guest's name, LAB (with a name or without), KERNEL or NOBODY; `pcpu` where it ran last; `start`
    when it was made, in clock ticks since the host's boot, which tells it from one that had its tid before;
    `run_ns` what it had run since then, `children_ns` what children of its process had that ended and were waited
    for; `affinity` the pCPUs that it may run on.
    """

    tid: int
    pid: int
    owner: str
    pcpu: int
    start: int
    run_ns: int
    children_ns: int
    affinity: tuple[int, ...]
    name: str

    @property
    def is_guests(self) -> bool:
        """Whether it is a thread of the emulator of one of the lab's guests."""
        return self.owner not in (KERNEL, NOBODY) and not self.owner.startswith(LAB)

    @property
    def is_helper(self) -> bool:
        """Whether it is the lab's own, but no part of the contention: its probe, what carries out commands, what
        records traces, and who looks on."""
        return self.owner == LAB or self.owner in _HELPERS

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all other tasks of this boot."""
        return (self.tid, self.start)


@dataclass(frozen=True)
class HostSnapshot:
    """A host at one moment, read between `t0_ns` and `t1_ns`, for which the probe itself needed `cost_ns`.

    `tasks` are those that ran since the snapshot before, in the first one all of them, and always the guests'.
    `cpus` and `run_ns` (by pCPU; empty where the kernel does not count it) were read first. `groups` are the
    control groups of the guests' threads by tid, as paths below the root of cgroup v2; `files` are what is visible
    of weights, limits, clock governors, SMT and turbo, by path.
    """

    name: str
    t0_ns: int
    t1_ns: int
    cost_ns: int
    cpus: tuple[CpuTimes, ...] = ()
    run_ns: Mapping[int, int] = field(default_factory=dict)
    tasks: tuple[HostTask, ...] = ()
    groups: Mapping[int, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass
class OpenSnapshot:
    """A snapshot whose last line has not come yet."""

    name: str
    t0_ns: int
    _cpus: list[CpuTimes] = field(default_factory=list)
    _run_ns: dict[int, int] = field(default_factory=dict)
    _tasks: list[HostTask] = field(default_factory=list)
    _groups: dict[int, str] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)

    def take(self, kind: str, rest: str) -> None:
        """One line between. Raises DamageError where it is none of a snapshot, ValueError where it is damaged."""
        takers: dict[str, Callable[[str], None]] = {
            "k": self._take_cpu,
            "p": self._take_run_time,
            "t": self._take_task,
            "c": self._take_group,
            "f": self._take_file,
        }
        if kind not in takers:
            raise DamageError("line stands inside of a snapshot")
        takers[kind](rest)

    def finish(self, rest: str) -> HostSnapshot:
        """The whole of it, by its last line."""
        t1_ns, cost_ns = parse_numbers(rest.split(" "), 2)
        if t1_ns < self.t0_ns:
            raise DamageError("snapshot ends before its begin")
        return HostSnapshot(
            self.name,
            self.t0_ns,
            t1_ns,
            cost_ns,
            tuple(self._cpus),
            self._run_ns,
            tuple(self._tasks),
            self._groups,
            self._files,
        )

    def _take_cpu(self, rest: str) -> None:
        self._cpus.append(parse_cpu_times(rest.split(" ")))

    def _take_run_time(self, rest: str) -> None:
        words = rest.split(" ")
        if not words[0].startswith("cpu"):
            raise DamageError("is no CPU's line of /proc/schedstat")
        self._run_ns[parse_number(words[0][3:])] = parse_number(words[_RUN_TIME])

    def _take_task(self, rest: str) -> None:
        tid, pid, owner, pcpu, start, run_ns, children_ns, affinity, name = rest.split(" ", 8)
        self._tasks.append(
            HostTask(
                tid=parse_number(tid),
                pid=parse_number(pid),
                owner=owner,
                pcpu=parse_number(pcpu),
                start=parse_number(start),
                run_ns=parse_number(run_ns),
                children_ns=parse_number(children_ns),
                affinity=() if affinity == "-" else parse_cpulist(affinity),
                name=name,
            )
        )

    def _take_group(self, rest: str) -> None:
        tid, path = rest.split(" ")
        self._groups[parse_number(tid)] = path

    def _take_file(self, rest: str) -> None:
        path, value = rest.split(" ", 1)
        self._files[path] = "" if value == "-" else value
