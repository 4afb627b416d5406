# SPDX-License-Identifier: GPL-2.0-only
"""One quantity, three sources: how long a vCPU waited for a pCPU, by trace, schedstat, and its guest's steal."""

from __future__ import annotations

from dataclasses import dataclass

from lab.judge.evidence import Evidence


@dataclass(frozen=True)
class Delay:
    """Run delay of one vCPU in a phase, in per cent of the window; None where a source said nothing."""

    node: str
    vcpu: int
    trace_pct: float | None
    schedstat_pct: float | None
    guest_pct: float | None

    @property
    def apart_pct(self) -> float | None:
        """How far the sources lie apart, of those that there are; None with fewer than two."""
        seen = [one for one in (self.trace_pct, self.schedstat_pct, self.guest_pct) if one is not None]
        return max(seen) - min(seen) if len(seen) > 1 else None


def delay_of(evidence: Evidence, node: str, vcpu: int, phase: str) -> Delay:
    """What each source says of this vCPU. The trace is of the window itself, the other two are of what the guest's
    samples span of it, which is up to an interval shorter at either end."""
    traced, window = evidence.traced(node, vcpu, phase), evidence.vcpu(node, vcpu, phase)
    by_trace = None
    if traced is not None and traced.elapsed_ns > 0:
        by_trace = 100 * traced.delay_ns / traced.elapsed_ns
    if window is None:
        return Delay(node, vcpu, by_trace, None, None)
    return Delay(node, vcpu, by_trace, window.host_steal_pct, window.guest_steal_pct)
