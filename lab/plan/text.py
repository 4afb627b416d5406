# SPDX-License-Identifier: GPL-2.0-only
"""A plan as text for a terminal of 80 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from lab.plan.arms import template_phases
from lab.plan.armtext import render_arms, render_order, render_time
from lab.plan.changes import render_change, render_hog
from lab.plan.changetext import render_changes, render_predicted
from lab.plan.governing import render_govern
from lab.plan.knobtext import render_folds, render_knobs
from lab.plan.labplan import LabPlan, LoadPlan, NodePlan, PhasePlan
from lab.plan.restarts import plan_restarts, render_restart
from lab.plan.tracing import render_trace
from lab.units import format_cpulist, format_seconds

#: Of the command of a load, so that a line of a section has 80 columns at most.
_COMMAND_WIDTH = 78


def render_plan_text(plan: LabPlan) -> str:
    """Header, a line for each vCPU, load, phases, expectations, and what has to be there first."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: LabPlan) -> Iterator[str]:
    yield from _header(plan)
    yield from _vcpu_table(plan.nodes)
    yield from _section("load", _loads(plan.loads))
    yield from _section("hogs on the host", map(render_hog, plan.hogs))
    yield from _section("knobs before the first phase", render_knobs(plan.knobs))
    yield from _phases(plan)
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


def _loads(loads: Sequence[LoadPlan]) -> Iterator[str]:
    """A line for each load, the same on all of its guests but for their number; and its command, which a terminal
    shows whole."""
    guests: dict[str, list[LoadPlan]] = {}
    for load in loads:
        guests.setdefault(load.name, []).append(load)
    for name, members in guests.items():
        yield f"{name}: {_load_text(members[0], len(members))}"
        yield from textwrap.wrap(
            shlex.join(members[0].command),
            _COMMAND_WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
            break_long_words=False,
        )


def _load_text(load: LoadPlan, guests: int) -> str:
    where = f"on vCPU {format_cpulist(load.vcpus)}" if load.vcpus else "unpinned"
    what = load.kind if load.command else _count(load.tasks, f"{load.kind} task")
    return f"{what} {where} in {_count(guests, 'guest')}"


def _phases(plan: LabPlan) -> Iterator[str]:
    """Every phase; where arms are compared, those of the topology, then arms and the order of all of it."""
    if plan.comparison is None:
        restarts = (tuple(map(render_restart, each)) for each in plan_restarts(plan))
        phases = zip(plan.phases, restarts, strict=True)
        yield from _section("phases", (line for phase, anew in phases for line in _phase(phase, anew)))
        return
    lines = (line for phase in template_phases(plan) for line in _phase(phase, ()))
    yield from _section("phases, of every arm in every repeat", lines)
    yield from _section("arms", render_arms(plan, plan.comparison))
    yield from _section("repeats", render_order(plan, plan.comparison))
    yield from _section("time", render_time(plan))


def _phase(phase: PhasePlan, restarts: Sequence[str]) -> Iterator[str]:
    duration, settle = format_seconds(phase.duration_ns), format_seconds(phase.settle_ns)
    longest = "at most " if phase.until else ""
    yield f"{phase.name}: {longest}{duration} after {settle} to settle"
    for verb, loads in (("start", phase.start), ("stop", phase.stop), ("until the end of", phase.until)):
        if loads:
            yield f"  {verb} {', '.join(loads)}"
    for line in (
        *render_knobs(phase.knobs),
        *restarts,
        *render_folds(phase.knobs),
        *map(render_govern, phase.govern),
        *map(render_change, phase.contention),
        *render_changes(phase.changes),
        *render_trace(phase.trace),
        *render_predicted(phase),
    ):
        yield f"  {line}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
