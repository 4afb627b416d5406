# SPDX-License-Identifier: GPL-2.0-only
"""Checks of loads over phases: they start and stop in an order that makes sense.

A guest that a phase starts anew, for a knob on its command line, has no load any more. Whether it is to be loaded
again only the author of the topology knows, so every load that ran there has to be mentioned in that phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.knobs.model import Registry
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.contentionchecks import scheduled_names
from lab.topology.resolve import NodeTable
from lab.topology.spec import KnobSetSpec, PhaseSpec, TopologySpec

_NEEDS: tuple[Loc, ...] = (("phases",), ("load",))
_RESTART_NEEDS: tuple[Loc, ...] = (*_NEEDS, ("nodes",), ("defaults",), ("knob_definitions",), ("knob_files",))


@dataclass(frozen=True)
class _Restart:
    """A guest started anew by the setting at `loc`."""

    node: str
    knob: str
    loc: Loc


def check_loads_over_phases(spec: TopologySpec, nodes: NodeTable, registry: Registry) -> Iterator[Finding]:
    """Everything wrong with `start`, `stop` and `until` of the phases; in one phase stops come before starts."""
    loads = {load.name: {name for name, _ in nodes.matching(load.nodes)} for load in spec.load}
    loads |= {hog.name: set() for hog in spec.hogs}
    running: set[str] = set()
    perhaps: set[str] = set()  # what a schedule starts and stops may do either afterwards
    for index, phase in enumerate(spec.phases):
        loc: Loc = ("phases", index)
        restarts = list(_restarts(phase, nodes, registry, loc))
        yield from _stops(phase, loads, running | perhaps, loc)
        perhaps -= set(phase.stop)
        running -= set(phase.stop)
        ended = {name: one for one in restarts for name in running if one.node in loads.get(name, ())}
        for name, one in ended.items():
            if name not in phase.start:
                yield _silently_ended(name, one, phase)
        yield from _starts(phase, loads, running - ended.keys() - perhaps, loc)
        running |= set(phase.start)
        perhaps = (perhaps - set(phase.start)) | scheduled_names(phase)
        yield from _waits(phase, loads, running, loc)
        running -= set(phase.until)


def _stops(phase: PhaseSpec, loads: dict[str, set[str]], running: set[str], loc: Loc) -> Iterator[Finding]:
    for place, name in enumerate(phase.stop):
        here = (*loc, "stop", place)
        if name not in loads:
            yield _unknown(name, loads, here)
        elif name not in running - set(phase.stop[:place]):
            yield Finding(here, f"load {name!r} is stopped, but does not run then", needs=_NEEDS)


def _starts(phase: PhaseSpec, loads: dict[str, set[str]], running: set[str], loc: Loc) -> Iterator[Finding]:
    for place, name in enumerate(phase.start):
        here = (*loc, "start", place)
        if name not in loads:
            yield _unknown(name, loads, here)
        elif name in running | set(phase.start[:place]):
            yield Finding(here, f"load {name!r} is started, but runs already", needs=_NEEDS)


def _waits(phase: PhaseSpec, loads: dict[str, set[str]], running: set[str], loc: Loc) -> Iterator[Finding]:
    for place, name in enumerate(phase.until):
        here = (*loc, "until", place)
        if name not in loads:
            yield _unknown(name, loads, here)
        elif name not in running:
            message = f"the phase is to end with load {name!r}, which does not run then; start it"
            yield Finding(here, message, needs=_NEEDS)


def _unknown(name: str, loads: dict[str, set[str]], loc: Loc) -> Finding:
    return Finding(loc, unknown("load", name, loads), needs=(loc[:2], ("load", "*")))


def _restarts(phase: PhaseSpec, nodes: NodeTable, registry: Registry, loc: Loc) -> Iterator[_Restart]:
    for place, setting in enumerate(phase.set):
        if is_on_command_line(setting, registry):
            for name, _ in nodes.matching(setting.nodes):
                yield _Restart(name, setting.knob, (*loc, "set", place, "knob"))


def is_on_command_line(setting: KnobSetSpec, registry: Registry) -> bool:
    """Whether only the kernel's command line has the knob, so that setting it starts the guest anew."""
    places = registry.backends.get(setting.knob, ())
    chosen = [one for one in places if setting.generation in (None, one.generation)]
    return bool(chosen) and all(one.kind == "cmdline" for one in chosen)


def _silently_ended(load: str, restart: _Restart, phase: PhaseSpec) -> Finding:
    message = (
        f"{restart.knob!r} is on the kernel's command line: {restart.node} is started anew, which ends load "
        f"{load!r} there; start it again in phase {phase.name!r}, or stop it"
    )
    return Finding(restart.loc, message, needs=_RESTART_NEEDS)
