# SPDX-License-Identifier: GPL-2.0-only
"""Which guests a run starts anew, and when: for another kernel, or for another command line of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.plan.cmdline import cmdline_parameters, restarted_nodes
from lab.plan.labplan import LabPlan, PhasePlan


@dataclass(frozen=True)
class Restart:
    """A guest started anew at the beginning of a phase. `kernel` is the one that it boots where that is another one
    than before, `changed` are the parameters of its command line that change."""

    node: str
    kernel: str | None
    changed: tuple[str, ...]


@dataclass
class _Running:
    """What a guest runs: its kernel, and the parameters on its command line that knobs have set."""

    kernel: str
    parameters: dict[str, str]


def plan_restarts(plan: LabPlan) -> tuple[tuple[Restart, ...], ...]:
    """The restarts at the beginning of every phase."""
    usual = {node.name: cmdline_parameters(plan.knobs, node.name) for node in plan.nodes}
    running = {node.name: _Running(node.kernel, dict(usual[node.name])) for node in plan.nodes}
    return tuple(_restarts_of(phase, plan, usual, running) for phase in plan.phases)


def _restarts_of(
    phase: PhasePlan, plan: LabPlan, usual: Mapping[str, Mapping[str, str]], running: dict[str, _Running]
) -> tuple[Restart, ...]:
    kernels = dict(phase.kernels)
    touched = [node.name for node in plan.nodes] if phase.fresh else restarted_nodes(phase.knobs)
    found = []
    for name in touched:
        now = running[name]
        base = usual[name] if phase.fresh else now.parameters
        wanted = {**base, **cmdline_parameters(phase.knobs, name)}
        kernel = kernels.get(name, plan.node(name).kernel) if phase.fresh else now.kernel
        changed = _changed(now.parameters, wanted)
        if changed or kernel != now.kernel:
            found.append(Restart(name, kernel if kernel != now.kernel else None, changed))
        running[name] = _Running(kernel, wanted)
    return tuple(found)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in {**before, **after} if before.get(name, "") != after.get(name, ""))


def render_restart(restart: Restart) -> str:
    """One restart as a line of text."""
    line = f"with another {', '.join(restart.changed)} on its command line" if restart.changed else ""
    kernel = f"with kernel {restart.kernel}" if restart.kernel is not None else ""
    return f"{restart.node} is started anew, {' and '.join(filter(None, (kernel, line)))}"
