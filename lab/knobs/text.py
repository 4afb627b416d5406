# SPDX-License-Identifier: GPL-2.0-only
"""The registry as text: all names, and one of them explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lab.errors import InputError
from lab.knobs.model import Backend, Knob, Registry
from lab.knobs.quantities import UNITS
from lab.strictyaml.findings import unknown

_WIDTH = 78


def render_knob_list(registry: Registry) -> str:
    """A line for each name: type with unit and bounds, whose it is, and the generations that have it."""
    rows = [
        (knob.name, knob.scope, _type(knob), _generations(registry.backends.get(name, ())))
        for name, knob in sorted(registry.knobs.items())
    ]
    head = ("knob", "of", "type", "kept by")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    return "".join(_row(row, widths) for row in (head, *rows))


def _row(row: tuple[str, str, str, str], widths: list[int]) -> str:
    cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*cells, row[3]]).rstrip() + "\n"


def _type(knob: Knob) -> str:
    words: list[str] = [knob.kind]
    if knob.unit:
        words.append(knob.unit)
    if knob.choices:
        words.append("|".join(knob.choices))
    bounds = _bounds(knob.minimum, knob.maximum)
    if bounds and knob.kind == "integer":
        words.append(bounds)
    return " ".join([*words, *(["read-only"] if knob.read_only else [])])


def _bounds(minimum: int | None, maximum: int | None) -> str:
    if minimum is None and maximum is None:
        return ""
    return f"{'' if minimum is None else minimum}..{'' if maximum is None else maximum}"


def _generations(places: tuple[Backend, ...]) -> str:
    return ", ".join(dict.fromkeys(place.generation for place in places)) or "nothing"


def render_explanation(name: str, registry: Registry) -> str:
    """What a knob is, what its values look like, and where each generation keeps it, preferred first.

    Raises InputError for an unknown name.
    """
    if name not in registry.knobs:
        raise InputError(unknown("knob", name, registry.knobs), "`lab knob list --all` names all")
    return "\n".join(_explanation(registry.knobs[name], registry)) + "\n"


def _explanation(knob: Knob, registry: Registry) -> Iterator[str]:
    yield f"{knob.name}: {_type(knob)}, of {'a guest' if knob.scope == 'guest' else 'the host'}"
    for line in (*textwrap.wrap(knob.doc, _WIDTH - 2), *_values(knob)):
        yield f"  {line}"
    yield ""
    places = registry.backends.get(knob.name, ())
    if not places:
        yield "No place is known where it is kept."
        return
    yield "Where it is kept; the first of these that the kernel has is used:"
    for generation in dict.fromkeys(place.generation for place in places):
        yield f"  {generation}: {registry.generations[generation].title}"
        for place in places:
            if place.generation == generation:
                yield f"    {_where(place)}"
                yield from (f"      {line}" for line in _conversion(knob, place))


def _values(knob: Knob) -> Iterator[str]:
    if knob.kind == "bool":
        yield "Values: 1 or 0 (also on, off, true, false, yes, no)."
    elif knob.kind == "integer":
        example = {"share": "5%", "time": "2s"}.get(UNITS[knob.unit].dimension) if knob.unit else None
        unit = f", in {UNITS[knob.unit].words}; {example} is converted" if knob.unit else ""
        yield f"Values: a whole number{unit}."
    elif knob.kind == "cpulist":
        least = f" At least {knob.minimum} vCPU." if knob.minimum else ""
        most = f" At least {knob.leaves} vCPU must stay out of it." if knob.leaves else ""
        yield f"Values: a cpulist such as 0-2,5.{least}{most}"
    elif knob.choices:
        yield f"Values: {' or '.join(knob.choices)}."


def _where(place: Backend) -> str:
    words = {
        "file": f"file {place.path}",
        "debugfs": f"debugfs {place.path}",
        "sysctl": f"sysctl {place.path}",
        "module_parameter": f"module parameter {place.path}",
        "module": f"whether the module {place.path} is loaded",
        "sched_feature": f"scheduler feature {place.path}",
        "cgroup": f"{place.path} of the control group of each vCPU, on the host",
        "domain_cgroup": f"{place.path} of the control group of the guest, on the host",
        "cpu_online": "CPU hotplug: which CPUs are online",
        "isolated_partition": f"isolated partition {place.path} of cgroup v2",
        "cmdline": f"kernel command line, {place.path}=: the guest is started anew",
    }
    return words[place.kind] + (", by loading the module anew" if place.reload else "")


def _conversion(knob: Knob, place: Backend) -> Iterator[str]:
    if place.complement:
        yield "holds the other vCPUs: those that are not in the value"
    if place.unit not in (None, knob.unit):
        yield f"in {place.unit}"
    bounds = _bounds(place.minimum, place.maximum)
    if bounds:
        yield f"takes {bounds}"
    if place.inverted:
        yield "the other way round: off there is on here"
    if place.words != ("0", "1"):
        yield f"off and on are {place.words[0]} and {place.words[1]}"
