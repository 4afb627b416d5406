# SPDX-License-Identifier: GPL-2.0-only
"""A plan as text for a terminal of 80 columns."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.plan.cmdline import cmdline_parameters, restarted_nodes
from lab.plan.governing import render_govern
from lab.plan.labplan import HOST_SCOPE, KnobSetting, LabPlan, LoadPlan, NodePlan, PhasePlan
from lab.units import format_cpulist, format_seconds


def render_plan_text(plan: LabPlan) -> str:
    """Header, a line for each vCPU, load, phases, expectations, and what has to be there first."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: LabPlan) -> Iterator[str]:
    yield from _header(plan)
    yield from _vcpu_table(plan.nodes)
    yield from _section("load", (f"{name}: {text}" for name, text in _loads(plan.loads).items()))
    yield from _section("knobs before the first phase", _knobs(plan.knobs))
    phases = zip(plan.phases, _restarts(plan), strict=True)
    yield from _section("phases", (line for phase, restarts in phases for line in _phase(phase, restarts)))
    yield from _section("expected", (expectation.text for expectation in plan.expectations))
    yield from _section("needed", (f"{artifact.name}: {artifact.detail}" for artifact in plan.artifacts))


def _header(plan: LabPlan) -> Iterator[str]:
    vcpus = sum(len(node.vcpus) for node in plan.nodes)
    memory_mib = sum(node.memory_mib for node in plan.nodes)
    emulated = ", emulated" if plan.host.emulated else ""
    yield f"lab {plan.name} on {plan.host.where} ({plan.host.arch}{emulated})"
    yield f"  {_count(len(plan.nodes), 'guest')}, {_count(vcpus, 'vCPU')}, {memory_mib} MiB"
    yield f"  pCPUs {format_cpulist(plan.pcpus)}, housekeeping {format_cpulist(plan.housekeeping)}"
    yield f"  overcommit {plan.overcommit:.2f} vCPUs for each pCPU"


def _vcpu_table(nodes: Sequence[NodePlan]) -> Iterator[str]:
    """pCPU lists come last: they alone may be long."""
    width = max(len("node"), *(len(node.name) for node in nodes))
    yield ""
    yield f"{'node':<{width}}  {'vCPU':>4}  {'predicted steal':>15}  {'weight':>6}  {'quota':>6}  pCPUs"
    for node in nodes:
        quota = "-" if node.quota_pct is None else f"{node.quota_pct:g} %"
        for vcpu in node.vcpus:
            yield (
                f"{node.name:<{width}}  {vcpu.vcpu:>4}  {_steal(vcpu.predicted_steal_pct):>15}  "
                f"{node.weight:>6}  {quota:>6}  {format_cpulist(vcpu.pcpus)}"
            )


def _steal(steal_pct: float | None) -> str:
    return "idle" if steal_pct is None else f"{steal_pct:.1f} %"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0:
            yield ""
            yield f"{title}:"
        yield f"  {line}"


def _loads(loads: Sequence[LoadPlan]) -> dict[str, str]:
    """One line for each load: it is the same on all of its guests but for their number."""
    guests: dict[str, list[LoadPlan]] = {}
    for load in loads:
        guests.setdefault(load.name, []).append(load)
    return {name: _load_text(members[0], len(members)) for name, members in guests.items()}


def _load_text(load: LoadPlan, guests: int) -> str:
    where = f"on vCPU {format_cpulist(load.vcpus)}" if load.vcpus else "unpinned"
    if load.command:
        return f"`{shlex.join(load.command)}` {where} in {_count(guests, 'guest')}"
    return f"{_count(load.tasks, f'{load.kind} task')} {where} in {_count(guests, 'guest')}"


def _phase(phase: PhasePlan, restarts: Sequence[str]) -> Iterator[str]:
    duration, settle = format_seconds(phase.duration_ns), format_seconds(phase.settle_ns)
    longest = "at most " if phase.until else ""
    yield f"{phase.name}: {longest}{duration} after {settle} to settle"
    for verb, loads in (("start", phase.start), ("stop", phase.stop), ("until the end of", phase.until)):
        if loads:
            yield f"  {verb} {', '.join(loads)}"
    for line in (*_knobs(phase.knobs), *restarts, *_folds(phase.knobs), *map(render_govern, phase.govern)):
        yield f"  {line}"


def _knobs(knobs: Sequence[KnobSetting]) -> Iterator[str]:
    """One line for each; what is written for many vCPUs alike is told once."""
    for setting in dict.fromkeys(replace(one, candidates=()) for one in knobs if one.fold is None):
        known = " if its kernel has it" if setting.optional else ""
        whose = setting.guest or ("the host" if setting.node == HOST_SCOPE else setting.node)
        yield f"set {setting.knob} of {whose} to {setting.value or 'nothing'}{known}"


def _folds(knobs: Sequence[KnobSetting]) -> Iterator[str]:
    """Folds, each told once however many writes it takes."""
    folds: dict[tuple[str | None, tuple[int, ...], str | None], list[KnobSetting]] = {}
    for setting in knobs:
        if setting.fold is not None:
            folds.setdefault((setting.fold_node, setting.fold_vcpus, setting.fold), []).append(setting)
    for (node, vcpus, mechanism), settings in folds.items():
        what = f"fold vCPU {format_cpulist(vcpus)} of {node}" if vcpus else f"unfold all of {node}"
        values = dict.fromkeys(one.value or "nothing" for one in settings)
        known = ", if its kernel has it" if settings[0].optional else ""
        yield f"{what} by {mechanism}: {settings[0].knob} {', '.join(values)}{known}"


def _restarts(plan: LabPlan) -> Iterator[tuple[str, ...]]:
    """For each phase a line for every guest whose command line changes then."""
    lines = {node.name: cmdline_parameters(plan.knobs, node.name) for node in plan.nodes}
    for phase in plan.phases:
        told = []
        for node in restarted_nodes(phase.knobs):
            wanted = cmdline_parameters(phase.knobs, node)
            changed = [name for name, raw in wanted.items() if lines[node].get(name, "") != raw]
            lines[node].update(wanted)
            if changed:
                told.append(f"{node} is started anew, with another {', '.join(changed)} on its command line")
        yield tuple(told)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
