# SPDX-License-Identifier: GPL-2.0-only
"""Reasons for which a number must not count, each with its bound and why the bound is what it is."""

from __future__ import annotations

from lab.measure.windows import DISAGREEMENT_PREFIX, SHORT_PREFIX
from lab.units import format_seconds

#: What a cumulative counter may miss when it is read. Steal stands in /proc/stat in units of 10 ms (USER_HZ),
#: and both steal and run delay grow only when a wait has *ended* (sched_info_arrive() in
#: kernel/sched/stats.h): at HZ=100 the wait under way may be another 40 ms. Every reading misses something
#: between nothing and this, so the difference of two is off by at most this, in either direction.
READING_ERROR_NS = 50_000_000
#: The resolution asked of a window, per cent, and the shortest window that has it: 5 s.
RESOLUTION_PCT = 1.0
SHORTEST_WINDOW_NS = round(READING_ERROR_NS * 100 / RESOLUTION_PCT)

#: The part of a window that samples must span before it may speak for the whole.
COVERAGE_PCT = 90.0

#: A probe that was not heard for this many intervals was starved, or its machine stood still ...
GAP_INTERVALS = 5
#: ... which matters once it is this part of the window: counters are cumulative, so a gap alone loses nothing,
#: but what happened while everything stood still is no contention that the lab made.
GAP_PCT = 5.0

#: Clocks may disagree by this part of the window: both sides then still describe all but twice as much of the
#: same stretch.
CLOCK_ERROR_PCT = 1.0

#: What a host's own CPUs may wait for the machine outside, or lose to it, before steal in it is doubted. Inside,
#: such a wait looks like slow execution and goes into everybody's elapsed time; all guests lose alike, so shares of
#: time barely move: with both CPUs waiting 70 %, steal of 50 % and of 1 % was still seen within 3 points of that,
#: and both sides within 0.1 points of each other.
OUTER_DELAY_PCT = 50.0

#: The same for work per second, from which every wait outside is missing in full.
OUTER_WORK_DELAY_PCT = 10.0

#: What others may run on a leased pCPU, in per cent of the window (and READING_ERROR_NS in a short one). On a host
#: VM that nobody else used it was below 0.4 % in 90 of 93 windows and at most 1.3 % (khugepaged, soon after guests
#: had started); a vCPU with half a pCPU that loses 2 % of it to somebody else has its steal within 1 point.
FOREIGN_PCT = 2.0

#: What the lab's own helpers (its probe on the host, commands that it gives there) may run, in per cent of one
#: pCPU: a vCPU that has half of that pCPU loses at most half of this to them. Seen: 1.2 to 1.8 % for the probe and
#: its connection on an emulated host, up to 4.3 % where a schedule changes weights.
HELPERS_PCT = 10.0


def doubt_short(window_ns: int) -> tuple[str, ...]:
    """The window is too short for the resolution of its counters."""
    if window_ns >= SHORTEST_WINDOW_NS:
        return ()
    error_pct = 100 * READING_ERROR_NS / window_ns
    return (
        f"{SHORT_PREFIX}: steal is counted in units of 10 ms and a wait only when it has ended, which may be off "
        f"by {error_pct:.1f} % in {format_seconds(window_ns)} "
        f"(at least {format_seconds(SHORTEST_WINDOW_NS)} are needed)",
    )


def doubt_coverage(whose: str, covered_ns: int, window_ns: int) -> tuple[str, ...]:
    """Samples span too little of the window."""
    if 100 * covered_ns >= COVERAGE_PCT * window_ns:
        return ()
    return (f"samples of {whose} span {format_seconds(covered_ns)} of {format_seconds(window_ns)}",)


def doubt_gap(whose: str, gap_ns: int, interval_ms: int, window_ns: int) -> tuple[str, ...]:
    """The probe was silent for long."""
    if gap_ns <= max(GAP_INTERVALS * interval_ms * 1_000_000, GAP_PCT * window_ns / 100):
        return ()
    return (f"the probe of {whose} took no sample for {gap_ns / 1e6:.0f} ms (interval {interval_ms} ms)",)


def doubt_dropped(whose: str, dropped: int) -> tuple[str, ...]:
    """The probe had to drop samples."""
    return (f"the probe of {whose} dropped {dropped} samples",) if dropped else ()


def doubt_clock(node: str, error_ns: int, window_ns: int) -> tuple[str, ...]:
    """The two clocks are not known well enough."""
    if 100 * error_ns <= CLOCK_ERROR_PCT * window_ns:
        return ()
    return (f"the clocks of {node} and its host match only within {error_ns / 1e6:.0f} ms",)


def doubt_disagreement(guest_pct: float, host_pct: float, bound_pct: float) -> tuple[str, ...]:
    """The two sides tell different stories."""
    apart_pct = abs(guest_pct - host_pct)
    if apart_pct <= bound_pct:
        return ()
    return (
        f"{DISAGREEMENT_PREFIX}: steal {guest_pct:.1f} % in the guest, run delay {host_pct:.1f} % on the host, "
        f"{apart_pct:.1f} % apart (bound {bound_pct:g} %)",
    )


def doubt_outer(vcpu: int, delay_pct: float, bound_pct: float) -> tuple[str, ...]:
    """A CPU of the host VM waited for the machine outside."""
    if delay_pct <= bound_pct:
        return ()
    return (f"CPU {vcpu} of the host VM waited {delay_pct:.0f} % outside (bound {bound_pct:g} %)",)


def doubt_stolen(pcpu: int, stolen_pct: float, bound_pct: float) -> tuple[str, ...]:
    """A pCPU of a host that is a guest itself was given to others."""
    if stolen_pct <= bound_pct:
        return ()
    return (f"pCPU {pcpu} was stolen from the host itself for {stolen_pct:.0f} % (bound {bound_pct:g} %)",)
