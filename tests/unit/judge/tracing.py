# SPDX-License-Identifier: GPL-2.0-only
"""What traces come to, made by hand, for tests of the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from judging import VCPUS, WINDOW_NS, make_measurements

from lab.measure.windows import Measurements
from lab.trace.model import Times
from lab.trace.summary import HitBy, Holders, PhaseTrace, Physics, VcpuPreemptions

MS = 1_000_000


def lengths_of(*milliseconds: float) -> Times:
    """Sorted lengths."""
    return np.sort(np.array([round(one * MS) for one in milliseconds], dtype=np.int64))


def make_traced(
    node: str = "guest1",
    vcpu: int = 0,
    *,
    lengths_ms: Sequence[float] = (4.0,) * 2000,
    latencies_ms: Sequence[float] = (1.0,) * 400,
    by: Sequence[HitBy] = (),
    holders: Holders | None = None,
    error_ns: int = 0,
    doubts: tuple[str, ...] = (),
) -> VcpuPreemptions:
    """A vCPU over 20 s that is preempted for 4 ms a hundred times a second, and runs whenever it does not wait."""
    preempted_ns, waking_ns = (round(sum(some) * MS) for some in (lengths_ms, latencies_ms))
    return VcpuPreemptions(
        node=node,
        vcpu=vcpu,
        phase="contended",
        elapsed_ns=WINDOW_NS,
        lengths_ns=lengths_of(*lengths_ms),
        latencies_ns=lengths_of(*latencies_ms),
        run_ns=WINDOW_NS - preempted_ns - waking_ns,
        preempted_ns=preempted_ns,
        waking_ns=waking_ns,
        blocked_ns=0,
        migrations=0,
        by=tuple(by),
        holders=holders,
        error_ns=error_ns,
        doubts=doubts,
    )


def make_trace(
    *vcpus: VcpuPreemptions,
    physics: Sequence[Physics] = (),
    lost: dict[str, int] | None = None,
    doubts: tuple[str, ...] = (),
) -> PhaseTrace:
    """The trace of the phase `contended`: these vCPUs, or all of both guests."""
    every = vcpus or tuple(make_traced(node, vcpu) for node, vcpu in VCPUS)
    return PhaseTrace("contended", every, tuple(physics), lost, doubts)


def traced(trace: PhaseTrace) -> Measurements:
    """All is well, and the phase `contended` was traced."""
    return replace(make_measurements(), traces=(trace,))
