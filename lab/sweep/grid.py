# SPDX-License-Identifier: GPL-2.0-only
"""The points of a grid, each with the topology that it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import SandboxedEnvironment

from lab.errors import InputError
from lab.sweep.spec import SweepSpec, Value

MAX_RUNS = 10_000
#: What a directory may be called without more ado; anything else gets a digest.
_UNSAFE = re.compile(r"[^A-Za-z0-9=,.%+-]")
_LONGEST = 120


@dataclass(frozen=True)
class Point:
    """One point of the grid: `place` has for each parameter the number of its value, `text` is the topology."""

    key: str
    parameters: Mapping[str, Value]
    place: tuple[int, ...]
    text: str

    @property
    def digest(self) -> str:
        """By which it is known whether the same was run before."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def title(self) -> str:
        """``guests=2 vcpus=4``."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


@dataclass(frozen=True)
class Run:
    """One run of a point; `repeat` counts from 1."""

    point: Point
    repeat: int

    @property
    def name(self) -> str:
        """A directory's name."""
        return f"{self.point.key},run={self.repeat}"


@dataclass(frozen=True)
class Sweep:
    """A checked sweep. `path` is the template's, which names it in messages and anchors its relative paths."""

    name: str
    path: Path
    text: str
    parameters: Mapping[str, tuple[Value, ...]]
    repeats: int
    points: tuple[Point, ...]

    def runs(self) -> Iterator[Run]:
        """All runs in order: the whole grid once, then once more. What drifts then meets all points alike."""
        for repeat in range(1, self.repeats + 1):
            for point in self.points:
                yield Run(point, repeat)


def make_environment() -> SandboxedEnvironment:
    """Parameters that are misspelt are errors, and a template can do nothing but make text."""
    return SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def template_problem(template: str, parameters: Sequence[str]) -> tuple[int, str] | None:
    """(line of the template, what is wrong with it); None where nothing is."""
    environment = make_environment()
    try:
        used = meta.find_undeclared_variables(environment.parse(template))
    except TemplateSyntaxError as error:
        return error.lineno, f"no jinja2 template: {error.message}"
    unknown = sorted(used - {*parameters, *environment.globals})
    if unknown:
        return 1, f"the topology uses {', '.join(unknown)}, for which there are no values"
    unused = [name for name in parameters if name not in used]
    if unused:
        return 1, f"the topology does not use {', '.join(unused)}"
    return None


def plan_points(spec: SweepSpec, template: str) -> tuple[Point, ...]:
    """Every combination of values, the last parameter changing fastest. Raises InputError where the template does
    not come out as text."""
    compiled = make_environment().from_string(template)
    names = list(spec.parameters)
    points = []
    for place in product(*(range(len(values)) for values in spec.parameters.values())):
        parameters = {name: spec.parameters[name][number] for name, number in zip(names, place, strict=True)}
        try:
            text = compiled.render(parameters)
        except TemplateError as error:
            raise InputError(f"{_title(parameters)}: the topology cannot be made: {error}") from None
        points.append(Point(point_key(parameters), MappingProxyType(parameters), place, text))
    return tuple(points)


def _title(parameters: Mapping[str, Value]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def point_key(parameters: Mapping[str, Value]) -> str:
    """The values as a name for a directory: ``guests=2,vcpus=4``."""
    whole = ",".join(f"{name}={value}" for name, value in parameters.items())
    safe = _UNSAFE.sub("_", whole)
    if safe == whole and len(safe) <= _LONGEST:
        return safe
    return f"{safe[:_LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
