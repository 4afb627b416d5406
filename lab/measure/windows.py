# SPDX-License-Identifier: GPL-2.0-only
"""Measured windows: what the judge judges. Plain data; `lab.measure.derive` makes them out of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.measure.findings import Finding
from lab.measure.ktap import SelfTest

if TYPE_CHECKING:  # columns of numbers take longer to load than most commands take
    from lab.trace.summary import PhaseTrace

#: How a doubt begins that says no more than that guest and host differ too much: it makes whatever else is
#: judged in the window UNDECIDED, but it is the very thing that an agreement expectation judges.
DISAGREEMENT_PREFIX = "guest and host disagree"
#: How a doubt begins that says no more than that a window is too short for counters: traces count every event.
SHORT_PREFIX = "too short"


@dataclass(frozen=True)
class PhaseWindow:
    """The measured window of one phase on the host's monotonic clock.

    `doubts` are reasons for which nothing measured in it may count (samples dropped, host disturbed, too
    short): whatever is judged in it is UNDECIDED. `work_doubts` are reasons for which only work per second may
    not count. `skipped` are reasons for which it is not the phase that was asked for (an optional knob that the
    kernel lacks): whatever is judged in it is SKIPPED.
    """

    phase: str
    start_ns: int
    end_ns: int
    doubts: tuple[str, ...] = ()
    work_doubts: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhaseProof:
    """What snapshots of the host say of one phase's window; what speaks against it are doubts of its PhaseWindow.

    `foreign_pct` is by leased pCPU what others ran there, in per cent of the window, `helpers_pct` what the lab's
    own helpers on the host ran on all pCPUs, in per cent of one; `snapshot_ns` what taking each snapshot cost;
    `clocks` what is visible of clock governor, SMT and turbo, by these words.
    """

    phase: str
    foreign_pct: tuple[tuple[int, float], ...]
    snapshot_ns: tuple[int, ...]
    clocks: tuple[tuple[str, str], ...]
    helpers_pct: float = 0.0


@dataclass(frozen=True)
class VcpuWindow:
    """One vCPU in one phase, both sides over the same stretch of `elapsed_ns`.

    `guest_steal_ns` is the growth of the steal column of /proc/stat in the guest, `host_delay_ns` the growth
    of the run-queue wait of the vCPU's thread on the host (schedstat), `host_run_ns` its run time there; they
    are None where that side was not seen. Counters are deltas over the window; `kvm` has those of KVM by libvirt's
    names (directed_yield_attempted), empty where the host has none. `doubts` as for PhaseWindow, for this vCPU
    alone.
    """

    node: str
    vcpu: int
    phase: str
    elapsed_ns: int
    guest_steal_ns: int | None
    host_delay_ns: int | None
    host_run_ns: int | None
    slices: int | None = None
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    kvm_preemption_reported: int | None = None
    kvm_preemption_other: int | None = None
    doubts: tuple[str, ...] = ()
    kvm: Mapping[str, float] = field(default_factory=dict)

    @property
    def guest_steal_pct(self) -> float | None:
        """Steal as the guest counted it, per cent of elapsed time."""
        return self._percent(self.guest_steal_ns)

    @property
    def host_steal_pct(self) -> float | None:
        """Run delay as the host counted it, per cent of elapsed time."""
        return self._percent(self.host_delay_ns)

    @property
    def disagreement_pct(self) -> float | None:
        """|guest - host| in per cent of the window; None where one side is missing."""
        if self.guest_steal_pct is None or self.host_steal_pct is None:
            return None
        return abs(self.guest_steal_pct - self.host_steal_pct)

    def _percent(self, time_ns: int | None) -> float | None:
        """`time_ns` in per cent of the window; None where it is missing or the window is empty."""
        return None if time_ns is None or self.elapsed_ns <= 0 else 100 * time_ns / self.elapsed_ns


@dataclass(frozen=True)
class TaskWindow:
    """One task of a load in one phase: work units done in `elapsed_ns` of the guest's clock, the vCPUs it was
    last seen on at the samples, and the affinities (cpulist texts) that it had at them."""

    node: str
    load: str
    task: int
    phase: str
    elapsed_ns: int
    work: int
    seen_on: tuple[int, ...]
    affinities: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskAffinity:
    """Every affinity (cpulist text) one task was seen with, in order of first appearance, over its life."""

    node: str
    load: str
    task: int
    affinities: tuple[str, ...]


@dataclass(frozen=True)
class Folding:
    """vCPUs of one node folded ("stop using these") at the beginning of `phase` by `mechanism`.

    The write began at `begin_ns` of the host's clock. `effect_ns` later the folded vCPUs' threads on the host had
    become quiet for good (lab.measure.foldings); None where they had not within `observed_ns`. The true time is
    shorter by at most `error_ns`. `baseline` is the last phase before in which nothing was folded, `unfolded` the
    first after it in which this is undone; None where there is none. `doubts` as for PhaseWindow, for the time to
    effect alone.
    """

    node: str
    vcpus: tuple[int, ...]
    mechanism: str
    phase: str
    baseline: str | None
    unfolded: str | None
    begin_ns: int
    observed_ns: int
    effect_ns: int | None
    error_ns: int
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileChange:
    """A watched file of one node held `old` at `after_ns` of the host's clock and `new` at `by_ns`: two samples
    that follow each other. `name` is the knob that the file backs, or its path."""

    node: str
    name: str
    path: str
    after_ns: int
    by_ns: int
    old: str
    new: str


@dataclass(frozen=True)
class GovernDecision:
    """One decision of a governor: by its guest's steal or by the host's hint (`source` steal, host), or the
    kernel's own (kernel), of which only steps are seen.

    It was made at `t_ns` of the host's clock, `since_begin_ns` after the changes at the beginning of `phase`;
    `before` and `after` are the vCPUs folded. `bound`: a step was due, but no core was left for it. `seen_pct` is
    what the governor itself saw, `guest_pct` and `host_pct` what was recorded over the same period: steal in per
    cent of elapsed time x active vCPUs, None where that is not known. `high_pct` and `low_pct` are its thresholds.
    """

    node: str
    phase: str
    source: str
    action: str
    t_ns: int
    since_begin_ns: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    bound: bool
    high_pct: float | None
    low_pct: float | None
    seen_pct: float | None
    guest_pct: float | None
    host_pct: float | None
    write_ns: int = 0


@dataclass(frozen=True)
class LoadResult:
    """What a run of a load on one node came to.

    It ran from `begin_ns` to `end_ns` of the host's clock, most of that in the window of `phase`, and ended with
    `status` (0: well; 128 + N: by signal N, as shells have it); None where its end was not seen. `values` are by
    the name of the metric (LoadPlan.metrics), without those that its output does not have. `doubts` as for
    PhaseWindow, for these values alone. `tests` are results of selftests that it ran.
    """

    node: str
    load: str
    phase: str
    begin_ns: int
    end_ns: int
    status: int | None
    values: tuple[tuple[str, float], ...]
    doubts: tuple[str, ...] = ()
    tests: tuple[SelfTest, ...] = ()


@dataclass(frozen=True)
class ClockMatch:
    """`host = guest + offset_ns` within `error_ns`, for one node."""

    node: str
    offset_ns: int
    error_ns: int


@dataclass(frozen=True)
class HogWindow:
    """One thread of a hog in one phase: what it ran and did in `elapsed_ns` of the host's clock, from just before
    the window to just after it."""

    hog: str
    thread: int
    pcpu: int
    phase: str
    elapsed_ns: int
    run_ns: int
    work: int

    @property
    def run_pct(self) -> float:
        """Its run time in per cent of a pCPU."""
        return 100 * self.run_ns / self.elapsed_ns


@dataclass(frozen=True)
class ScheduleMoment:
    """Changes that were due `at_ns` after the start of a window; they began and were done at the other two."""

    at_ns: int
    begun_ns: int
    done_ns: int


@dataclass(frozen=True)
class ScheduleWindow:
    """The schedule of one phase as it was kept, in order of time."""

    phase: str
    moments: tuple[ScheduleMoment, ...]

    @property
    def latest_begun_ns(self) -> int:
        """How late changes began at most."""
        return max(one.begun_ns - one.at_ns for one in self.moments)

    @property
    def latest_done_ns(self) -> int:
        """How late changes were done at most."""
        return max(one.done_ns - one.at_ns for one in self.moments)


@dataclass(frozen=True)
class Measurements:
    """Everything derived from one recording. `retries` are texts of environment retries, for the report; `traces`
    are of those phases that were traced, `findings` what kernels reported on consoles."""

    phases: tuple[PhaseWindow, ...]
    vcpus: tuple[VcpuWindow, ...]
    tasks: tuple[TaskWindow, ...]
    affinities: tuple[TaskAffinity, ...]
    clocks: tuple[ClockMatch, ...]
    retries: tuple[str, ...] = ()
    foldings: tuple[Folding, ...] = ()
    file_changes: tuple[FileChange, ...] = ()
    decisions: tuple[GovernDecision, ...] = ()
    proofs: tuple[PhaseProof, ...] = ()
    load_results: tuple[LoadResult, ...] = ()
    hogs: tuple[HogWindow, ...] = ()
    schedules: tuple[ScheduleWindow, ...] = ()
    traces: tuple[PhaseTrace, ...] = ()
    findings: tuple[Finding, ...] = ()
