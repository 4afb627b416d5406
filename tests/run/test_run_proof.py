# SPDX-License-Identifier: GPL-2.0-only
"""Whole runs on a fake host that somebody else uses, too: what they do there is found in the recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench import Bench
from fakeworld import FakeGuest, FakeWorld, SaidNothing

from lab.judge.evaluate import judge
from lab.judge.verdict import Judgement, Outcome
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.recording import Recording

TEXT = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
phases:
  - {name: quiet, start: [busy], duration: 6s, settle: 200ms}
  - {name: disturbed, duration: 6s, settle: 200ms}
expect:
  - {steal: {nodes: "*", phase: quiet, max: 100%}}
  - {steal: {nodes: "*", phase: disturbed, max: 100%}}
"""
MID_WINDOW_NS = 2_000_000_000


@dataclass
class Disturber(SaidNothing):
    """Does something when the second phase is told of, or in the middle of its window."""

    act: Callable[[], object] | None = None
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("phase disturbed") and self.act is not None:
            self.act()


class Disturbed(Bench):
    """A bench whose second phase is disturbed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, FakeWorld(), TEXT)
        self.narrator = Disturber()
        self.around = self.around.__class__(**{**self.around.__dict__, "narrator": self.narrator})

    def run_disturbed(self, act: Callable[[], object]) -> tuple[Measurements, Judgement]:
        self.narrator.act = act
        self.run()
        recording = Recording(self.recording)
        measured = measure_recording(recording, recording.plan())
        return measured, judge(recording.plan(), measured)

    def guest(self, node: str) -> FakeGuest:
        return next(guest for guest in self.world.guests.values() if guest.node == node)


@pytest.fixture
def bench(tmp_path: Path) -> Disturbed:
    return Disturbed(tmp_path)


def outcomes(judgement: Judgement, phase: str) -> set[Outcome]:
    return {verdict.outcome for verdict in judgement.verdicts if verdict.phase == phase}


def test_a_quiet_host_leaves_no_doubt(bench: Disturbed) -> None:
    measured, judgement = bench.run_disturbed(lambda: None)
    assert [phase.doubts for phase in measured.phases] == [(), ()]
    assert outcomes(judgement, "disturbed") == {Outcome.PASSED}
    quiet, disturbed = measured.proofs
    assert (quiet.phase, disturbed.phase) == ("quiet", "disturbed")
    assert dict(quiet.foreign_pct) == pytest.approx({0: 0.0, 1: 0.0}, abs=0.5)
    assert len(quiet.snapshot_ns) == 2 and dict(quiet.clocks)["SMT"] == "not visible"


def test_a_foreign_task_makes_the_window_undecided_by_its_name(bench: Disturbed) -> None:
    measured, judgement = bench.run_disturbed(lambda: bench.world.start_task("make -j", 1))
    quiet, disturbed = measured.phases
    (task,) = bench.world.tasks
    assert quiet.doubts == ()
    (doubt,) = disturbed.doubts
    assert doubt.startswith(f"foreign task make -j ({task.pid}) ran 33.") and doubt.endswith("% of pCPU 1")
    assert outcomes(judgement, "quiet") == {Outcome.PASSED}
    assert outcomes(judgement, "disturbed") == {Outcome.UNDECIDED}
    assert all("make -j" in one.reason for one in judgement.verdicts if one.phase == "disturbed")


def test_a_task_that_came_and_went_is_missed(bench: Disturbed) -> None:
    def come_and_go() -> None:
        task = bench.world.start_task("brief", 0)
        bench.world.at(MID_WINDOW_NS, lambda: bench.world.tasks.remove(task))

    measured, _ = bench.run_disturbed(lambda: bench.world.at(MID_WINDOW_NS, come_and_go))
    (doubt,) = measured.phases[1].doubts
    assert doubt.startswith("tasks that ended unseen ran ") and doubt.endswith("% of pCPU 0")


def test_the_labs_own_processes_are_not_foreign(bench: Disturbed) -> None:
    def start_hog() -> None:
        hog = bench.world.start_task("pvspin", 1)
        bench.world.files["/run/hog.pid"] = bytearray(f"{hog.pid}\n".encode())
        bench.world.agents[0].send("own hog /run/hog.pid")  # type: ignore[attr-defined]

    measured, judgement = bench.run_disturbed(start_hog)
    assert measured.phases[1].doubts == ()
    assert outcomes(judgement, "disturbed") == {Outcome.PASSED}


@pytest.mark.parametrize("late", [False, True], ids=["before", "within"])
def test_pins_that_somebody_changes_are_found(bench: Disturbed, late: bool) -> None:
    def move() -> None:
        bench.guest("guest2").pins = ((0,), (0,))

    def act() -> None:
        bench.world.at(MID_WINDOW_NS, move) if late else move()

    measured, judgement = bench.run_disturbed(act)
    when = "end" if late else "start"
    assert measured.phases[1].doubts == (
        f"vCPU 1 of guest2 may run on pCPU 0, planned 1 (at the {when} of the window)",
    )
    assert outcomes(judgement, "disturbed") == {Outcome.UNDECIDED}


def test_weights_quotas_and_emulator_threads_that_somebody_changes_are_found(bench: Disturbed) -> None:
    def act() -> None:
        guest = bench.guest("guest1")
        guest.weight, guest.quota, guest.emulator = 1000, "20000 100000", (0,)

    measured, _ = bench.run_disturbed(act)
    planned = "3"  # the last pCPU of four is for housekeeping
    assert measured.phases[1].doubts == (
        f"emulator thread qemu of guest1 may run on pCPU 0, planned {planned} (at the start of the window)",
        "the weight of guest guest1 is 1000, planned 100 (at the start of the window)",
        "the quota of vCPU 0 of guest1 is 20 % of a pCPU, planned none (at the start of the window)",
        "the quota of vCPU 1 of guest1 is 20 % of a pCPU, planned none (at the start of the window)",
    )
