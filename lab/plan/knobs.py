# SPDX-License-Identifier: GPL-2.0-only
"""Knobs by name: where they are and what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lab.errors import InputError
from lab.plan.labplan import KnobCandidate, KnobSetting
from lab.plan.selection import matching
from lab.strictyaml.findings import unknown
from lab.topology.model import Node
from lab.topology.spec import KnobSetSpec, is_knob_path
from lab.units import format_cpulist, parse_cpulist


@dataclass(frozen=True)
class Knob:
    """A file in the guest. What is read back from a `cpulist` is compared as a set, `text` as it stands."""

    path: str
    kind: Literal["cpulist", "text"]


#: Every knob that has a name. The names are lab.topology.knobnames', which checks them with file and line.
KNOBS: Mapping[str, Knob] = MappingProxyType(
    {
        # vCPUs that fair tasks should leave: images/kernels/paravirt-cpus; empty clears it.
        "avoid_cpus": Knob("/sys/devices/system/cpu/paravirt", "cpulist"),
    }
)


def find_knob(name: str) -> Knob:
    """The knob called `name`, or the file an absolute path names. Raises InputError for anything else."""
    if is_knob_path(name):
        return Knob(name, "text")
    if name not in KNOBS:
        raise InputError(
            unknown("knob", name, KNOBS), "name a knob of the lab, or an absolute path in the guest"
        )
    return KNOBS[name]


def plan_knobs(settings: Iterable[KnobSetSpec], nodes: Sequence[Node]) -> tuple[KnobSetting, ...]:
    """Writes in the order given, each on every node that its glob matches."""
    return tuple(
        plan_knob(node.name, spec.knob, str(spec.value))
        for spec in settings
        for node in matching(nodes, spec.nodes)
    )


def plan_knob(node: str, name: str, value: str) -> KnobSetting:
    """One write of knob `name` on `node`. Raises InputError for a knob or a value that cannot be."""
    knob = find_knob(name)
    if knob.kind == "cpulist":
        try:
            value = format_cpulist(parse_cpulist(value))
        except ValueError as error:
            raise InputError(f"knob {name} of {node} takes a cpulist: {error}") from None
    place = KnobCandidate("", "file", knob.path, value, knob.kind)
    return KnobSetting(node, name, value, knob.kind, (place,))
