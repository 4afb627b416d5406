# SPDX-License-Identifier: GPL-2.0-only
"""From a topology file's text to a checked Topology, or to all of its problems with their lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from lab.errors import TopologyError
from lab.knobs.load import KNOB_FORMAT, add_knob_texts, shipped_registry
from lab.knobs.model import Registry
from lab.knobs.registry import define
from lab.knobs.spec import NAME_RULES
from lab.strictyaml.decode import Format, decode, read_text
from lab.strictyaml.findings import Finding
from lab.topology.armspec import RepeatsSpec
from lab.topology.checks import check_topology
from lab.topology.knobfiles import KnobTexts, knob_files_of, read_knob_files
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
    rules={f"^{NAME_PATTERN}$": NAME_RULE, **NAME_RULES},
)


def read_topology(path: Path) -> Topology:
    """The topology in the file `path`, with the knob files that it names.

    Raises InputError where the file cannot be read, TopologyError (a child of it) where it is malformed.
    """
    text = read_text(path, TOPOLOGY_FORMAT)
    return decode_topology(text, path, read_knob_files(knob_files_of(text), path.parent))


def decode_topology(
    text: str, path: Path, knob_files: Mapping[str, KnobTexts | str] = MappingProxyType({})
) -> Topology:
    """The topology that `text` describes; `path` names it in messages and anchors its relative paths.

    `knob_files` has what is in the knob files that the text names, or why that could not be read. Raises
    TopologyError with every problem found, of the knob files too, sorted by file and line.
    """
    texts = [one for texts in knob_files.values() if not isinstance(texts, str) for one in texts]
    base, problems = add_knob_texts(shipped_registry(), texts)

    def check(spec: TopologySpec) -> list[Finding]:
        registry, findings = _define(base, spec)
        findings += _check_knob_files(spec, knob_files)
        complete = not problems and not findings
        return findings + check_topology(spec, registry, complete=complete)[1]

    try:
        spec = decode(text, path, TOPOLOGY_FORMAT, check)
    except TopologyError as error:
        raise TopologyError([*error.problems, *problems], error.hint) from error
    if problems:
        raise TopologyError(problems, KNOB_FORMAT.hint)
    return _topology(spec, _define(base, spec)[0], text, path)


def _define(base: Registry, spec: TopologySpec) -> tuple[Registry, list[Finding]]:
    registry, findings = define(base, spec.knob_definitions)
    return registry, [Finding(("knob_definitions", *one.loc), one.message) for one in findings]


def _check_knob_files(spec: TopologySpec, read: Mapping[str, KnobTexts | str]) -> list[Finding]:
    wrong = ((index, read.get(name, "was not read")) for index, name in enumerate(spec.knob_files))
    return [Finding(("knob_files", index), why) for index, why in wrong if isinstance(why, str)]


def _topology(spec: TopologySpec, registry: Registry, text: str, path: Path) -> Topology:
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
        knobs=spec.knobs,
        loads=spec.load,
        phases=spec.phases,
        measure=spec.measure,
        expectations=spec.expect,
        arms=spec.arms,
        repeats=spec.repeats or RepeatsSpec(),
    )
