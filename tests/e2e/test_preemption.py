# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions of real guests, one by one: a planted pattern is found, and so are holders of locks that they hit.

What the traces say has to agree with what was counted without them, on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from e2e_lab import ROOT, Done, call, run_until_decided

from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements, VcpuWindow
from lab.plan.labplan import HOST_SCOPE
from lab.recording import Recording
from lab.trace.summary import PhaseTrace, VcpuPreemptions

#: How exactly the planted pattern has to be found.
PERIOD_MS, LENGTH_MS, WITHIN_MS = 100, 20, 2
#: Of a window, how far run delay may be from the sum of what it consists of; steal has its own bound in topologies.
DELAY_APART_PCT = 1.0

Figures = Callable[..., None]


@dataclass(frozen=True)
class Traced:
    """A run that passed, and what its recording comes to."""

    done: Done
    directory: Path

    @cached_property
    def measured(self) -> Measurements:
        recording = Recording(self.directory)
        return measure_recording(recording, recording.plan())

    def phase(self, name: str) -> PhaseTrace:
        (found,) = (one for one in self.measured.traces if one.phase == name)
        return found

    def pairs(self) -> Iterator[tuple[VcpuPreemptions, VcpuWindow]]:
        """Every traced vCPU with its counters of the same phase."""
        counted = {(one.phase, one.node, one.vcpu): one for one in self.measured.vcpus}
        for phase in self.measured.traces:
            yield from ((one, counted[phase.phase, one.node, one.vcpu]) for one in phase.vcpus)


def run(name: str, directory: Path) -> Traced:
    done, recording = run_until_decided(ROOT / f"topologies/{name}.yaml", directory, "--json")
    assert done.status == 0, done.out + done.err
    return Traced(done, recording)


def check_three_sources(traced: Traced, figures: Figures) -> None:
    """Preempted and waking stretches, the host's run delay and the guest's steal are one quantity."""
    pairs = list(traced.pairs())
    assert pairs
    for seen, counted in pairs:
        trace_pct = 100 * seen.delay_ns / seen.elapsed_ns
        host_pct, guest_pct = counted.host_steal_pct, counted.guest_steal_pct
        assert host_pct is not None and guest_pct is not None
        waking_pct = 100 * seen.waking_ns / seen.elapsed_ns
        figures(
            f"{seen.phase} {seen.node} vcpu {seen.vcpu}: traced {trace_pct:.2f} % (waking {waking_pct:.2f}), "
            f"run delay {host_pct:.2f} %, steal {guest_pct:.2f} %"
        )
        assert abs(trace_pct - host_pct) <= DELAY_APART_PCT


def check_nothing_lost(traced: Traced, machines: set[str]) -> None:
    for phase in traced.measured.traces:
        assert phase.lost is not None and set(phase.lost) == machines
        assert set(phase.lost.values()) == {0}, phase.lost


# ---- a planted pattern


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return run("preemption-pattern", tmp_path_factory.mktemp("pattern"))


def test_a_planted_pattern_is_found(pattern: Traced, figures: Figures) -> None:
    (found,) = (one for one in pattern.phase("pattern").patterns if one.taker == "hog metronome")
    figures(
        f"{found.taker}: {found.bursts} times, every {found.period_ns / 1e6:.2f} ms, "
        f"for {found.length_ns / 1e6:.2f} ms each"
    )
    assert abs(found.period_ns / 1e6 - PERIOD_MS) <= WITHIN_MS
    assert abs(found.length_ns / 1e6 - LENGTH_MS) <= WITHIN_MS
    assert found.bursts > 100


def test_its_preemptions_are_as_long_as_it_is(pattern: Traced, figures: Figures) -> None:
    """The vCPU's side of the same: most of what it was preempted for are stretches of that length."""
    hit, spared = sorted(pattern.phase("pattern").vcpus, key=lambda one: one.vcpu)
    long_ns = hit.lengths_ns[hit.lengths_ns > 10e6]
    figures(
        f"vcpu 0: {len(long_ns)} preemptions of {long_ns.min() / 1e6:.2f} to {long_ns.max() / 1e6:.2f} ms, "
        f"half of them under {float(long_ns[len(long_ns) // 2]) / 1e6:.2f} ms"
    )
    assert abs(float(long_ns[len(long_ns) // 2]) / 1e6 - LENGTH_MS) <= WITHIN_MS
    assert hit.by[0].taker == "hog metronome"
    assert not any(one.taker == "hog metronome" for one in spared.by)


def test_the_pattern_is_the_whole_run_delay(pattern: Traced, figures: Figures) -> None:
    check_three_sources(pattern, figures)
    check_nothing_lost(pattern, {HOST_SCOPE})


def test_the_table_and_the_timeline_name_it(pattern: Traced) -> None:
    table = call("preempt", pattern.directory)
    assert table.status == 0, table.err
    assert "hog metronome" in table.out
    timeline = call("timeline", pattern.directory, "--from", "1s", "--to", "1.5s")
    assert timeline.status == 0, timeline.err
    assert timeline.out.count("hog metronome") >= 4


# ---- holders of locks


@pytest.fixture(scope="module")
def holders(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return run("lock-holder-traced", tmp_path_factory.mktemp("holders"))


def in_lock(traced: Traced, phase: str, figures: Figures) -> tuple[int, int]:
    """How many preemptions hit a holder, and how many could be told, over all vCPUs."""
    told = [one.holders for one in traced.phase(phase).vcpus if one.holders is not None]
    assert len(told) == 4
    held = [one.in_lock for one in told]
    count, of = sum(one or 0 for one in held), sum(one.told for one in told)
    assert None not in held
    figures(f"{phase}: {count} of {of} preemptions hit a holder")
    return count, of


@pytest.mark.long
def test_holders_are_preempted_until_the_guests_are_folded(holders: Traced, figures: Figures) -> None:
    contended, folded = (in_lock(holders, phase, figures) for phase in ("contended", "folded"))
    assert contended[0] >= 20
    assert contended[0] >= 0.05 * contended[1]
    assert folded[0] <= 0.1 * contended[0]


@pytest.mark.long
def test_nothing_happens_in_a_guest_while_it_does_not_run(holders: Traced, figures: Figures) -> None:
    for phase in holders.measured.traces:
        assert {one.node for one in phase.physics} == {"guest1", "guest2"}
        for one in phase.physics:
            figures(
                f"{one.phase} {one.node}: {one.checked} events checked, {one.violations} where they cannot be, "
                f"clocks within {one.error_ns / 1e3:.1f} us"
            )
            assert one.checked > 1000 and one.violations == 0
    check_nothing_lost(holders, {HOST_SCOPE, "guest1", "guest2"})


@pytest.mark.long
def test_holders_wait_for_as_long_as_is_counted(holders: Traced, figures: Figures) -> None:
    check_three_sources(holders, figures)


@pytest.mark.long
def test_it_is_judged_alike_offline(holders: Traced) -> None:
    again = call("check", holders.directory, "--json")
    assert again.status == 0
    assert json.loads(again.out)["verdicts"] == json.loads(holders.done.out)["verdicts"]
