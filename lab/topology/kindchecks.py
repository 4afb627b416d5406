# SPDX-License-Identifier: GPL-2.0-only
"""Checks of loads against the catalogue: their kind, its parameters, and that a phase waits for what ends."""

from __future__ import annotations

from collections.abc import Iterator

from lab.loads.catalogue import shipped_loads
from lab.loads.command import Place, render_load
from lab.loads.model import GUEST_IMAGE, SPIN, Catalogue, LoadKind
from lab.loads.values import load_values, wrong_values
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.loadspec import LoadSpec
from lab.topology.reportspec import check_metric
from lab.topology.resolve import NodeTable
from lab.topology.spec import TopologySpec

_DEFINITIONS: tuple[Loc, ...] = (("load_definitions", "*"), ("load_files",))
_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))


def check_load_kinds(
    spec: TopologySpec, nodes: NodeTable, kinds: Catalogue, *, complete: bool
) -> Iterator[Finding]:
    """Everything in the loads of `spec` that does not fit `kinds`; if those are not `complete` (a file of
    definitions is broken), unknown names are trusted."""
    for index, load in enumerate(spec.load):
        loc: Loc = ("load", index)
        if load.kind in kinds:
            yield from _load(load, kinds[load.kind], nodes, loc)
        elif complete:
            yield Finding(
                (*loc, "kind"), unknown("kind of load", load.kind, kinds), needs=(loc, *_DEFINITIONS)
            )
    yield from _waits(spec, kinds)
    yield from _expected(spec, kinds)
    yield from _images(spec, nodes, kinds)


def _needs(kind: str) -> tuple[Loc, ...]:
    """What of the file has to be sound for a kind to be what it is."""
    return () if kind in shipped_loads() else (("load_definitions", kind), ("load_files",))


def _load(load: LoadSpec, kind: LoadKind, nodes: NodeTable, loc: Loc) -> Iterator[Finding]:
    if kind.name != SPIN and "tasks" in load.model_fields_set:
        names = ", ".join(one.name for one in kind.parameters) or "none"
        message = f"tasks is for spin; {kind.name} has parameters: {names}"
        yield Finding((*loc, "tasks"), message, needs=(loc, *_needs(kind.name)))
    wrong = list(wrong_values(kind, load.parameters, nodes.names))
    for name, message in wrong:
        yield Finding((*loc, "parameters", name), message, needs=(loc, *_needs(kind.name), *_NODES))
    if not wrong:
        yield from _command(load, kind, nodes, loc)


def _command(load: LoadSpec, kind: LoadKind, nodes: NodeTable, loc: Loc) -> Iterator[Finding]:
    """A template that works with the defaults may fail with other values."""
    addresses = dict.fromkeys(nodes.names, "10.0.0.2")
    for name, entry in nodes.matching(load.nodes)[:1]:
        place = Place(name, entry.node.vcpus, entry.node.memory_mib, "10.0.0.2", "10.0.0.3", addresses)
        try:
            render_load(kind, load_values(kind, load.parameters), place)
        except ValueError as error:
            yield Finding(
                (*loc, "parameters"), f"kind {kind.name}: {error}", needs=(loc, *_needs(kind.name), *_NODES)
            )


def _waits(spec: TopologySpec, kinds: Catalogue) -> Iterator[Finding]:
    kind_of = {load.name: kinds.get(load.kind) for load in spec.load}
    for index, phase in enumerate(spec.phases):
        for place, name in enumerate(phase.until):
            kind = kind_of.get(name)
            if kind is not None and kind.ends == "stopped":
                message = (
                    f"load {name!r} is a {kind.name}, which runs until it is stopped: its end never comes"
                )
                loc: Loc = ("phases", index, "until", place)
                yield Finding(loc, message, needs=(loc[:2], ("load", "*"), *_needs(kind.name)))


def _expected(spec: TopologySpec, kinds: Catalogue) -> Iterator[Finding]:
    """Figures that a kind does not report, and work and affinity of what does not count them."""
    kind_of = {load.name: kinds.get(load.kind) for load in spec.load}
    for index, expect in enumerate(spec.expect):
        loc: Loc = ("expect", index)
        if expect.reported is not None:
            yield from check_metric(spec.load, kinds, expect.reported, (*loc, "reported"))
        if expect.selftests is not None:
            kind = kind_of.get(expect.selftests.load)
            if kind is not None and not any(metric.parser == "ktap" for metric in kind.metrics):
                message = f"selftests is about results of tests, of which a {kind.name} reports none"
                yield Finding((*loc, "selftests"), message, needs=(loc, ("load",), *_needs(kind.name)))
        for key in ("throughput", "affinity", "affinity_unchanged"):
            said = getattr(expect, key)
            kind = kind_of.get(said.load) if said is not None else None
            if kind is not None and not kind.counted:
                message = f"{key} is of work that the probe counts; {kind.name} reports its own: use reported"
                yield Finding((*loc, key), message, needs=(loc, ("load",), *_needs(kind.name)))


def _images(spec: TopologySpec, nodes: NodeTable, kinds: Catalogue) -> Iterator[Finding]:
    """A guest has one root image; every one has what is in that of guests without loads."""
    wanted: dict[str, tuple[str, str]] = {}
    for index, load in enumerate(spec.load):
        image = kinds[load.kind].image if load.kind in kinds else GUEST_IMAGE
        for entry in nodes.entries if image != GUEST_IMAGE else ():
            first = next((name for name, one in nodes.matching(load.nodes) if one.index == entry.index), None)
            if first is None:
                continue
            other, whose = wanted.setdefault(first, (image, load.name))
            if other != image:
                message = f"needs the root image {image} on {first}, where load {whose!r} needs {other}"
                yield Finding(("load", index, "kind"), message, needs=(("load",), *_DEFINITIONS, *_NODES))
