# SPDX-License-Identifier: GPL-2.0-only
"""What vCPUs did over a stretch of time as one line of characters each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.judge.layout import WIDTH, clip, fit, wrap
from lab.trace.model import State, Times, VcpuTimeline

#: A character for each state. Of states that take the same share of a slot the first here is drawn.
CHARACTERS = {
    State.PREEMPTED: "p",
    State.WAKING: "w",
    State.RUNNING: "R",
    State.BLOCKED: ".",
    State.UNKNOWN: "?",
}
_MOST_SLOTS = 64


def render_strips(vcpus: Sequence[VcpuTimeline], from_ns: int, to_ns: int) -> list[str]:
    """A line for each of `vcpus`, over the time from `from_ns` to `to_ns` of the host's clock: in each slot the
    state that took most of it. ASCII, at most 75 columns; the last lines say what the characters are."""
    names = [vcpu_name(one) for one in vcpus]
    width = fit(names, 4, 16)
    slots = min(_MOST_SLOTS, WIDTH - 3 - width, max(1, to_ns - from_ns))
    edges = np.linspace(from_ns, to_ns, slots + 1).round().astype(np.int64)
    lines = [
        f"  {clip(name, width):<{width}} {strip(one, edges)}" for name, one in zip(names, vcpus, strict=True)
    ]
    each_ms = (to_ns - from_ns) / slots / 1e6
    about = (
        f"a character is {each_ms:.3g} ms: R runs, p preempted, w waits after a wake-up, . blocked, ? unknown"
    )
    return [*lines, *wrap(about, 2, 4)]


def vcpu_name(vcpu: VcpuTimeline) -> str:
    """``guest1/0``"""
    return f"{vcpu.node}/{vcpu.vcpu}"


def strip(vcpu: VcpuTimeline, edges: Times) -> str:
    """A character for each slot between two of `edges`; what its timeline does not reach is unknown."""
    shares = np.stack([_spent_ns(vcpu, state, edges) for state in CHARACTERS])
    known = shares.sum(axis=0)
    unknown = list(CHARACTERS).index(State.UNKNOWN)
    shares[unknown] += np.diff(edges) - known
    drawn = list(CHARACTERS.values())
    return "".join(drawn[at] for at in shares.argmax(axis=0))


def _spent_ns(vcpu: VcpuTimeline, state: State, edges: Times) -> Times:
    """How long `vcpu` was in `state` in each slot: the growth of what it was so in all until then."""
    mine = vcpu.state == state
    start_ns, end_ns = vcpu.start_ns[mine], vcpu.end_ns[mine]
    before = np.concatenate(([0], np.cumsum(end_ns - start_ns)))
    begun = np.searchsorted(start_ns, edges, side="right")
    if not len(start_ns):
        return np.zeros(len(edges) - 1, dtype=np.int64)
    # The last one that began by then may not have ended by then.
    ahead_ns = np.maximum(end_ns[np.maximum(begun - 1, 0)] - edges, 0)
    return np.asarray(np.diff(before[begun] - np.where(begun > 0, ahead_ns, 0)), dtype=np.int64)
