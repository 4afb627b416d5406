# SPDX-License-Identifier: GPL-2.0-only
"""What the models of a topology file are made of: names, cpulists, quantities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lab.units import MAX_CPU, parse_cpulist, parse_duration_ns, parse_percent, parse_size_mib

FoldMechanism = Literal["mask", "preferred", "hotplug", "cpuset", "weight", "quota"]
#: How vCPUs can be folded, in the order in which they are told.
FOLD_MECHANISMS: tuple[FoldMechanism, ...] = get_args(FoldMechanism)

#: How vCPUs can be pinned without saying it for each (lab.plan.pinning).
PinningPolicy = Literal["spread", "shift", "stack", "smt-stack", "numa-split"]

NAME_PATTERN = r"[a-z][a-z0-9-]{0,30}"
NAME_RULE = (
    "a name has lower-case letters, digits and dashes, starts with a letter, and is at most 31 long, "
    "for example guest"
)

#: By these patterns programs that read the JSON schema know a quantity (lab.topology.explain).
CPULIST_PATTERN = r"^\s*(\d+(-\d+)?)(\s*,\s*\d+(-\d+)?)*\s*$"
ANY_CPULIST_PATTERN = r"^\s*((\d+(-\d+)?)(\s*,\s*\d+(-\d+)?)*\s*)?$"
DURATION_PATTERN = r"^\s*\d+(\.\d+)?\s*(ns|us|ms|s|min)\s*$"
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*(MiB|M|GiB|G)\s*$"
PERCENT_PATTERN = r"^\s*\d+(\.\d+)?\s*%\s*$"


def _cpulist(value: Any) -> Any:
    if isinstance(value, tuple):  # already parsed; YAML has no tuples
        return value
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("write a cpulist as text, such as 0-2,5")
    return parse_cpulist(str(value))


def _nonempty_cpulist(value: Any) -> Any:
    cpus = _cpulist(value)
    if cpus == ():
        raise ValueError("names no CPU; write a cpulist such as 0-2,5")
    return cpus


def _parsed(parse: Callable[[str], float], example: str) -> BeforeValidator:
    def convert(value: Any) -> float:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} has no unit; write for example {example}")
        return parse(value)

    return BeforeValidator(convert)


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_CPULIST_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": CPULIST_PATTERN, "examples": ["0-2,5"]},
            {"type": "integer", "minimum": 0, "maximum": MAX_CPU},
        ]
    }
)

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", examples=["guest"])]
Cpulist = Annotated[tuple[int, ...], BeforeValidator(_nonempty_cpulist), _CPULIST_SCHEMA]
#: A cpulist that may be empty.
AnyCpulist = Annotated[
    tuple[int, ...],
    BeforeValidator(_cpulist),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": ANY_CPULIST_PATTERN,
                    "examples": ["1"],
                },
                {"type": "integer", "minimum": 0, "maximum": MAX_CPU},
            ]
        }
    ),
]
DurationNs = Annotated[int, _parsed(parse_duration_ns, "20s"), _text_schema(DURATION_PATTERN, "20s")]
SizeMib = Annotated[int, _parsed(parse_size_mib, "256MiB"), _text_schema(SIZE_PATTERN, "256MiB")]
Percent = Annotated[float, _parsed(parse_percent, "50%"), _text_schema(PERCENT_PATTERN, "50%")]

#: What expectations are about.
NodeGlob = Annotated[str, Field(description="node name or glob", examples=["guest*"])]
OfVcpus = Annotated[Cpulist | None, Field(description="these vCPUs of each node; default: all")]
PhaseName = Annotated[str, Field(description="name of a phase", examples=["contended"])]
LoadName = Annotated[str, Field(description="name of a load", examples=["busy"])]


class Spec(BaseModel):
    """What every model of the format is: frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


def exactly_one(model: Spec, fields: tuple[str, ...]) -> None:
    """Raise ValueError unless exactly one of `fields` is given."""
    given = [name for name in fields if getattr(model, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ValueError(f"give exactly one of {', '.join(fields)}; found {found}")
