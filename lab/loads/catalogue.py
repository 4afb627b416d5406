# SPDX-License-Identifier: GPL-2.0-only
"""Files of load definitions: the shipped ones, and a user's own on top. Pure over texts, but for `read_`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from lab.errors import LoadFileError, Problem
from lab.loads.command import RESERVED, Place, render_load
from lab.loads.model import Catalogue, LoadKind, Metric, Parameter
from lab.loads.spec import (
    KIND_PATTERN,
    KIND_RULE,
    NAME_RULES,
    LoadFileSpec,
    LoadKindSpec,
    MetricSpec,
    ParameterSpec,
)
from lab.loads.values import load_values, wrong_value
from lab.strictyaml.decode import Format, decode
from lab.strictyaml.definitions import DefinitionText, read_definitions
from lab.strictyaml.findings import Finding

LOAD_FORMAT = Format(
    what="load file",
    model=LoadFileSpec,
    error=LoadFileError,
    hint="`lab schema --loads` prints the format; `lab load explain hackbench` shows an entry",
    needed="version and loads",
    example="give the path of a file of load definitions, or of a directory of them",
    rules={f"^{KIND_PATTERN}$": KIND_RULE, **NAME_RULES},
)

_SHIPPED = Path(__file__).parent / "data"
#: Stands in for the guest where an entry's templates are tried out.
_ANYWHERE = Place("guest1", 2, 256, "10.0.0.2", "10.0.0.3", {})


def read_load_texts(path: Path) -> tuple[DefinitionText, ...]:
    """The file `path`, or every *.yaml in the directory `path`, by name. Raises InputError."""
    return read_definitions(path, LOAD_FORMAT, "load")


@cache
def shipped_loads() -> Catalogue:
    """What the package knows. A constant of the package: the same in every call."""
    kinds: Catalogue = {}
    for one in read_load_texts(_SHIPPED):
        kinds = add_load_text(kinds, one)
    return kinds


def add_load_text(base: Catalogue, source: DefinitionText) -> Catalogue:
    """`base` with what a file defines. Raises LoadFileError with all of the file's problems."""

    def check(spec: LoadFileSpec) -> list[Finding]:
        return [
            Finding(("loads", *one.loc), one.message, needs=(("loads", *one.loc[:1]),))
            for one in define_loads(base, spec.loads)[1]
        ]

    return define_loads(base, decode(source.text, source.path, LOAD_FORMAT, check).loads)[0]


def add_load_texts(base: Catalogue, sources: Iterable[DefinitionText]) -> tuple[Catalogue, list[Problem]]:
    """`base` with what all files define, and the problems of those that are left out for them."""
    problems: list[Problem] = []
    for source in sources:
        try:
            base = add_load_text(base, source)
        except LoadFileError as error:
            problems += error.problems
    return base, problems


def define_loads(base: Catalogue, said: Mapping[str, LoadKindSpec]) -> tuple[Catalogue, list[Finding]]:
    """`base` with the kinds of `said`, and what in them cannot be; a finding's place is below the mapping."""
    kinds = {name: _kind(name, spec) for name, spec in said.items()}
    findings = [finding for name, kind in kinds.items() for finding in _check_kind(base, kind, said[name])]
    wrong = {one.loc[0] for one in findings}
    return {**base, **{name: kind for name, kind in kinds.items() if name not in wrong}}, findings


def _kind(name: str, spec: LoadKindSpec) -> LoadKind:
    return LoadKind(
        name=name,
        doc=spec.doc,
        ends=spec.ends,
        command=spec.command,
        tasks=str(spec.tasks),
        image=spec.image,
        counted=spec.counted,
        published=spec.published,
        parameters=tuple(_parameter(key, one) for key, one in spec.parameters.items()),
        metrics=tuple(_metric(key, one) for key, one in spec.metrics.items()),
    )


def _parameter(name: str, spec: ParameterSpec) -> Parameter:
    return Parameter(name, spec.type, spec.default, spec.doc, spec.min, spec.max, spec.choices)


def _metric(name: str, spec: MetricSpec) -> Metric:
    return Metric(
        name=name,
        unit=spec.unit,
        better=spec.better,
        over_guests=spec.over_guests,
        doc=spec.doc,
        pattern=spec.pattern,
        take=spec.take,
        parser=spec.parser,
        field=(spec.field or name) if spec.parser else None,
        scale=spec.scale,
        amount=spec.amount,
        when=spec.when,
    )


def _check_kind(base: Catalogue, kind: LoadKind, spec: LoadKindSpec) -> Iterator[Finding]:
    if kind.name in base:
        yield Finding((kind.name,), f"load kind {kind.name!r} is known already; give yours another name")
    found = False
    for one in kind.parameters:
        for message in _wrong_parameter(one):
            found = True
            yield Finding((kind.name, "parameters", one.name), message)
    if found:
        return
    try:
        render_load(kind, load_values(kind, {}), _ANYWHERE)
    except ValueError as error:
        where, _, message = str(error).partition(": ")
        yield Finding((kind.name, *where.split(".")), message)


def _wrong_parameter(parameter: Parameter) -> Iterator[str]:
    if parameter.name in RESERVED:
        yield f"{parameter.name} is what a command knows anyway; give the parameter another name"
    message = wrong_value(parameter, parameter.default, ())
    if message is not None:
        yield f"its default cannot be: {message}"
