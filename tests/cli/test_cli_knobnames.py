# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob list --all`, `lab knob explain` and `lab schema --knobs`: knobs without a lab."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from cli.driving import Driver

from lab.errors import ExitCode

MINE = """\
version: 1
knobs:
  loop.max:
    type: integer
    min: 1
    doc: How many loop devices the module makes.
    backends: [{kind: module_parameter, path: loop/max_loop, reload: true}]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "loop.yaml"
    path.parent.mkdir()
    path.write_text(MINE)
    return path


def test_all_knobs_are_listed(lab: Driver) -> None:
    names = [line.split()[0] for line in lab("knob", "list", "--all").out.splitlines()]
    assert {"avoid_cpus", "steal.high", "debooster.enable", "vcpu.quota"} <= set(names)


@pytest.mark.parametrize("of", ["file", "directory"])
def test_a_users_own_are_listed_too(lab: Driver, mine: Path, of: str) -> None:
    path = mine if of == "file" else mine.parent
    (line,) = (
        line for line in lab("knob", "list", "--all", "--knobs", path).out.splitlines() if "loop" in line
    )
    assert line.split() == ["loop.max", "guest", "integer", "1..", "own"]


def test_a_knob_is_explained(lab: Driver) -> None:
    out = lab("knob", "explain", "steal.period").out
    assert out.startswith("steal.period: integer ms 10..100000, of a guest\n")
    assert "debugfs powerpc/steal_check_frequency\n      in s\n" in out


def test_a_users_own_is_explained(lab: Driver, mine: Path) -> None:
    out = lab("knob", "explain", "loop.max", "--knobs", mine).out
    assert "How many loop devices the module makes." in out
    assert "module parameter loop/max_loop, by loading the module anew" in out


def test_an_unknown_knob_is_bad_input(lab: Driver) -> None:
    done = lab("knob", "explain", "steal.hihg")
    assert done.code == ExitCode.BAD_INPUT
    assert "did you mean 'steal.high'?" in done.err


def test_a_bad_file_is_told_with_its_lines(lab: Driver, mine: Path) -> None:
    mine.write_text(MINE.replace("integer", "integr").replace("reload", "relod"))
    done = lab("knob", "list", "--all", "--knobs", mine)
    assert done.code == ExitCode.BAD_INPUT
    assert "2 problems in the knob file" in done.err
    assert f"{mine}:4: knobs['loop.max'].type: " in done.err
    assert f"{mine}:7: knobs['loop.max'].backends[0].relod: unknown key; did you mean 'reload'?" in done.err


def test_neither_a_node_nor_all(lab: Driver) -> None:
    done = lab("knob", "list")
    assert done.code == ExitCode.BAD_INPUT
    assert "--all" in done.err


def test_the_schema_of_knob_files_is_printed(lab: Driver) -> None:
    schema = json.loads(lab("schema", "--knobs").out)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(MINE))
    assert schema["$id"] != json.loads(lab("schema").out)["$id"]
