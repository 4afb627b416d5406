# SPDX-License-Identifier: GPL-2.0-only
"""Rows of what is shown: pCPUs, vCPUs, loads. A figure that is not known is None, never 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.live.state import Heard, LiveState, running_loads
from lab.measure.bindings import bindings_at
from lab.measure.probestream import CpuTimes, Sample, VcpuSample
from lab.plan.labplan import HOST_SCOPE, NodePlan

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class VcpuRow:
    """One vCPU. Shares are in per cent of elapsed time: `runs_pct` and `host_steal_pct` as its host sees its thread
    run and wait, `guest_steal_pct` as the guest counts it. `preempted_per_s` are its thread's involuntary switches.

    `state` is `gone` with its guest, `offline` where the guest has taken it offline, `silent` where the guest's
    probe is not heard, though its threads may be seen.
    """

    node: str
    vcpu: int
    pcpus: tuple[int, ...]
    state: Literal["up", "offline", "silent", "gone"]
    runs_pct: float | None = None
    guest_steal_pct: float | None = None
    host_steal_pct: float | None = None
    preempted_per_s: float | None = None

    @property
    def steal_pct(self) -> float | None:
        """As the guest counts it, or else as the host sees it."""
        return self.host_steal_pct if self.guest_steal_pct is None else self.guest_steal_pct


@dataclass(frozen=True)
class Share:
    """What one vCPU ran, in per cent of a pCPU; not `alone` where it may run on others too."""

    node: str
    vcpu: int
    pct: float | None
    alone: bool


@dataclass(frozen=True)
class PcpuRow:
    """One leased pCPU: how busy it was, and whose vCPUs may run there."""

    pcpu: int
    busy_pct: float | None
    shares: tuple[Share, ...]

    @property
    def others_pct(self) -> float | None:
        """What ran there besides vCPUs; None where vCPUs come and go."""
        known = [one.pct for one in self.shares if one.pct is not None]
        if self.busy_pct is None or len(known) < len(self.shares) or not all(o.alone for o in self.shares):
            return None
        return max(0.0, self.busy_pct - sum(known))


@dataclass(frozen=True)
class LoadRow:
    """One load on one node: tasks that run, and units of work a second over all of them; None where it is not
    counted (only spin tasks count)."""

    load: str
    node: str
    tasks: int
    per_s: float | None
    counted: bool


def vcpu_rows(state: LiveState) -> tuple[VcpuRow, ...]:
    """All vCPUs, by node."""
    pins = _pins(state)
    threads = _threads(state.heard.get(HOST_SCOPE), state)
    return tuple(
        _vcpu_row(state, node, one.vcpu, pins[node.name, one.vcpu], threads)
        for node in state.plan.nodes
        for one in node.vcpus
    )


def _pins(state: LiveState) -> Mapping[tuple[str, int], tuple[int, ...]]:
    return bindings_at(state.plan, state.events, max(state.t_ns, 1)).pins


_Threads = Mapping[tuple[str, int], tuple[VcpuSample, VcpuSample]]


def _threads(host: Heard | None, state: LiveState) -> _Threads:
    """Every vCPU's thread at both ends; one that was started anew in between is left out."""
    if host is None or host.ends is None or state.is_silent(HOST_SCOPE):
        return {}
    first, last = ({(one.guest, one.vcpu): one for one in end.vcpus} for end in host.ends)
    return {key: (first[key], one) for key, one in last.items() if key in first and first[key].tid == one.tid}


def _vcpu_row(
    state: LiveState, node: NodePlan, vcpu: int, pcpus: tuple[int, ...], threads: _Threads
) -> VcpuRow:
    if node.name in state.gone:
        return VcpuRow(node.name, vcpu, pcpus, "gone")
    runs, delay, preempted = _host_figures(threads.get((node.name, vcpu)))
    if state.is_silent(node.name):
        return VcpuRow(node.name, vcpu, pcpus, "silent", runs, None, delay, preempted)
    heard = state.heard[node.name]
    known = {one.cpu for one in heard.samples[-1].cpus} if heard.samples else set()
    status: Literal["up", "offline"] = "up" if vcpu in known else "offline"
    return VcpuRow(node.name, vcpu, pcpus, status, runs, _guest_steal(heard, vcpu), delay, preempted)


def _host_figures(
    ends: tuple[VcpuSample, VcpuSample] | None,
) -> tuple[float | None, float | None, float | None]:
    """Run and delay in per cent, involuntary switches a second."""
    if ends is None or ends[1].t_ns <= ends[0].t_ns:
        return None, None, None
    first, last = ends
    elapsed_ns = last.t_ns - first.t_ns
    return (
        100 * max(0, last.run_ns - first.run_ns) / elapsed_ns,
        100 * max(0, last.delay_ns - first.delay_ns) / elapsed_ns,
        max(0, last.involuntary - first.involuntary) * _NS_PER_S / elapsed_ns,
    )


def _guest_steal(heard: Heard, vcpu: int) -> float | None:
    if heard.ends is None:
        return None
    first, last = (_cpu_times(end, vcpu) for end in heard.ends)
    if first is None or last is None:
        return None
    elapsed_ns = heard.ends[1].t_ns - heard.ends[0].t_ns
    return 100 * max(0, last.steal - first.steal) * _NS_PER_S / heard.hello.user_hz / elapsed_ns


def _cpu_times(sample: Sample, number: int) -> CpuTimes | None:
    return next((one for one in sample.cpus if one.cpu == number), None)


# ---- pCPUs


def pcpu_rows(state: LiveState) -> tuple[PcpuRow, ...]:
    """The leased pCPUs."""
    vcpus = vcpu_rows(state)
    wanted = sorted({pcpu for row in vcpus for pcpu in row.pcpus} | set(state.plan.pcpus))
    return tuple(
        PcpuRow(
            pcpu,
            _busy_pct(state, pcpu),
            tuple(
                Share(row.node, row.vcpu, row.runs_pct, len(row.pcpus) == 1)
                for row in vcpus
                if pcpu in row.pcpus
            ),
        )
        for pcpu in wanted
    )


def _busy_pct(state: LiveState, pcpu: int) -> float | None:
    host = state.heard.get(HOST_SCOPE)
    if host is None or host.ends is None or state.is_silent(HOST_SCOPE):
        return None
    first, last = (_cpu_times(end, pcpu) for end in host.ends)
    if first is None or last is None:
        return None
    elapsed_ns = host.ends[1].t_ns - host.ends[0].t_ns
    idle = last.idle + last.iowait - first.idle - first.iowait
    return min(100.0, max(0.0, 100 - 100 * idle * _NS_PER_S / host.hello.user_hz / elapsed_ns))


# ---- loads


def load_rows(state: LiveState) -> tuple[LoadRow, ...]:
    """The loads of the topology, by name, on each of their nodes."""
    return tuple(
        _load_row(state, load.name, load.node, counted=not load.command)
        for load in sorted(state.plan.loads, key=lambda one: one.name)
    )


def _load_row(state: LiveState, load: str, node: str, *, counted: bool) -> LoadRow:
    heard = state.heard.get(node)
    if heard is None or node in state.gone or state.is_silent(node) or load not in running_loads(heard):
        return LoadRow(load, node, 0, None, counted)
    tasks = sum(task.load == load for task in heard.samples[-1].tasks)
    return LoadRow(load, node, tasks, _work_per_s(heard, load), counted)


def _work_per_s(heard: Heard, load: str) -> float | None:
    """Over tasks that were there at both ends."""
    if heard.ends is None:
        return None
    first, last = (dict(_work(end, load)) for end in heard.ends)
    both = first.keys() & last.keys()
    elapsed_ns = heard.ends[1].t_ns - heard.ends[0].t_ns
    if not both:
        return None
    return sum(max(0, last[key] - first[key]) for key in both) * _NS_PER_S / elapsed_ns


def _work(sample: Sample, load: str) -> Iterator[tuple[tuple[int, int], int]]:
    return (((task.task, task.tid), task.work) for task in sample.tasks if task.load == load)
