# SPDX-License-Identifier: GPL-2.0-only
"""While a vCPU does not run on the host, it runs no event in the guest: what shows that two clocks are one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.trace.model import State, Times, Trace, VcpuTimeline
from lab.trace.summary import Physics


def check_physics(guest: Trace, vcpus: Sequence[VcpuTimeline], error_ns: int) -> Physics:
    """How the events of `guest` lie on the timelines of its `vcpus`.

    An event is checked where its vCPU's timeline covers it and knows what the vCPU did. It is a violation if the
    vCPU ran nowhere within `error_ns` of it. `worst_ns` is the largest distance of an event from where it could be,
    also where that is no violation.
    """
    away = [_away_ns(_moments(guest, one.vcpu), one) for one in vcpus if one.node == guest.node]
    all_away = np.concatenate(away) if away else np.empty(0, dtype=np.int64)
    return Physics(
        node=guest.node,
        phase=guest.phase,
        checked=len(all_away),
        violations=int(np.count_nonzero(all_away > error_ns)),
        worst_ns=int(all_away.max(initial=0)),
        error_ns=error_ns,
    )


def _moments(guest: Trace, vcpu: int) -> Times:
    return np.asarray(guest.moments_ns[guest.moments_cpu == vcpu], dtype=np.int64)


def _away_ns(t_ns: Times, timeline: VcpuTimeline) -> Times:
    """How far each of `t_ns` that can be checked lies from where the vCPU ran, or may have run."""
    if not len(timeline.start_ns):
        return np.empty(0, dtype=np.int64)
    t_ns = t_ns[(t_ns >= timeline.start_ns[0]) & (t_ns < timeline.end_ns[-1])]
    at = np.searchsorted(timeline.start_ns, t_ns, side="right") - 1
    t_ns = t_ns[timeline.state[at] != State.UNKNOWN]
    may_run = (timeline.state == State.RUNNING) | (timeline.state == State.UNKNOWN)
    return _distances(t_ns, timeline.start_ns[may_run], timeline.end_ns[may_run])


def _distances(t_ns: Times, start_ns: Times, end_ns: Times) -> Times:
    """How far each of `t_ns` lies from the nearest interval, of those that are sorted and do not overlap; 0 within
    one, both ends included. Without any interval nothing is near: as far as a time can be."""
    far = np.int64(np.iinfo(np.int64).max // 2)
    following = np.searchsorted(start_ns, t_ns, side="right")
    starts, ends = np.append(start_ns, far), np.append(-far, end_ns)
    after_previous = np.maximum(t_ns - ends[following], 0)
    return np.asarray(np.minimum(after_previous, starts[following] - t_ns), dtype=np.int64)
