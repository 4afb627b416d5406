# SPDX-License-Identifier: GPL-2.0-only
"""`lab sweep` from end to end on a host in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.driving import Driver
from cli.test_cli_run import FakeWiring

from lab.errors import ExitCode
from lab.run.sweepindex import open_index

PAIR = """\
version: 1
name: pair
host: {where: nested, pcpus: 0-1}
kernels: {plain: {source: {debian: "6.12"}}}
nodes: [{name: guest, count: {{ guests }}, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: {{ tasks }}}]
phases: [{name: contended, start: [busy], duration: 6s, settle: 200ms}]
"""
GRID = """\
version: 1
sweep:
  name: pairs
  topology: pair.yaml
  parameters: {guests: [1, 2, 4], tasks: [1, 2]}
"""


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> FakeWiring:
    lab.wiring = FakeWiring(tmp_path, lab.state_dir)
    return lab.wiring


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    (tmp_path / "pair.yaml").write_text(PAIR)
    (tmp_path / "grid.yaml").write_text(GRID)
    return tmp_path / "grid.yaml"


def test_a_sweep_runs_and_its_metrics_are_told(
    lab: Driver, wiring: FakeWiring, grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = lab("sweep", grid, "-o", out, "--table", "steal")
    assert done.code == ExitCode.PASSED, done.err
    assert "[6/6] guests=4 tasks=2; about" in done.err
    lines = done.out.splitlines()
    assert lines[0] == "contended:steal, %, mean; lower is better"
    cells = {line.split()[0]: line.split()[1:] for line in lines[3:6]}
    assert [float(one) for one in cells["guests=2"][::2]] == pytest.approx(
        [25, 50], abs=2
    )  # one task, on either vCPU

    assert [float(one) for one in cells["guests=4"][::2]] == pytest.approx([37.5, 75], abs=2)
    assert (cells["guests=1"][1], cells["guests=4"][3]) == (".", "@")
    recordings = sorted(path.name for path in (out / "runs").iterdir())
    assert recordings[0] == "guests=1,tasks=1,run=1"
    assert len(recordings) == 6


def test_finished_runs_are_found_and_results_can_be_read_without_the_grid(
    lab: Driver, wiring: FakeWiring, grid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert lab("sweep", grid, "-o", out).code == ExitCode.PASSED
    opened = len(wiring.opened)
    again = lab("sweep", grid, "-o", out)
    assert "6 runs, 6 of them found done, 0 failed" in again.err
    assert len(wiring.opened) == opened
    status = lab("sweep", "-o", out).out
    assert "sweep pairs: 6 finished" in status
    assert "contended:busy.throughput" in status
    best = lab("sweep", "-o", out, "--find-default", "busy.throughput")
    assert "best of 6 points by contended:busy.throughput: guests=" in best.out
    assert lab("sweep", "-o", out, "--table", "nothing").code == ExitCode.BAD_INPUT


def test_a_lost_environment_fails_a_run_and_not_the_sweep(
    lab: Driver, wiring: FakeWiring, grid: Path, tmp_path: Path
) -> None:
    wiring.losses = 3  # as often as a run is tried
    done = lab("sweep", grid, "-o", tmp_path / "out")
    assert done.code == ExitCode.LAB_FAILED
    assert "guests=1,tasks=1, run 1: failed guest guest1 died" in done.out
    assert lab("sweep", grid, "-o", tmp_path / "out").code == ExitCode.PASSED
    with open_index(tmp_path / "out", to_run=False) as index:
        assert {one.status for one in index.all()} == {"finished"}


def test_a_picture_is_made(lab: Driver, wiring: FakeWiring, grid: Path, tmp_path: Path) -> None:
    picture = tmp_path / "steal.png"
    done = lab("sweep", grid, "-o", tmp_path / "out", "--table", "steal", "--plot", picture)
    assert done.code == ExitCode.PASSED, done.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    again = lab("sweep", "-o", tmp_path / "out", "--table", "steal", "--plot", tmp_path / "steal.nothing")
    assert again.code == ExitCode.BAD_INPUT


def test_nothing_runs_where_any_point_is_no_topology(
    lab: Driver, wiring: FakeWiring, grid: Path, tmp_path: Path
) -> None:
    grid.write_text(GRID.replace("[1, 2, 4]", "[1, 2, 0]"))
    done = lab("sweep", grid, "-o", tmp_path / "out")
    assert done.code == ExitCode.BAD_INPUT
    assert "at guests=0 tasks=1" in done.err
    assert wiring.opened == []
    assert not (tmp_path / "out").exists()


def test_a_dry_run_lists_the_runs_and_touches_nothing(lab: Driver, grid: Path) -> None:
    done = lab("sweep", grid, "--dry-run")
    assert done.code == ExitCode.PASSED, done.err
    assert done.out.count("run=1") == 6
    assert "6 runs, about" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dry-run"], "--dry-run needs a sweep file"),
        ([], "-o DIR is missing"),
        (["-o", "nowhere"], "no sweep was run there"),
        (["-o", "nowhere", "--plot", "x.png"], "--plot needs --table"),
    ],
)
def test_what_is_missing_is_told(lab: Driver, words: list[str], said: str) -> None:
    done = lab("sweep", *words)
    assert done.code == ExitCode.BAD_INPUT
    assert said in done.err
