# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose kernel panics ends the run, with what it said in the recording; what emulators do does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench import Bench
from fakeworld import FakeGuest, FakeWorld, nested_world

from lab.errors import GuestPanicked
from lab.judge.evaluate import judge
from lab.judge.verdict import Outcome
from lab.measure.derive import measure_recording
from lab.recording import Recording
from lab.run.boot import BOOT_ATTEMPTS

OOPS = ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "Oops: Oops: 0002 [#1] SMP")
INT3 = ("Oops: int3: 0000 [#1] SMP",)
PANIC = "Kernel panic - not syncing: Fatal exception"


class PanickingWorld(FakeWorld):
    """The first guest that is up panics in its first phase, saying `lines`, once."""

    lines: tuple[str, ...] = OOPS
    done = False

    def _speak(self, guest: FakeGuest) -> None:
        super()._speak(guest)
        if not self.done and guest.node == "guest1":
            self.done = True
            self.at(1_500_000_000, lambda: self._fall(guest))

    def _fall(self, guest: FakeGuest) -> None:
        for line in (*self.lines, PANIC):
            self.write(guest.console, f"{line}\n".encode())
            self.say_all("console", str(guest.watched_as), *line.split())
        self.write(guest.console, b"---[ end Kernel panic - not syncing: Fatal exception ]---\n")
        self.kill_guest(guest)


def bench_of(tmp_path: Path, *, emulated: bool, lines: tuple[str, ...]) -> Bench:
    world = PanickingWorld()
    world.facts = replace(world.facts, emulated=emulated)
    world.lines = lines
    return Bench(tmp_path, world)


def judged(bench: Bench):
    recording = Recording(bench.recording)
    plan = recording.plan()
    return judge(plan, measure_recording(recording, plan))


@pytest.mark.parametrize(
    ("emulated", "lines"), [(True, OOPS), (False, OOPS), (False, INT3)], ids=["emulated", "native", "int3"]
)
def test_a_panic_ends_the_run_and_fails_it(tmp_path, emulated, lines):
    bench = bench_of(tmp_path, emulated=emulated, lines=lines)
    bench.run()
    judgement = judged(bench)
    assert judgement.outcome is Outcome.FAILED
    verdict = judgement.verdicts[-1]
    assert (verdict.subject, verdict.outcome) == ("guest1", Outcome.FAILED)
    assert verdict.observed.startswith("oops")
    assert "then panic: Fatal exception" in verdict.observed
    events = Recording(bench.recording).events()
    assert [event.data["reason"] for event in events if event.kind == "lost"] == [
        f"guest guest1 panicked ({PANIC})"
    ]
    assert not [event for event in events if event.kind == "retry"]
    assert bench.leftovers() == []


def test_what_emulators_get_wrong_is_run_again_and_stays_in_the_recording(tmp_path):
    bench = bench_of(tmp_path, emulated=True, lines=INT3)
    bench.run()
    assert Recording(bench.recording).lost_attempts()
    (verdict,) = judged(bench).verdicts
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.subject == "guest1, lost attempt 1"
    assert "the environment's" in verdict.reason


def test_consoles_of_boots_that_were_lost_are_kept(tmp_path):
    bench = Bench(tmp_path, nested_world(guest1=["panic", "panic", "ready"]))
    bench.run()
    kept = [one.which for one in Recording(bench.recording).consoles() if one.node == "guest1"]
    assert kept[:2] == ["lost boot 1", "lost boot 2"]
    (first, second) = judged(bench).verdicts
    assert first.outcome is second.outcome is Outcome.FAILED
    assert first.observed.startswith("panic: Kernel panic - not syncing: attempted to kill init")


def test_a_kernel_that_panics_whenever_it_boots_is_not_tried_in_further_runs(tmp_path):
    bench = Bench(tmp_path, nested_world(guest1=["panic"] * 3 * BOOT_ATTEMPTS))
    with pytest.raises(GuestPanicked, match="lost 3 times while booting"):
        bench.run()
    assert len(bench.world.fates["guest1"]) == 2 * BOOT_ATTEMPTS
    assert bench.leftovers() == []


def test_what_the_host_s_console_said_meanwhile_is_recorded(tmp_path):
    bench = Bench(tmp_path)
    bench.world.host_console += b"Oops: before the lab\n"
    bench.world.at(1_000_000_000, lambda: bench.world.host_console.extend(b"BUG: of the host\n"))
    bench.run()
    assert Recording(bench.recording).host_console() == "BUG: of the host\n"
    assert judged(bench).outcome is Outcome.UNDECIDED
