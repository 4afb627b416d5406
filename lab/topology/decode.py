# SPDX-License-Identifier: GPL-2.0-only
"""From a topology file's text to a checked Topology, or to all of its problems with their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from lab.errors import TopologyError
from lab.knobs.load import KNOB_FORMAT, add_knob_texts, read_knob_texts, shipped_registry
from lab.knobs.model import Registry
from lab.knobs.registry import define
from lab.knobs.spec import NAME_RULES
from lab.loads.catalogue import LOAD_FORMAT, add_load_texts, define_loads, read_load_texts, shipped_loads
from lab.loads.model import Catalogue
from lab.loads.spec import NAME_RULES as LOAD_NAME_RULES
from lab.strictyaml.decode import Format, decode, read_text
from lab.strictyaml.findings import Finding
from lab.topology.armspec import RepeatsSpec
from lab.topology.checks import check_topology
from lab.topology.definitionfiles import KnobTexts, LoadTexts, files_of, read_files
from lab.topology.kindchecks import check_load_kinds
from lab.topology.model import Topology
from lab.topology.resolve import expand_nodes
from lab.topology.spec import NAME_PATTERN, NAME_RULE, TopologySpec

TOPOLOGY_FORMAT = Format(
    what="topology",
    model=TopologySpec,
    error=TopologyError,
    hint="`lab schema` prints the format; topologies/quickstart.yaml is an example",
    needed="version, name, kernels and nodes",
    example="give the path of a topology file, for example topologies/quickstart.yaml",
    rules={f"^{NAME_PATTERN}$": NAME_RULE, **NAME_RULES, **LOAD_NAME_RULES},
)


def read_topology(path: Path) -> Topology:
    """The topology in the file `path`, with the files of definitions that it names.

    Raises InputError where the file cannot be read, TopologyError (a child of it) where it is malformed.
    """
    return topology_of(read_text(path, TOPOLOGY_FORMAT), path)


def topology_of(text: str, path: Path) -> Topology:
    """The topology that `text` describes, with the files of definitions that it names, relative to that of `path`.

    Raises TopologyError.
    """
    return decode_topology(
        text,
        path,
        read_files(files_of(text, "knob_files"), path.parent, read_knob_texts),
        read_files(files_of(text, "load_files"), path.parent, read_load_texts),
    )


def decode_topology(
    text: str,
    path: Path,
    knob_files: Mapping[str, KnobTexts | str] = MappingProxyType({}),
    load_files: Mapping[str, LoadTexts | str] = MappingProxyType({}),
) -> Topology:
    """The topology that `text` describes; `path` names it in messages and anchors its relative paths.

    `knob_files` and `load_files` have what is in the files that the text names, or why that could not be read.
    Raises TopologyError with every problem found, of those files too, sorted by file and line.
    """
    base, problems = add_knob_texts(shipped_registry(), _read(knob_files))
    base_loads, load_problems = add_load_texts(shipped_loads(), _read(load_files))

    def check(spec: TopologySpec) -> list[Finding]:
        registry, findings = _define(base, spec)
        findings += _check_files("knob_files", spec.knob_files, knob_files)
        complete = not problems and not findings
        findings += check_topology(spec, registry, complete=complete)[1]
        return findings + _check_loads(spec, base_loads, load_files, complete=not load_problems)

    try:
        spec = decode(text, path, TOPOLOGY_FORMAT, check)
    except TopologyError as error:
        raise TopologyError([*error.problems, *problems, *load_problems], error.hint) from error
    if problems or load_problems:
        hint = KNOB_FORMAT.hint if problems else LOAD_FORMAT.hint
        raise TopologyError([*problems, *load_problems], hint)
    kinds = define_loads(base_loads, spec.load_definitions)[0]
    return _topology(spec, _define(base, spec)[0], kinds, text, path)


_Text = TypeVar("_Text")


def _read(files: Mapping[str, tuple[_Text, ...] | str]) -> list[_Text]:
    return [one for texts in files.values() if not isinstance(texts, str) for one in texts]


def _define(base: Registry, spec: TopologySpec) -> tuple[Registry, list[Finding]]:
    registry, findings = define(base, spec.knob_definitions)
    return registry, [Finding(("knob_definitions", *one.loc), one.message) for one in findings]


def _check_files(key: str, names: Sequence[str], read: Mapping[str, object]) -> list[Finding]:
    wrong = ((index, read.get(name, "was not read")) for index, name in enumerate(names))
    return [Finding((key, index), why) for index, why in wrong if isinstance(why, str)]


def _check_loads(
    spec: TopologySpec, base: Catalogue, read: Mapping[str, LoadTexts | str], *, complete: bool
) -> list[Finding]:
    kinds, wrong = define_loads(base, spec.load_definitions)
    findings = [
        Finding(("load_definitions", *one.loc), one.message, needs=(("load_definitions", *one.loc[:1]),))
        for one in wrong
    ]
    findings += _check_files("load_files", spec.load_files, read)
    nodes = expand_nodes(spec)[0]
    return findings + list(check_load_kinds(spec, nodes, kinds, complete=complete and not findings))


def _topology(spec: TopologySpec, registry: Registry, kinds: Catalogue, text: str, path: Path) -> Topology:
    nodes = expand_nodes(spec)[0]
    return Topology(
        name=spec.name,
        description=spec.description,
        path=path,
        directory=path.parent,
        text=text,
        host=spec.host,
        kernels=dict(spec.kernels),
        nodes=tuple(replace(entry.node, name=name) for entry in nodes.entries for name in entry.names),
        registry=registry,
        load_kinds=kinds,
        knobs=spec.knobs,
        loads=spec.load,
        hogs=spec.hogs,
        phases=spec.phases,
        measure=spec.measure,
        expectations=spec.expect,
        arms=spec.arms,
        repeats=spec.repeats or RepeatsSpec(),
        trace=spec.trace,
        allow_findings=spec.allow_findings,
    )
