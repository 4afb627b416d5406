# SPDX-License-Identifier: GPL-2.0-only
"""From a topology file's text to a checked Topology, or to all of its problems with their lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.errors import TopologyError
from lab.strictyaml.decode import Format, decode, read_text
from lab.strictyaml.findings import Finding
from lab.topology.checks import check_topology
from lab.topology.model import Topology
from lab.topology.resolve import NodeTable, expand_nodes
from lab.topology.spec import NAME_PATTERN, NAME_RULE, TopologySpec

TOPOLOGY_FORMAT = Format(
    what="topology",
    model=TopologySpec,
    error=TopologyError,
    hint="`lab schema` prints the format; topologies/quickstart.yaml is an example",
    needed="version, name, kernels and nodes",
    example="give the path of a topology file, for example topologies/quickstart.yaml",
    rules={f"^{NAME_PATTERN}$": NAME_RULE},
)


def read_topology(path: Path) -> Topology:
    """The topology in the file `path`.

    Raises InputError where the file cannot be read, TopologyError (a child of it) where it is malformed.
    """
    return decode_topology(read_text(path, TOPOLOGY_FORMAT), path)


def decode_topology(text: str, path: Path) -> Topology:
    """The topology that `text` describes; `path` names it in messages and anchors its relative paths.

    Raises TopologyError with every problem found, sorted by line.
    """
    spec = decode(text, path, TOPOLOGY_FORMAT, _check)
    return _topology(spec, expand_nodes(spec)[0], text, path)


def _check(spec: TopologySpec) -> list[Finding]:
    return check_topology(spec)[1]


def _topology(spec: TopologySpec, nodes: NodeTable, text: str, path: Path) -> Topology:
    return Topology(
        name=spec.name,
        description=spec.description,
        path=path,
        directory=path.parent,
        text=text,
        host=spec.host,
        kernels=dict(spec.kernels),
        nodes=tuple(replace(entry.node, name=name) for entry in nodes.entries for name in entry.names),
        knobs=spec.knobs,
        loads=spec.load,
        phases=spec.phases,
        measure=spec.measure,
        expectations=spec.expect,
    )
