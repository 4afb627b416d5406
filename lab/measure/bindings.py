# SPDX-License-Identifier: GPL-2.0-only
"""How the threads of a lab's guests are bound, weighed and limited on their host, against what the lab set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lab.measure.happened import EventLike
from lab.measure.snapshots import LAB, HostSnapshot, HostTask
from lab.plan.labplan import HOST_SCOPE, LabPlan, NodePlan
from lab.units import format_cpulist, parse_cpulist

CGROUP_MOUNT = PurePosixPath("/sys/fs/cgroup")
#: How the owner of a hog's threads begins (lab.run.hogs), and how they are called (images/probe/pvspin.c).
_HOG = f"{LAB}:hog-"
_HOG_THREAD = re.compile(r".*/(\d+)")
_VCPU_THREAD = re.compile(r"CPU (\d+)/")
#: KVM's own thread for a guest ("kvm-nx-lpage-recovery"), where the kernel has it in the emulator's process: its
#: affinity is that of the thread which was the first to run a vCPU, and libvirt does not know it.
_KVM_THREAD = re.compile(r"kvm-nx-lpage")
#: libvirt's groups of the threads of a domain, below the domain's own, under systemd with "libvirt" between.
_THREAD_GROUP = re.compile(r"(/libvirt)?/(vcpu\d+|emulator|iothread\d+)$")
#: What the kernel gives a group that nobody gave a weight.
_USUAL_WEIGHT = 100
#: Quotas are kept in whole microseconds of a period of 100 ms.
_QUOTA_ROUNDING_PCT = 0.05


@dataclass
class Bindings:
    """What the lab had set last at one moment: pCPUs of vCPUs and emulator threads, weights and quotas of guests,
    and the pCPU of each thread of a hog.

    `written` is what it had written to files of the host itself, as they hold it, by path.
    """

    pins: dict[tuple[str, int], tuple[int, ...]]
    emulators: dict[str, tuple[int, ...]]
    weights: dict[str, float]
    quotas_pct: dict[str, float | None]
    hogs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def planned_bindings(plan: LabPlan) -> Bindings:
    """As guests are started."""
    return Bindings(
        pins={(node.name, vcpu.vcpu): vcpu.pcpus for node in plan.nodes for vcpu in node.vcpus},
        emulators={node.name: node.emulator_pcpus for node in plan.nodes},
        weights={node.name: node.weight for node in plan.nodes},
        quotas_pct={node.name: node.quota_pct for node in plan.nodes},
        hogs={f"{_HOG}{hog.name}": hog.pcpus for hog in plan.hogs},
    )


def bindings_at(plan: LabPlan, events: Iterable[EventLike], t_ns: int) -> Bindings:
    """As the lab itself had changed them by `t_ns` of the host's clock."""
    bindings = planned_bindings(plan)
    for event in events:
        if event.t_ns > t_ns:
            continue
        if event.kind in ("knob", "knob-restored") and event.data.get("node") == HOST_SCOPE:
            raw = event.data.get("raw_new") if event.kind == "knob" else event.data.get("new")
            bindings.written[str(event.data.get("path"))] = str(raw)
        elif event.kind == "contention":
            _apply(bindings, event)
        elif event.kind == "restart":  # a new emulator has new groups, as the plan has them
            _forget(bindings, plan.node(event.data["node"]))
    return bindings


def _apply(bindings: Bindings, event: EventLike) -> None:
    data = event.data
    match data.get("what"):
        case "pins":
            bindings.pins[data["node"], int(data["vcpu"])] = parse_cpulist(data["new"])
        case "emulator_pins":
            bindings.emulators[data["node"]] = parse_cpulist(data["new"])
        case "weight":
            bindings.weights[data["node"]] = float(data["new"])
        case "quota_pct":
            bindings.quotas_pct[data["node"]] = None if data["new"] is None else float(data["new"])


def _forget(bindings: Bindings, node: NodePlan) -> None:
    bindings.pins.update({(node.name, vcpu.vcpu): vcpu.pcpus for vcpu in node.vcpus})
    bindings.emulators[node.name] = node.emulator_pcpus
    bindings.weights[node.name] = node.weight
    bindings.quotas_pct[node.name] = node.quota_pct


# ---- what is off


def binding_problems(snapshot: HostSnapshot, bindings: Bindings) -> Iterator[str]:
    """Words for everything that is not as it was set, with both values; what is not visible is not judged."""
    nodes = set(bindings.emulators)
    for task in snapshot.tasks:
        if task.owner in nodes:
            yield from _affinity_problem(task, bindings)
        elif task.owner in bindings.hogs:
            yield from _hog_problem(task, bindings.hogs[task.owner])
    yield from dict.fromkeys(_group_problems(snapshot, bindings, nodes))


def _affinity_problem(task: HostTask, bindings: Bindings) -> Iterator[str]:
    match = _VCPU_THREAD.match(task.name)
    if _KVM_THREAD.match(task.name):
        return
    if match is None:
        whose, planned = f"emulator thread {task.name} of {task.owner}", bindings.emulators[task.owner]
    else:
        vcpu = int(match[1])
        if (task.owner, vcpu) not in bindings.pins:
            return
        whose, planned = f"vCPU {vcpu} of {task.owner}", bindings.pins[task.owner, vcpu]
    if set(task.affinity) != set(planned):
        seen = format_cpulist(task.affinity) or "none"
        yield f"{whose} may run on pCPU {seen}, planned {format_cpulist(planned)}"


def _hog_problem(task: HostTask, pcpus: tuple[int, ...]) -> Iterator[str]:
    """A name too long for a thread (15 characters) has lost its number; a process' first thread has none."""
    match = _HOG_THREAD.fullmatch(task.name)
    if match is not None and int(match[1]) < len(pcpus) and task.affinity != (pcpus[int(match[1])],):
        name, planned = task.owner.removeprefix(_HOG), pcpus[int(match[1])]
        seen = format_cpulist(task.affinity) or "none"
        yield f"thread {match[1]} of hog {name} may run on pCPU {seen}, planned {planned}"


def _group_problems(snapshot: HostSnapshot, bindings: Bindings, nodes: Iterable[str]) -> Iterator[str]:
    wanted = set(nodes)
    for task in snapshot.tasks:
        group = snapshot.groups.get(task.tid)
        if task.owner not in wanted or group is None:
            continue
        match = _VCPU_THREAD.match(task.name)
        whose = f"vCPU {match[1]} of {task.owner}" if match else f"emulator threads of {task.owner}"
        domain = _THREAD_GROUP.sub("", group)
        own_quota_pct = bindings.quotas_pct[task.owner] if match else None
        if group != domain:
            yield from _check_weight(snapshot.files, bindings, group, whose, _USUAL_WEIGHT)
        yield from _check_quota(snapshot.files, bindings, group, whose, own_quota_pct)
        yield from _check_weight(
            snapshot.files, bindings, domain, f"guest {task.owner}", bindings.weights[task.owner]
        )
        for parent in (PurePosixPath(domain), *PurePosixPath(domain).parents):
            if str(parent) not in ("/", group):
                yield from _check_quota(
                    snapshot.files, bindings, str(parent), f"control group {parent}", None
                )


def _check_weight(
    files: Mapping[str, str], bindings: Bindings, group: str, whose: str, planned: float
) -> Iterator[str]:
    path = _file(group, "cpu.weight")
    seen = files.get(path)
    if seen is None:
        return
    if path in bindings.written:
        planned = float(bindings.written[path])
    if float(seen) != planned:
        yield f"the weight of {whose} is {seen}, planned {planned:g}"


def _check_quota(
    files: Mapping[str, str], bindings: Bindings, group: str, whose: str, planned_pct: float | None
) -> Iterator[str]:
    path = _file(group, "cpu.max")
    seen = files.get(path)
    if seen is None:
        return
    if path in bindings.written:
        planned_pct = parse_cpu_max(bindings.written[path])
    seen_pct = parse_cpu_max(seen)
    if not _same_quota(seen_pct, planned_pct):
        yield f"the quota of {whose} is {_render_quota(seen_pct)}, planned {_render_quota(planned_pct)}"


def _file(group: str, name: str) -> str:
    return str(CGROUP_MOUNT / group.lstrip("/") / name)


def parse_cpu_max(text: str) -> float | None:
    """The content of cpu.max ("QUOTA PERIOD", Documentation/admin-guide/cgroup-v2.rst) in per cent of a pCPU; None
    where there is no limit. Raises ValueError on anything else."""
    quota, _, period = text.partition(" ")
    return None if quota == "max" else 100 * int(quota) / int(period or 100_000)


def _same_quota(one_pct: float | None, other_pct: float | None) -> bool:
    if one_pct is None or other_pct is None:
        return one_pct is other_pct
    return abs(one_pct - other_pct) <= _QUOTA_ROUNDING_PCT


def _render_quota(quota_pct: float | None) -> str:
    return "none" if quota_pct is None else f"{quota_pct:g} % of a pCPU"
