# SPDX-License-Identifier: GPL-2.0-only
"""A sweep is carried out run by run, written down, and goes on where it was left off."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeworld import SaidNothing

from lab.errors import ExitCode, GuestLost, HostError, InputError, LabFailure
from lab.run.sweepindex import INDEX_FILE, SweepIndex, open_index
from lab.run.sweeping import MAX_FAILURES, Done, SweepEnd, SweepRunner, render_time
from lab.sweep.decode import read_sweep
from lab.sweep.grid import Run, Sweep
from lab.sweep.outcome import MetricRow

GRID = """\
version: 1
sweep:
  name: grid
  template: "# {{ guests }} x {{ vcpus }}"
  parameters: {guests: [1, 2, 4], vcpus: [1, 2]}
  repeats: 1
"""
ROW = MetricRow("contended", "on", 3, "busy.throughput", "work/s", "higher", 12.5, ("why",))


class Carrier:
    """Carries runs out without any host: `errors` are raised by name of the run, once each."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.errors: dict[str, BaseException] = {}
        self.now_s = 0.0
        self.takes_s = 10.0

    def __call__(self, run: Run, recording: Path) -> Done:
        self.ran.append(run.name)
        self.now_s += self.takes_s
        recording.mkdir(parents=True)
        error = self.errors.pop(run.name, None)
        if error is not None:
            raise error
        (recording / "recording.json").write_text("{}")
        return Done(ExitCode.UNDECIDED if run.point.parameters["guests"] == 4 else ExitCode.PASSED, (ROW,))


class Bench:
    """One sweep in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "out"
        self.carrier = Carrier()
        self.narrator = SaidNothing()
        self.sweep = self.read(GRID, directory)

    @staticmethod
    def read(text: str, directory: Path) -> Sweep:
        (directory / "grid.yaml").write_text(text)
        return read_sweep(directory / "grid.yaml")

    def run(self) -> SweepEnd:
        with open_index(self.directory, to_run=True) as index:
            index.begin(self.sweep.name, self.sweep.parameters)
            runner = SweepRunner(
                self.sweep,
                self.directory,
                index,
                self.narrator,
                self.carrier,
                lambda run: 5.0,
                lambda: self.carrier.now_s,
            )
            return runner.run()

    def names(self) -> list[str]:
        return [run.name for run in self.sweep.runs()]

    def statuses(self) -> dict[str, str]:
        with open_index(self.directory, to_run=False) as index:
            return {f"{one.key},run={one.repeat}": one.status for one in index.all()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path)


def test_every_run_is_carried_out_and_written_down(bench: Bench) -> None:
    assert bench.run() == SweepEnd(6, 0, ())
    assert bench.carrier.ran == bench.names()
    with open_index(bench.directory, to_run=False) as index:
        last = index.all()[-1]
        assert index.about() == ("grid", {"guests": (1, 2, 4), "vcpus": (1, 2)})
    assert (last.status, last.exit_code, last.seconds) == ("finished", ExitCode.UNDECIDED, 10.0)
    assert dict(last.parameters) == {"guests": 4, "vcpus": 2}
    assert last.metrics == (ROW,)
    assert (bench.directory / last.recording / "recording.json").is_file()


def test_what_is_finished_is_not_run_again(bench: Bench) -> None:
    bench.run()
    assert bench.run() == SweepEnd(6, 6, ())
    assert len(bench.carrier.ran) == 6


def test_an_interrupted_run_is_run_again_and_what_it_left_is_kept(bench: Bench) -> None:
    third = bench.names()[2]
    bench.carrier.errors[third] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert list(bench.statuses().values()) == ["finished", "finished", "interrupted"]
    assert bench.run() == SweepEnd(6, 2, ())
    assert bench.carrier.ran[3:] == bench.names()[2:]
    assert set(bench.statuses().values()) == {"finished"}
    assert (bench.directory / "runs" / f"{third}.left1").is_dir()


def test_a_run_that_was_killed_is_run_again(bench: Bench) -> None:
    bench.run()
    with sqlite3.connect(bench.directory / INDEX_FILE) as database:
        database.execute("UPDATE runs SET status = 'running' WHERE key = 'guests=2,vcpus=1'")
    database.close()
    assert bench.run().found == 5
    assert bench.carrier.ran[6:] == ["guests=2,vcpus=1,run=1"]


def test_a_recording_that_is_gone_is_made_again(bench: Bench) -> None:
    bench.run()
    (bench.directory / "runs/guests=1,vcpus=2,run=1/recording.json").unlink()
    assert bench.run().found == 5


def test_a_run_that_fails_does_not_end_the_sweep(bench: Bench) -> None:
    bench.carrier.errors[bench.names()[1]] = GuestLost("guest1 died\nconsole")
    end = bench.run()
    assert [one.key for one in end.failed] == ["guests=1,vcpus=2"]
    assert (end.failed[0].exit_code, end.failed[0].reason) == (ExitCode.LAB_FAILED, "guest1 died\nconsole")
    assert "guests=1 vcpus=2: failed: guest1 died" in bench.narrator.said
    assert bench.run() == SweepEnd(6, 5, ())


def test_where_nothing_succeeds_the_sweep_ends(bench: Bench) -> None:
    bench.carrier.errors = {name: LabFailure("broken") for name in bench.names()}
    with pytest.raises(LabFailure, match="broken"):
        bench.run()
    assert len(bench.carrier.ran) == MAX_FAILURES


@pytest.mark.parametrize("error", [InputError("bad"), HostError("unfit")])
def test_what_no_run_can_get_over_ends_the_sweep(bench: Bench, error: LabFailure) -> None:
    bench.carrier.errors[bench.names()[0]] = error
    with pytest.raises(type(error)):
        bench.run()
    assert bench.statuses() == {bench.names()[0]: "failed"}


def test_a_grid_may_grow_and_a_changed_topology_is_run_again(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    bench.sweep = bench.read(GRID.replace("[1, 2, 4]", "[1, 2, 4, 8]"), tmp_path)
    assert bench.run() == SweepEnd(8, 6, ())
    bench.sweep = bench.read(GRID.replace("# {{", "## {{"), tmp_path)
    assert bench.run() == SweepEnd(6, 0, ())


def test_time_left_is_corrected_by_what_runs_took(bench: Bench) -> None:
    """Said to take 5 s each, they took 10."""
    bench.run()
    assert bench.narrator.said[0] == "[1/6] guests=1 vcpus=1; about 30 s left"
    assert bench.narrator.said[1] == "[2/6] guests=1 vcpus=2; about 50 s left"
    assert bench.narrator.said[5] == "[6/6] guests=4 vcpus=2; about 10 s left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (99, "99 s"), (600, "10 min"), (7500, "2 h 05 min")]
)
def test_times_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert render_time(seconds) == text


def test_a_directory_belongs_to_one_sweep_and_one_process(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    with open_index(bench.directory, to_run=True), pytest.raises(LabFailure, match="another process"):
        bench.run()
    bench.sweep = bench.read(GRID.replace("name: grid", "name: other"), tmp_path)
    with pytest.raises(InputError, match="has runs of sweep 'grid', not of 'other'"):
        bench.run()


def test_an_index_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sweep was run there"), open_index(tmp_path, to_run=False):
        pass
    (tmp_path / INDEX_FILE).write_text("not a database at all, but long enough to be looked at" * 10)
    with pytest.raises(LabFailure, match=INDEX_FILE), open_index(tmp_path, to_run=False):
        pass
    (tmp_path / INDEX_FILE).unlink()
    with sqlite3.connect(tmp_path / INDEX_FILE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(InputError, match="format 99"), open_index(tmp_path, to_run=False) as index:
        assert isinstance(index, SweepIndex)
