# SPDX-License-Identifier: GPL-2.0-only
"""`lab load list`, `lab load explain` and `lab schema --loads`: kinds of loads without a lab."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from cli.driving import Driver

from lab.errors import ExitCode

ROOT = Path(__file__).parents[2]
MINE = """\
version: 1
loads:
  mine:
    doc: Does what I want.
    ends: itself
    command: mine --rounds {{ rounds }}
    parameters: {rounds: {default: 3, min: 1, doc: how often}}
    metrics: {score: {unit: points, better: higher, over_guests: sum, doc: what it got, pattern: '^score (.*)$'}}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(MINE)
    return path


def test_all_kinds_are_listed(lab: Driver) -> None:
    names = [line.split()[0] for line in lab("load", "list").out.splitlines()]
    assert {"spin", "hackbench", "cyclictest", "ping", "lock-holder", "stress-ng", "sysbench-cpu"} <= set(
        names
    )


@pytest.mark.parametrize("of", ["file", "directory"])
def test_a_users_own_are_listed_too(lab: Driver, mine: Path, of: str) -> None:
    path = mine if of == "file" else mine.parent
    (line,) = (line for line in lab("load", "list", "--loads", path).out.splitlines() if "mine" in line)
    assert line.split() == ["mine", "itself", "guest", "score", "points"]


def test_those_of_a_topology_are_explained(lab: Driver, tmp_path: Path) -> None:
    topology = tmp_path / "t.yaml"
    head = 'version: 1\nname: t\nkernels: {k: {source: {debian: "6.12"}}}\nnodes: [{name: a}]\n'
    topology.write_text(head + MINE.removeprefix("version: 1\n").replace("loads:", "load_definitions:"))
    out = lab("load", "explain", "mine", "--topology", topology).out
    assert "mine --rounds {{ rounds }}" in out and "rounds: integer 1.., default 3; how often" in out


def test_an_unknown_kind_is_told_with_what_is_near(lab: Driver) -> None:
    done = lab("load", "explain", "hackbensh")
    assert done.code == ExitCode.BAD_INPUT and "did you mean 'hackbench'?" in done.err


def test_a_broken_file_is_told_with_its_lines(lab: Driver, mine: Path) -> None:
    mine.write_text(MINE.replace("ends: itself", "ends: nevermore"))
    done = lab("load", "list", "--loads", mine)
    assert done.code == ExitCode.BAD_INPUT and f"{mine}:5: loads.mine.ends" in done.err


def test_the_schema_accepts_what_is_shipped(lab: Driver) -> None:
    schema = json.loads(lab("schema", "--loads").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (ROOT / "lab/loads/data").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 1, "loads": {"x": {"doc": "", "ends": "itself"}}}, schema)


def test_one_schema_at_a_time(lab: Driver) -> None:
    assert lab("schema", "--loads", "--knobs").code == ExitCode.BAD_INPUT
