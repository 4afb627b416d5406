# SPDX-License-Identifier: GPL-2.0-only
"""Whether a window had the contention that was asked for, and nothing beside it.

Three questions, all answered from snapshots of the host (images/probe/STREAM.md) at the edges of a window and at
changes within: did anything else run on the leased pCPUs, were the lab's threads bound, weighed and limited as the
lab had set them, and did clocks stay as they were. What is off is a doubt about the whole window.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lab.measure.bindings import binding_problems, bindings_at
from lab.measure.doubts import FOREIGN_PCT, HELPERS_PCT, READING_ERROR_NS
from lab.measure.foreign import (
    ForeignRun,
    HostRuns,
    RunHistory,
    busiest_parent,
    foreign_runs,
    helpers_ns,
    unlisted_ns,
)
from lab.measure.happened import EventLike
from lab.measure.probestream import ProbeStream
from lab.measure.snapshots import HostSnapshot
from lab.plan.labplan import LabPlan
from lab.plan.leasing import leased_pcpus
from lab.units import format_cpulist, format_seconds

#: The key in the first line of a stream whose probe takes snapshots; older ones did not.
_ABLE = "tasks"
_CLOCK_FILE = re.compile(r"/sys/devices/system/cpu/(?:cpu(\d+)/)?(.+)")
_UNLISTED = "tasks that ended unseen"


@dataclass(frozen=True)
class WindowProof:
    """What snapshots say of one window.

    `foreign_pct` is by leased pCPU what others ran there, in per cent of the window, `helpers_pct` what the lab's
    own helpers ran on all pCPUs, in per cent of one; `snapshot_ns` what taking each snapshot cost; `clocks` what is
    visible of clock governor, SMT and turbo at its end, by these words.
    """

    doubts: tuple[str, ...]
    foreign_pct: Mapping[int, float]
    helpers_pct: float
    snapshot_ns: tuple[int, ...]
    clocks: Mapping[str, str]


class Prover:
    """Proves windows of one recording; all of them share what is worked out once."""

    def __init__(self, plan: LabPlan, events: Sequence[EventLike], host: ProbeStream) -> None:
        self._plan = plan
        self._events = events
        self._host = host

    @cached_property
    def _history(self) -> RunHistory:
        user_hz = 100 if self._host.hello is None else self._host.hello.user_hz
        return RunHistory(self._host.snapshots, user_hz)

    def prove(self, start_ns: int, end_ns: int) -> WindowProof | None:
        """The proof of a window; None where the probe was one that took no snapshots."""
        hello = self._host.hello
        if hello is None or _ABLE not in hello.keys:
            return None
        first, last = self._edges(start_ns, end_ns)
        if first is None or last is None:
            edge = "start" if first is None else "end"
            missing = f"nothing proves what else ran: no snapshot of the host at the {edge} of the window"
            return WindowProof((missing,), {}, 0.0, (), {})
        return self._prove(first, last, start_ns, end_ns)

    def _edges(self, start_ns: int, end_ns: int) -> tuple[int | None, int | None]:
        """The numbers of the last snapshot before a window, and of the first after it."""
        snapshots = self._host.snapshots
        before = bisect_right(snapshots, start_ns, key=lambda one: one.t1_ns) - 1
        after = bisect_left(snapshots, end_ns, key=lambda one: one.t0_ns)
        return (before if before >= 0 else None), (after if after < len(snapshots) else None)

    def _prove(self, first: int, last: int, start_ns: int, end_ns: int) -> WindowProof:
        snapshots = self._host.snapshots[first : last + 1]
        runs = self._history.between(first, last)
        leased = leased_pcpus(self._plan)
        return WindowProof(
            doubts=(
                *_foreign_doubts(runs, leased),
                *_helpers_doubt(runs),
                *self._binding_doubts(snapshots, start_ns, end_ns),
                *_clock_doubts(snapshots, leased),
            ),
            foreign_pct=_foreign_pct(runs, leased),
            helpers_pct=100 * helpers_ns(runs) / runs.elapsed_ns if runs.elapsed_ns > 0 else 0.0,
            snapshot_ns=tuple(one.cost_ns for one in snapshots),
            clocks=_clock_facts(snapshots[-1], leased),
        )

    def _binding_doubts(
        self, snapshots: Sequence[HostSnapshot], start_ns: int, end_ns: int
    ) -> tuple[str, ...]:
        """Each problem once, with when it was first seen."""
        found: dict[str, str] = {}
        for snapshot in snapshots:
            bindings = bindings_at(self._plan, self._events, snapshot.t0_ns)
            for problem in binding_problems(snapshot, bindings):
                found.setdefault(problem, _when(snapshot, start_ns, end_ns))
        return tuple(f"{problem} ({when})" for problem, when in found.items())


def _when(snapshot: HostSnapshot, start_ns: int, end_ns: int) -> str:
    if snapshot.t1_ns <= start_ns:
        return "at the start of the window"
    if snapshot.t0_ns >= end_ns:
        return "at the end of the window"
    return f"{format_seconds(snapshot.t0_ns - start_ns)} into the window"


# ---- what else ran


def _bound_ns(elapsed_ns: int) -> float:
    return max(FOREIGN_PCT / 100 * elapsed_ns, READING_ERROR_NS)


def _foreign_doubts(runs: HostRuns, leased: Sequence[int]) -> Iterator[str]:
    if runs.elapsed_ns <= 0:
        return
    bound_ns = _bound_ns(runs.elapsed_ns)
    foreign = foreign_runs(runs, leased)
    large = [one for one in foreign if one.run_ns > bound_ns]
    small = [one for one in foreign if one.run_ns <= bound_ns]
    yield from (_large_doubt(one, runs.elapsed_ns) for one in large)
    for pcpu in leased:
        yield from _small_doubts(pcpu, small, bound_ns, runs.elapsed_ns)
        missing_ns = unlisted_ns(runs, pcpu)
        if missing_ns > bound_ns:
            share = _percent(missing_ns, runs.elapsed_ns)
            yield f"{_UNLISTED} ran {share} of pCPU {pcpu}{_whose_children(runs)}"


def _whose_children(runs: HostRuns) -> str:
    parent = busiest_parent(runs)
    return "" if parent is None else f", most of them perhaps children of {parent[0]} ({parent[1]})"


def _large_doubt(one: ForeignRun, elapsed_ns: int) -> str:
    share = _percent(one.run_ns, elapsed_ns)
    if len(one.pcpus) == 1:
        return f"foreign task {one.name} ({one.pid}) ran {share} of pCPU {one.pcpus[0]}"
    return f"foreign task {one.name} ({one.pid}) ran {share} of one pCPU, seen on pCPUs {format_cpulist(one.pcpus)}"


def _small_doubts(pcpu: int, small: Sequence[ForeignRun], bound_ns: float, elapsed_ns: int) -> Iterator[str]:
    here = [one for one in small if pcpu in one.pcpus]
    together_ns = sum(one.run_ns / len(one.pcpus) for one in here)
    if together_ns > bound_ns:
        most = here[0]
        yield (
            f"{len(here)} foreign tasks ran {_percent(together_ns, elapsed_ns)} of pCPU {pcpu} together, most of "
            f"it {most.name} ({most.pid}) with {_percent(most.run_ns, elapsed_ns)}"
        )


def _helpers_doubt(runs: HostRuns) -> Iterator[str]:
    own_ns = helpers_ns(runs)
    if own_ns > max(HELPERS_PCT / 100 * runs.elapsed_ns, READING_ERROR_NS):
        share = _percent(own_ns, runs.elapsed_ns)
        yield f"the lab's own probe and commands ran {share} of a pCPU (bound {HELPERS_PCT:g} %)"


def _percent(time_ns: float, elapsed_ns: int) -> str:
    return f"{100 * time_ns / elapsed_ns:.1f} %"


def _foreign_pct(runs: HostRuns, leased: Sequence[int]) -> dict[int, float]:
    """What others ran on each pCPU, listed or not; a process seen on several of them counts on each in part."""
    if runs.elapsed_ns <= 0:
        return {}
    foreign = foreign_runs(runs, leased)
    return {
        pcpu: 100
        * (unlisted_ns(runs, pcpu) + sum(one.run_ns / len(one.pcpus) for one in foreign if pcpu in one.pcpus))
        / runs.elapsed_ns
        for pcpu in leased
    }


# ---- clocks


def _clock_files(snapshot: HostSnapshot, leased: Sequence[int]) -> Iterator[tuple[str, int | None, str]]:
    """(what, pCPU or None, value) of files about SMT, turbo and governors, those of leased pCPUs only."""
    for path, value in snapshot.files.items():
        match = _CLOCK_FILE.fullmatch(path)
        if match and (match[1] is None or int(match[1]) in leased):
            yield match[2], None if match[1] is None else int(match[1]), value


def _clock_doubts(snapshots: Sequence[HostSnapshot], leased: Sequence[int]) -> Iterator[str]:
    seen: dict[tuple[str, int | None], str] = {}
    for snapshot in snapshots:
        for what, pcpu, value in _clock_files(snapshot, leased):
            before = seen.setdefault((what, pcpu), value)
            if before != value:
                whose = "" if pcpu is None else f" of pCPU {pcpu}"
                yield f"{what}{whose} changed from {before} to {value} in the window"
                seen[what, pcpu] = value


def _clock_facts(snapshot: HostSnapshot, leased: Sequence[int]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for what, _, value in _clock_files(snapshot, leased):
        values.setdefault(what, []).append(value)
    found = {what: ", ".join(dict.fromkeys(several)) for what, several in values.items()}
    turbo = found.get("cpufreq/boost") or _inverted(found.get("intel_pstate/no_turbo"))
    return {
        "governor": found.get("cpufreq/scaling_governor", "not visible"),
        "SMT": found.get("smt/control", "not visible"),
        "turbo": {"1": "on", "0": "off"}.get(turbo or "", "not visible"),
    }


def _inverted(no_turbo: str | None) -> str | None:
    return {"1": "0", "0": "1"}.get(no_turbo or "")
