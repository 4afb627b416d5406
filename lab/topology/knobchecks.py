# SPDX-License-Identifier: GPL-2.0-only
"""Checks of knob settings: the name, whose it is, its generation, and whether the value can be kept anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from lab.knobs.convert import fit
from lab.knobs.model import Backend, Knob, Registry
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.resolve import NodeTable
from lab.topology.spec import KnobSetSpec, is_knob_path, value_text

_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))
_DEFINITIONS: tuple[Loc, ...] = (("knob_definitions",), ("knob_files",))


class KnobChecker:
    """Checks settings against `registry`. If that is not `complete` (a knob file is broken), names are trusted."""

    def __init__(self, registry: Registry, nodes: NodeTable, *, complete: bool) -> None:
        self._registry, self._nodes, self._complete = registry, nodes, complete

    def check(self, setting: KnobSetSpec, loc: Loc) -> Iterator[Finding]:
        """Everything wrong with one setting, but for a glob that matches no node."""
        if is_knob_path(setting.knob):
            yield from self._path(setting, loc)
        elif setting.knob in self._registry.knobs:
            yield from self._named(setting, self._registry.knobs[setting.knob], loc)
        elif self._complete:
            message = unknown("knob", setting.knob, self._registry.knobs)
            yield _finding((*loc, "knob"), f"{message} (or write an absolute path in the guest)", loc)

    def _path(self, setting: KnobSetSpec, loc: Loc) -> Iterator[Finding]:
        for key in ("generation", "vcpus"):
            if getattr(setting, key) is not None:
                yield Finding((*loc, key), f"{key} is for knobs with a name; a path is one file")
        yield from _check_boolean(setting, "text", loc)

    def _named(self, setting: KnobSetSpec, knob: Knob, loc: Loc) -> Iterator[Finding]:
        yield from _check_scope(setting, knob, loc)
        places = self._registry.backends[knob.name]
        if setting.vcpus is not None and not any(place.kind == "cgroup" for place in places):
            yield _finding((*loc, "vcpus"), f"knob {knob.name!r} is not kept for each vCPU", loc)
        if knob.read_only:
            yield _finding((*loc, "knob"), f"knob {knob.name!r} can only be read", loc)
            return
        chosen = [place for place in places if setting.generation in (None, place.generation)]
        if not chosen:
            yield self._no_place(setting, knob, places, loc)
            return
        booleans = list(_check_boolean(setting, knob.kind, loc))
        yield from booleans or self._value(setting, knob, tuple(chosen), loc)

    def _no_place(self, setting: KnobSetSpec, knob: Knob, places: tuple[Backend, ...], loc: Loc) -> Finding:
        if not places:
            return _finding((*loc, "knob"), f"knob {knob.name!r} has no place where it is kept", loc)
        known = dict.fromkeys(place.generation for place in places)
        message = unknown(f"generation of {knob.name}", str(setting.generation), known)
        return _finding((*loc, "generation"), message, loc)

    def _value(
        self, setting: KnobSetSpec, knob: Knob, places: tuple[Backend, ...], loc: Loc
    ) -> Iterator[Finding]:
        """The first node on which the value cannot be is told."""
        text, loc = value_text(setting.value), (*loc, "value")
        if knob.scope == "host":
            yield from _fits(knob, places, text, 0, None, loc)
            return
        for name, entry in self._nodes.matching(setting.nodes):
            findings = list(_fits(knob, places, text, entry.node.vcpus, name, loc))
            yield from findings
            if findings:
                return


def _fits(
    knob: Knob, places: tuple[Backend, ...], text: str, vcpus: int, node: str | None, loc: Loc
) -> Iterator[Finding]:
    try:
        fit(knob, places, text, vcpus)
    except ValueError as error:
        on_node = knob.kind == "cpulist" and node is not None
        whose = f" of {node}" if on_node else ""
        needs = (loc[:-1], *_DEFINITIONS, *(_NODES if on_node else ()))
        yield Finding(loc, f"{knob.name}{whose} cannot be {text!r}: {error}", needs=needs)


def _check_scope(setting: KnobSetSpec, knob: Knob, loc: Loc) -> Iterator[Finding]:
    if knob.scope == "host" and "nodes" in setting.model_fields_set:
        yield _finding((*loc, "nodes"), f"knob {knob.name!r} is the host's: it takes no nodes", loc)


def _check_boolean(setting: KnobSetSpec, kind: str, loc: Loc) -> Iterator[Finding]:
    """What `true` would be written as, only a bool knows."""
    if isinstance(setting.value, bool) and kind != "bool":
        word = value_text(setting.value)
        yield Finding((*loc, "value"), f'{word} is for a bool knob; quote it to mean the text: "{word}"')


def _finding(loc: Loc, message: str, setting: Loc) -> Finding:
    return Finding(loc, message, needs=(setting, *_DEFINITIONS))
