# SPDX-License-Identifier: GPL-2.0-only
"""Checks of governors: what they govern, what else writes there, and what is expected of them."""

from __future__ import annotations

from collections.abc import Iterator

from lab.knobs.model import Registry
from lab.knobs.watchable import watchable_path
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.governspec import DecisionsExpectation, GovernorExpectation, GovernSpec
from lab.topology.resolve import Entry, NodeTable
from lab.topology.spec import (
    MeasureSpec,
    PhaseSpec,
    TopologySpec,
    is_knob_path,
)

_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))
#: Knobs that a governor writes, by its mechanism: nobody else may while it governs.
WRITTEN = {"mask": "avoid_cpus", "preferred": "avoid_cpus"}
#: The knob that switches the kernel's own governor on.
KERNEL_GOVERNOR = "steal.enable"
#: The probe gets the list of watched files on the kernel's command line, which is short.
MAX_WATCHED = 900


def check_governors(spec: TopologySpec, nodes: NodeTable) -> Iterator[Finding]:
    """Everything about the `govern` of all phases but whether their globs match."""
    for index, phase in enumerate(spec.phases):
        governed: dict[str, int] = {}
        for place, govern in enumerate(phase.govern):
            loc: Loc = ("phases", index, "govern", place)
            yield from _check_period(govern, spec.measure, loc)
            for name, entry in nodes.matching(govern.nodes):
                if name in governed:
                    message = f"{name} is governed already by govern[{governed[name]}] of this phase"
                    yield Finding((*loc, "nodes"), message, needs=(("phases", index), *_NODES))
                    break
                governed[name] = place
                yield from _check_node(govern, name, entry, loc)
                yield from _check_writers(phase, govern, name, nodes, ("phases", index))


def _check_period(govern: GovernSpec, measure: MeasureSpec, loc: Loc) -> Iterator[Finding]:
    if govern.period < 2 * measure.interval:
        message = f"period is shorter than two sampling intervals ({2 * measure.interval / 1e6:g} ms)"
        yield Finding((*loc, "period"), message, needs=(loc, ("measure",)))


def _check_node(govern: GovernSpec, name: str, entry: Entry, loc: Loc) -> Iterator[Finding]:
    node = entry.node
    if node.vcpus <= node.topology.threads:
        message = f"{name} has one core only; there is nothing to give up"
        yield Finding((*loc, "nodes"), message, needs=(loc[:2], *_NODES))
    elif govern.min_vcpus > node.vcpus:
        message = f"min_vcpus is {govern.min_vcpus}, but {name} has {node.vcpus}"
        yield Finding((*loc, "min_vcpus"), message, needs=(loc[:2], *_NODES))


def _check_writers(
    phase: PhaseSpec, govern: GovernSpec, name: str, nodes: NodeTable, loc: Loc
) -> Iterator[Finding]:
    needs = (loc, *_NODES)
    for place, knob in enumerate(phase.set):
        if knob.knob == WRITTEN.get(govern.by) and _matches(nodes, knob.nodes, name):
            message = f"{knob.knob} of {name} is its governor's in this phase; set it in another one"
            yield Finding((*loc, "set", place, "knob"), message, needs=needs)
    for place, fold in enumerate(phase.fold):
        if fold.by == govern.by and _matches(nodes, fold.nodes, name):
            message = f"{name} is folded by its governor in this phase; fold it in another one"
            yield Finding((*loc, "fold", place, "nodes"), message, needs=needs)


def _matches(nodes: NodeTable, glob: str, name: str) -> bool:
    return any(name in entry.names for _, entry in nodes.matching(glob))


def check_watch(spec: TopologySpec, registry: Registry, *, complete: bool) -> Iterator[Finding]:
    """What is watched: paths, or knobs that are files. `registry` has the knobs; all of them, if `complete`."""
    paths: list[str] = []
    for place, watched in enumerate(spec.measure.watch or ()):
        loc: Loc = ("measure", "watch", place)
        if is_knob_path(watched):
            paths.append(watched)
        elif watched in registry.knobs:
            found = [path for one in registry.backends[watched] if (path := watchable_path(one)) is not None]
            paths += found
            if not found or registry.knobs[watched].scope == "host":
                yield Finding(loc, f"{watched} is no file in a guest, so it cannot be watched")
        elif complete:
            yield Finding(loc, unknown("knob", watched, registry.knobs))
        if is_knob_path(watched) and "," in watched:
            yield Finding(loc, "a path with a comma in it cannot be watched")
    if sum(len(path) + 1 for path in paths) > MAX_WATCHED:
        yield Finding(("measure", "watch"), f"the paths have more than {MAX_WATCHED} characters together")


def check_governor_expected(
    spec: TopologySpec, expect: GovernorExpectation | DecisionsExpectation, nodes: NodeTable, loc: Loc
) -> Iterator[Finding]:
    """What is expected of governors is expected of nodes that have one in that phase."""
    phases = [phase for phase in spec.phases if expect.phase in (None, phase.name)]
    if _switches_on(spec) or not phases:
        return
    governed = {
        name
        for phase in phases
        for govern in phase.govern
        for _, entry in nodes.matching(govern.nodes)
        for name in entry.names
    }
    left = [name for name, entry in nodes.matching(expect.nodes) if not governed & set(entry.names)]
    if left:
        where = "in any phase" if expect.phase is None else f"in phase {expect.phase!r}"
        message = f"nothing governs {left[0]} {where}: neither `govern` nor the knob {KERNEL_GOVERNOR}"
        yield Finding((*loc, "nodes"), message, needs=(loc[:2], ("phases",), ("knobs",), *_NODES))


def _switches_on(spec: TopologySpec) -> bool:
    settings = [*spec.knobs, *(knob for phase in spec.phases for knob in phase.set)]
    return any(one.knob == KERNEL_GOVERNOR for one in settings)
