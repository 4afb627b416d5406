# SPDX-License-Identifier: GPL-2.0-only
"""What the series claims, tried on an overcommitted guest.

Avoided vCPUs become empty and fill again, affinity stays, CPU hotplug at any moment does no harm, bad writes change
nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from folding_times import read_folding_times
from guest_programs import parse_counts, run_program
from kernel_log import assert_no_complaints

from lab.run.interactive import KnobHandle, LabSession

pytestmark = pytest.mark.lab("data/scenarios.yaml")

NODE = "guest"
VCPUS = {0, 1, 2, 3}
AVOIDED = {2, 3}
ROUNDS = 3
#: Stated times, on the guest's own clock from before the write. The push comes with the tick of the avoided vCPU,
#: which has to get its pCPU first; balancing back takes a few rounds of the load balancer.
EMPTY_WITHIN_S = 1.0
FULL_WITHIN_S = 3.0
PINNED_TO = 3
SEED = 20261124


def test_avoided_vcpus_become_empty_and_fill_again(lab, figures):
    lab.load("busy").start()
    avoid = lab.knob(NODE, "avoid_cpus")
    lab.exec(NODE, "sleep 1")
    for _ in range(ROUNDS):
        avoid.set("2-3")
        lab.exec(NODE, "sleep 1.5")
        avoid.set("")
        lab.exec(NODE, "sleep 1.5")
    after = lab.measure("after", seconds=1, settle=0.5)

    times = read_folding_times(lab.recording, NODE, "busy", AVOIDED, changes=2 * ROUNDS)
    figures(f"avoided vCPUs were empty after {render_ms(times.empty_ms)} ms")
    figures(f"no longer avoided, they were all in use after {render_ms(times.full_ms)} ms")
    assert len(times.empty_ms) == len(times.full_ms) == ROUNDS
    assert all(ms is not None and ms < 1000 * EMPTY_WITHIN_S for ms in times.empty_ms)
    assert all(ms is not None and ms < 1000 * FULL_WITHIN_S for ms in times.full_ms)
    assert set(after.affinities("busy").values()) == {("0-3",)}
    assert_no_complaints(lab)


def render_ms(times_ms: tuple[float | None, ...]) -> str:
    return ", ".join("never" if ms is None else f"{ms:.0f}" for ms in times_ms)


# ---- affinity


def follow_pinned(
    lab: LabSession, load: str, knob: KnobHandle, away: str, back: str
) -> list[tuple[set[int], str]]:
    """Where the load's only task is seen and the affinity it has, before, while and after its vCPU is given up."""
    lab.load(load).start()
    seen = [look_at(lab, load)]
    for value in (away, back):
        knob.set(value)
        seen.append(look_at(lab, load))
    lab.load(load).stop()
    return seen


def look_at(lab: LabSession, load: str) -> tuple[set[int], str]:
    phase = lab.measure(load, seconds=1, settle=0.5)
    (task,) = phase.evidence.tasks(load, phase.name)
    assert task.work > 0, f"the task of {load} did no work in phase {phase.name}"
    return set(task.seen_on), phase.affinities(load)[NODE, 0][-1]


def test_pinned_task_keeps_its_vcpu_under_the_mask_and_loses_it_under_hotplug(lab, figures):
    online = f"/sys/devices/system/cpu/cpu{PINNED_TO}/online"
    by_mask = follow_pinned(lab, "under-mask", lab.knob(NODE, "avoid_cpus"), str(PINNED_TO), "")
    by_hotplug = follow_pinned(lab, "under-hotplug", lab.knob(NODE, online), "0", "1")

    figures(f"a task pinned to vCPU {PINNED_TO}       under the mask     under hotplug")
    for when, mask, hotplug in zip(("before", "during", "after"), by_mask, by_hotplug, strict=True):
        cells = [f"affinity {affinity}, on {sorted(on)}" for on, affinity in (mask, hotplug)]
        figures(f"  {when}: {cells[0]}; {cells[1]}")
    assert by_mask == [({PINNED_TO}, "3")] * 3
    assert by_hotplug[0] == ({PINNED_TO}, "3")
    on, affinity = by_hotplug[1]
    assert PINNED_TO not in on and affinity == "0-2"
    assert by_hotplug[2][1] == "0-3", "the task got its affinity back: hotplug does not do that"
    assert_no_complaints(lab)


# ---- storm


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=pytest.mark.long)])
def test_hotplug_storm_leaves_everything_well(lab, figures, tmp_path: Path, seconds: int):
    lab.load("busy").start()
    done = run_program(lab, NODE, "hotplug_storm", seconds, SEED, directory=tmp_path, timeout_s=seconds + 180)
    assert_no_complaints(lab)
    assert done.status == 0, done.stdout + done.stderr
    counts = parse_counts(done.stdout)
    figures(", ".join(f"{name} {count}" for name, count in counts.items()))
    # A storm in which nothing happened shows nothing.
    assert min(counts["offlined"], counts["onlined"]) >= seconds
    assert min(counts["masks_taken"], counts["masks_refused"], counts["reads_not_empty"]) >= seconds
    assert min(counts["writes_checked"], counts["reads_checked"]) >= seconds
    assert_every_vcpu_works(lab)


def assert_every_vcpu_works(lab: LabSession) -> None:
    phase = lab.measure("after-storm", seconds=3, settle=1)
    tasks = phase.evidence.tasks("busy", phase.name)
    assert set().union(*(task.seen_on for task in tasks)) == VCPUS
    assert all(task.work > 0 for task in tasks)


# ---- bad writes


def test_bad_writes_are_refused_and_change_nothing(lab, figures, tmp_path: Path):
    done = run_program(lab, NODE, "bad_writes", directory=tmp_path, timeout_s=120)
    lines = done.stdout.splitlines()
    figures(*(line for line in lines if line.startswith("not ok") or "writers:" in line or " passed" in line))
    assert done.status == 0, done.stdout + done.stderr
    assert lines[-1].endswith(" 0 failed")
    assert_no_complaints(lab)
