# SPDX-License-Identifier: GPL-2.0-only
"""What is traced while a window is measured, and how large the ring buffers have to be for it.

Traces are streamed to files, so a buffer has to hold only what happens while nobody reads: its reader is a process
like any other, and may wait for a pCPU. Lost events are counted, and make what the trace says undecided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap

from lab.plan.arch import trace_clock
from lab.plan.labplan import TracePlan
from lab.topology.tracespec import Trace, trace_words

#: Scheduling of the lab's threads on the host; no other thread's is in the trace.
HOST_EVENTS = (
    "sched:sched_switch",
    "sched:sched_wakeup",
    "sched:sched_wakeup_new",
    "sched:sched_migrate_task",
)
#: What runs in a guest, and what interrupts it. The paravirt_cpus ones are the reference series' own
#: (images/kernels/paravirt-cpus), ftrace:print is what tasks wrote into the trace; kernels without one do without.
GUEST_EVENTS = (
    "sched:sched_switch",
    "irq_vectors:local_timer_entry",
    "irq:irq_handler_entry",
    "paravirt_cpus:paravirt_cpus_mask",
    "paravirt_cpus:paravirt_cpus_push",
    "paravirt_cpus:paravirt_cpus_governor",
    "ftrace:print",
)

#: What a switch or a wakeup takes in a buffer: its header of 4 bytes, 8 of common fields, names of 16 bytes.
_EVENT_BYTES = 80
#: Estimates. Two vCPUs that contend switch some hundred times a second, one that halts and wakes again some
#: thousand times, and so does the rest of the lab on a pCPU. In a guest whose tasks wake each other up, it is tens
#: of thousand.
_PCPU_EVENTS_PER_S, _VCPU_EVENTS_PER_S = 1_000, 2_000
_GUEST_EVENTS_PER_S = 20_000
#: How long a reader may have to wait.
_STALL_S = 4
_LONG_NS = 60_000_000_000
_LEAST_KIB, _MOST_KIB = 256, 16 * 1024
#: The part of a guest's memory that buffers may take, and that traces kept in it may.
_BUFFER_SHARE, _KEPT_SHARE = 1 / 16, 1 / 4
_HOST_LIMIT_MIB = 512
#: Of a line for people.
_WIDTH = 76


@dataclass(frozen=True)
class Traced:
    """What the size of traces depends on: the host's architecture, how many vCPUs may run on one pCPU at most, and
    the least memory and the most vCPUs that a guest has."""

    arch: str
    vcpus_on_pcpu: int
    memory_mib: int
    vcpus: int


def plan_trace(trace: Trace | None, traced: Traced, duration_ns: int = _LONG_NS) -> TracePlan | None:
    """What is traced in a window of `duration_ns`, a long one where that is not known; None for nothing."""
    words = trace_words(trace)
    if not words:
        return None
    stall_s = min(_STALL_S, duration_ns / 1e9)
    guest = "guest" in words
    return TracePlan(
        host_events=HOST_EVENTS if "sched" in words else (),
        guest_events=GUEST_EVENTS if guest else (),
        clock=trace_clock(traced.arch),
        buffer_kib=_size_kib(_pcpu_rate(traced.vcpus_on_pcpu) * stall_s, _MOST_KIB),
        guest_buffer_kib=_size_kib(_GUEST_EVENTS_PER_S * stall_s, _guest_most_kib(traced)) if guest else 0,
        limit_mib=_HOST_LIMIT_MIB,
        guest_limit_mib=max(1, int(traced.memory_mib * _KEPT_SHARE)) if guest else 0,
    )


def _pcpu_rate(vcpus: int) -> int:
    return _PCPU_EVENTS_PER_S + vcpus * _VCPU_EVENTS_PER_S


def _guest_most_kib(traced: Traced) -> int:
    return max(_LEAST_KIB, int(traced.memory_mib * 1024 * _BUFFER_SHARE / traced.vcpus))


def _size_kib(events: float, most_kib: int) -> int:
    """Room for so many events, in steps of what a page is a small part of."""
    needed_kib = -(-int(events * _EVENT_BYTES / 1024) // 64) * 64
    return max(_LEAST_KIB, min(needed_kib, most_kib))


def render_trace(trace: TracePlan | None) -> Iterator[str]:
    """What is traced and the room for it, as lines for people."""
    if trace is None:
        return
    sides = (
        ("the host", trace.host_events, trace.buffer_kib, "pCPU", trace.limit_mib),
        ("every guest", trace.guest_events, trace.guest_buffer_kib, "vCPU", trace.guest_limit_mib),
    )
    for where, events, buffer_kib, cpu, limit_mib in sides:
        if events:
            what = f"trace {where} by {trace.clock}: {', '.join(map(_short, events))}"
            yield from wrap(what, _WIDTH, subsequent_indent="  ")
            unread = buffer_kib * 1024 // _EVENT_BYTES
            yield f"  a buffer of {buffer_kib} KiB for each {cpu}: {unread} events that wait to be read"
            yield f"  at most {limit_mib} MiB are kept"


def _short(event: str) -> str:
    return event.rpartition(":")[2]
