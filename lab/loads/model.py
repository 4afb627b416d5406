# SPDX-License-Identifier: GPL-2.0-only
"""What a kind of load is. All of them are read from files: lab/loads/data/*.yaml and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ParameterKind = Literal["integer", "number", "bool", "text", "node"]
Better = Literal["higher", "lower", "neither"]
OverGuests = Literal["sum", "mean", "max"]
Take = Literal["only", "first", "last", "sum", "mean", "max", "min"]
Ends = Literal["itself", "stopped"]
#: Output that no regular expression can read; lab.measure.loadparsers has the parsers.
ParserName = Literal["cyclictest-json", "ktap", "ping", "pvlock"]
Value = str | int | float | bool

#: The kind whose tasks count their work while they run (images/probe/pvspin.c): nothing of it is parsed.
SPIN = "spin"
#: The root image of guests whose loads need nothing else.
GUEST_IMAGE = "guest"
#: That of guests which are given the selftests of their kernel's source (lab.artifacts.selftests).
SELFTEST_IMAGE = "guest-kselftest"


@dataclass(frozen=True)
class Parameter:
    """What can be said of a load. A `node` is a guest's name, and its address in the command; empty: none."""

    name: str
    kind: ParameterKind
    default: Value
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A figure that a load reports, as lab.plan.labplan.LoadMetricPlan; `amount` is a template still, and so is
    `when`, which says of which parameters it is reported at all."""

    name: str
    unit: str
    better: Better
    over_guests: OverGuests
    doc: str
    pattern: str | None = None
    take: Take = "only"
    parser: ParserName | None = None
    field: str | None = None
    scale: float = 1.0
    amount: str | None = None
    when: str | None = None


@dataclass(frozen=True)
class LoadKind:
    """An entry of the catalogue.

    `command` is a template of a shell-like command line, `tasks` one of a number (lab.loads.command). `image` is
    the root image of guests that has its program. `counted`: the guest's probe counts its work while it runs.
    """

    name: str
    doc: str
    ends: Ends
    command: str
    tasks: str = "0"
    image: str = GUEST_IMAGE
    counted: bool = False
    published: str = ""
    parameters: tuple[Parameter, ...] = ()
    metrics: tuple[Metric, ...] = ()


#: Every kind that is known, by name.
Catalogue = Mapping[str, LoadKind]
