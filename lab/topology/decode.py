# SPDX-License-Identifier: GPL-2.0-only
"""From a topology file's text to a checked Topology, or to all of its problems with their lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from lab.errors import InputError, Problem, TopologyError
from lab.topology.checks import check_topology
from lab.topology.findings import Finding, format_loc
from lab.topology.model import Topology
from lab.topology.resolve import NodeTable
from lab.topology.salvage import salvage
from lab.topology.shape import explain_errors, trace
from lab.topology.spec import TopologySpec
from lab.topology.yamltree import Document, YamlSyntaxError, parse_document

MAX_FILE_BYTES = 4 * 1024 * 1024
#: Misshapen places told of one file. Far more than a person reads; it bounds the time spent on a wrong file.
MAX_TOLD = 2_000
_HINT = "`lab schema` prints the format; topologies/quickstart.yaml is an example"


def read_topology(path: Path) -> Topology:
    """The topology in the file `path`.

    Raises InputError where the file cannot be read, TopologyError (a child of it) where it is malformed.
    """
    return decode_topology(_read_text(path), path)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"topology {path} cannot be read: {error.strerror or error}",
            "give the path of a topology file, for example topologies/quickstart.yaml",
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"topology {path} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB; is it a topology?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from error


def decode_topology(text: str, path: Path) -> Topology:
    """The topology that `text` describes; `path` names it in messages and anchors its relative paths.

    Raises TopologyError with every problem found (up to MAX_TOLD), sorted by line. Where the text is not even
    YAML, that is the only problem told.
    """
    try:
        document = parse_document(text)
    except YamlSyntaxError as error:
        raise _error(path, None, [error.finding]) from error
    if document.value is None:
        raise _error(
            path, document, [Finding((), "is empty; at least version, name, kernels and nodes are needed")]
        )
    try:
        spec = TopologySpec.model_validate(document.value)
    except ValidationError as error:
        raise _error(path, document, _malformed(document, error)) from error
    nodes, findings = check_topology(spec)
    if findings or document.findings:
        raise _error(path, document, [*document.findings, *findings])
    return _topology(spec, nodes, text, path)


def _malformed(document: Document, error: ValidationError) -> list[Finding]:
    """All findings of a document that does not fit the models: of its shape, and of its sound rest."""
    errors = error.errors(include_url=False, include_input=False)
    unread = {finding.loc for finding in document.findings}
    shape = explain_errors(TopologySpec, errors[:MAX_TOLD], document)
    findings = [*document.findings, *(finding for finding in shape if finding.loc not in unread)]
    if len(errors) > MAX_TOLD:
        return [*findings, Finding((), f"{len(errors) - MAX_TOLD} further problems are left out")]
    broken = [trace(TopologySpec, each["loc"]).loc for each in errors]
    rest = salvage(TopologySpec, document, [*broken, *(finding.loc for finding in document.findings)])
    if rest is not None and isinstance(rest.spec, TopologySpec):
        further = (finding for finding in check_topology(rest.spec)[1] if rest.trusts(finding))
        findings += [replace(finding, loc=rest.original(finding.loc)) for finding in further]
    return findings


def _error(path: Path, document: Document | None, findings: Iterable[Finding]) -> TopologyError:
    """The findings as problems of the file, each once."""
    problems = set()
    for finding in findings:
        line = finding.line or (document.line_of(finding.loc) if document else 1)
        problems.add(Problem(str(path), line, format_loc(finding.loc), finding.message))
    return TopologyError(list(problems), _HINT)


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
