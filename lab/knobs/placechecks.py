# SPDX-License-Identifier: GPL-2.0-only
"""Whether a place can keep a knob: its kind and its conversion have to fit the knob's type and scope."""

from __future__ import annotations

from collections.abc import Iterator

from lab.knobs.model import Backend, BackendKind, Knob, KnobKind
from lab.knobs.quantities import UNITS

#: Kinds of places that keep values of one type only.
_TYPES: dict[BackendKind, KnobKind] = {
    "module": "bool",
    "sched_feature": "bool",
    "cpu_online": "cpulist",
    "isolated_partition": "cpulist",
}


def check_place(knob: Knob, place: Backend) -> Iterator[tuple[str, str]]:
    """What does not fit, as (key of the place, message)."""
    yield from _check_kind(knob, place)
    yield from _check_unit(knob, place)
    yield from _check_conversion(knob, place)


def _check_kind(knob: Knob, place: Backend) -> Iterator[tuple[str, str]]:
    wanted = _TYPES.get(place.kind)
    if wanted is not None and knob.kind != wanted:
        yield "kind", f"{place.kind} keeps a {wanted}; {knob.name!r} is {knob.kind}"
    if knob.scope == "host" and place.kind in ("cmdline", "cgroup", "domain_cgroup"):
        yield "kind", f"{place.kind} is for knobs of a guest; {knob.name!r} is the host's"


def _check_unit(knob: Knob, place: Backend) -> Iterator[tuple[str, str]]:
    if place.unit is None:
        return
    if knob.unit is None:
        yield "unit", f"{knob.name!r} has no unit, so a place of it has none"
    elif UNITS[place.unit].dimension != UNITS[knob.unit].dimension:
        yield "unit", f"{place.unit} cannot be converted to {knob.unit}, the unit of {knob.name!r}"


def _check_conversion(knob: Knob, place: Backend) -> Iterator[tuple[str, str]]:
    if place.complement and knob.kind != "cpulist":
        yield "complement", f"complement is for a cpulist; {knob.name!r} is {knob.kind}"
    if place.complement and knob.scope == "host":
        yield "complement", "complement is for a guest's vCPUs; the host's number is not known"
    if place.inverted and knob.kind != "bool":
        yield "inverted", f"inverted is for a bool; {knob.name!r} is {knob.kind}"
    if place.words != ("0", "1") and knob.kind != "bool":
        yield "words", f"words are for a bool; {knob.name!r} is {knob.kind}"
    if place.words[0] == place.words[1]:
        yield "words", f"off and on are both {place.words[0]!r}"
    if (place.minimum, place.maximum) != (None, None) and knob.kind != "integer":
        yield "min" if place.minimum is not None else "max", f"a place of a {knob.kind} has no bounds"
    if place.minimum is not None and place.maximum is not None and place.minimum > place.maximum:
        yield "min", f"min ({place.minimum}) is larger than max ({place.maximum})"
