# SPDX-License-Identifier: GPL-2.0-only
"""Values of a load's parameters: checked against what the entry says, defaults for the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from lab.loads.model import LoadKind, Parameter, Value
from lab.strictyaml.findings import unknown

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "bool": (bool,),
    "text": (str, int, float),
    "node": (str,),
}


def load_values(kind: LoadKind, given: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every parameter of `kind`."""
    return {one.name: given.get(one.name, one.default) for one in kind.parameters}


def wrong_values(
    kind: LoadKind, given: Mapping[str, Value], nodes: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(parameter, what is wrong) for each of `given` that cannot be; `nodes` are the guests that there are."""
    known = {one.name: one for one in kind.parameters}
    for name, value in given.items():
        if name not in known:
            yield name, unknown(f"parameter of {kind.name}", name, known)
        else:
            message = wrong_value(known[name], value, nodes)
            if message is not None:
                yield name, message


def wrong_value(parameter: Parameter, value: Value, nodes: Collection[str]) -> str | None:
    """Why a parameter cannot have this value; None where it can."""
    if not isinstance(value, _TYPES[parameter.kind]) or (
        isinstance(value, bool) and parameter.kind != "bool"
    ):
        return f"{parameter.name} is a {parameter.kind}, not {value!r}"
    if parameter.kind == "node" and value and value not in nodes:
        return unknown("node", str(value), nodes)
    if parameter.choices and str(value) not in parameter.choices:
        return unknown(f"value of {parameter.name}", str(value), parameter.choices)
    if parameter.kind in ("integer", "number"):
        return _out_of_bounds(parameter, float(value))
    return None


def _out_of_bounds(parameter: Parameter, value: float) -> str | None:
    if parameter.minimum is not None and value < parameter.minimum:
        return f"{parameter.name} is {value:g}; at least {parameter.minimum:g} is possible"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"{parameter.name} is {value:g}; at most {parameter.maximum:g} is possible"
    return None
