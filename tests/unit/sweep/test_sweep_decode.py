# SPDX-License-Identifier: GPL-2.0-only
"""A sweep file becomes a grid of topologies, or all of its problems with their lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.errors import ExitCode, InputError, SweepFileError, TopologyError
from lab.sweep.decode import point_topology, read_sweep
from lab.sweep.grid import Run, point_key

BAD = sorted((Path(__file__).parents[2] / "data" / "bad-sweeps").glob("*.yaml"))
EXPECT = re.compile(r"^# expect: (\d+): (.+)$", re.MULTILINE)
PAIR = """\
version: 1
name: pair
kernels: {plain: {source: {debian: "6.12"}}}
nodes: [{name: guest, count: {{ guests }}, vcpus: {{ vcpus }}}]
"""


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_each_problem_has_its_line_and_message_and_there_is_no_other(path: Path) -> None:
    with pytest.raises(SweepFileError) as raised:
        read_sweep(path)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    found = [(one.line, f"{one.path}: {one.message}") for one in raised.value.problems]
    expected = [(int(line), part) for line, part in EXPECT.findall(path.read_text())]
    assert expected
    assert len(found) == len(expected)
    for line, part in expected:
        assert any(line == at and part in message for at, message in found), (line, part, found)


def write(directory: Path, text: str) -> Path:
    (directory / "pair.yaml").write_text(PAIR)
    path = directory / "grid.yaml"
    path.write_text(text)
    return path


FILE = """\
version: 1
sweep:
  name: grid
  topology: pair.yaml
  parameters: {guests: [1, 2, 4], vcpus: [1, 2]}
  repeats: 2
"""


def test_every_combination_is_a_point_and_runs_go_over_the_grid_again_and_again(tmp_path: Path) -> None:
    sweep = read_sweep(write(tmp_path, FILE))
    assert [point.key for point in sweep.points[:3]] == [
        "guests=1,vcpus=1",
        "guests=1,vcpus=2",
        "guests=2,vcpus=1",
    ]
    runs = list(sweep.runs())
    assert len(runs) == 12
    assert [run.repeat for run in runs] == [1] * 6 + [2] * 6
    assert runs[6] == Run(sweep.points[0], 2)
    assert len({run.name for run in runs}) == 12


def test_a_point_is_a_topology_with_its_values(tmp_path: Path) -> None:
    sweep = read_sweep(write(tmp_path, FILE))
    last = point_topology(sweep, sweep.points[-1])
    assert (len(last.nodes), last.nodes[0].vcpus) == (4, 2)
    assert last.path == tmp_path / "pair.yaml"
    assert last.text == sweep.points[-1].text


def test_the_topology_may_stand_in_the_sweep_itself(tmp_path: Path) -> None:
    text = FILE.replace(
        "topology: pair.yaml", "template: |\n" + "".join(f"    {line}\n" for line in PAIR.splitlines())
    )
    sweep = read_sweep(write(tmp_path, text))
    assert len(point_topology(sweep, sweep.points[2]).nodes) == 2
    assert sweep.points[2].digest == read_sweep(write(tmp_path, FILE)).points[2].digest


def test_a_point_that_is_no_topology_says_which(tmp_path: Path) -> None:
    sweep = read_sweep(write(tmp_path, FILE.replace("[1, 2, 4]", "[1, 0]")))
    point_topology(sweep, sweep.points[0])
    with pytest.raises(TopologyError, match="count: must be at least 1") as raised:
        point_topology(sweep, sweep.points[2])
    assert "at guests=0 vcpus=1" in (raised.value.hint or "")


def test_a_topology_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read"):
        read_sweep(write(tmp_path, FILE.replace("pair.yaml", "nowhere.yaml")))


def test_a_template_cannot_leave_its_box(tmp_path: Path) -> None:
    (path := write(tmp_path, FILE)).with_name("pair.yaml").write_text(
        PAIR + "# {{ guests.__class__.__mro__ }} {{ vcpus }}\n"
    )
    with pytest.raises(InputError, match="guests=1 vcpus=1: the topology cannot be made"):
        read_sweep(path)


def test_values_keep_their_kind_and_make_names_that_are_safe(tmp_path: Path) -> None:
    text = FILE.replace("[1, 2, 4]", "[1]").replace("vcpus: [1, 2]", 'vcpus: [2, 1.5, "5%", "a/b"]')
    sweep = read_sweep(write(tmp_path, text))
    assert [point.parameters["vcpus"] for point in sweep.points] == [2, 1.5, "5%", "a/b"]
    assert sweep.points[2].key == "guests=1,vcpus=5%"
    assert re.fullmatch(r"guests=1,vcpus=a_b-[0-9a-f]{8}", sweep.points[3].key)
    assert point_key({"a": "x" * 300}) != point_key({"a": "x" * 301})
    assert len(point_key({"a": "x" * 300})) < 140
