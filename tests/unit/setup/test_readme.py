# SPDX-License-Identifier: GPL-2.0-only
"""What README.md shows works."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
import yaml
from setup_machine import ROOT

from lab.errors import ExitCode
from lab.topology.decode import decode_topology


def section(title: str) -> str:
    _, _, rest = (ROOT / "README.md").read_text().partition(f"\n## {title}\n")
    assert rest, f"README.md has no section {title}"
    return rest.partition("\n## ")[0]


def code(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("    ") or not line]
    return textwrap.dedent("\n".join(lines))


def test_its_topology_is_one():
    topology = decode_topology(code(section("A topology")), ROOT / "README.md")
    assert [node.name for node in topology.nodes] == ["guest1", "guest2"]
    assert [phase.name for phase in topology.phases] == ["contended", "folded"]


#: What the pieces that README shows are pieces of.
AROUND = """\
version: 1
name: around
kernels: {plain: {source: {debian: "6.12"}}, mine: {source: {debian: "6.12"}, patches: [paravirt-cpus]}}
defaults: {node: {kernel: plain}}
nodes: [{name: guest, count: 2, vcpus: 2}]
load: [{name: busy, tasks: 2}]
phases: [{name: contended, start: [busy], duration: 10s}]
"""


@pytest.mark.parametrize("title", ["Contention", "Loads", "Comparing", "Knobs"])
def test_its_pieces_of_topologies_are_some(title):
    pieces = [piece for piece in map(yaml.safe_load, yaml_blocks(section(title))) if piece]
    assert pieces
    for piece in pieces:
        whole = {**yaml.safe_load(AROUND), **piece}
        if "load" in piece:
            whole["load"] = [*yaml.safe_load(AROUND)["load"], *piece["load"]]
        whole.pop("knob_files", None)  # there is none
        decode_topology(yaml.safe_dump(whole, sort_keys=False), ROOT / "topologies/of-readme.yaml")


def yaml_blocks(text: str) -> list[str]:
    """Indented blocks that begin with a key of topologies."""
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    return [code(block) for block in blocks if re.match(r"    (arms|knobs|load|nodes|phases):", block)]


def test_its_python_is_python():
    tree = ast.parse(code(section("pytest")))
    assert any(isinstance(node, ast.FunctionDef) for node in tree.body)


def test_it_lists_every_exit_code():
    listed = {line.split("|")[1].strip() for line in section("Commands").splitlines() if line.count("|") == 3}
    assert {str(int(code)) for code in ExitCode} <= listed


def test_the_topologies_it_names_exist():
    named = {word.strip("`,.()") for word in (ROOT / "README.md").read_text().split() if ".yaml`" in word}
    missing = [name for name in named if not (ROOT / "topologies" / Path(name).name).is_file()]
    assert named and not missing
