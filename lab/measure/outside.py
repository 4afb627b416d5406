# SPDX-License-Identifier: GPL-2.0-only
"""What a host itself lost to the machine that it runs on: pCPUs that stood still under everybody.

The same loss can be seen from two sides. Outside of a host VM its vCPU threads wait in a run queue; inside, its
kernel counts steal, if its hypervisor tells it. Outside is asked first, since an emulated host is told nothing; the
steal column is for hosts whose outside the lab does not see. Never both: it is one loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.measure.doubts import doubt_outer, doubt_stolen
from lab.measure.guestside import cut_stretch
from lab.measure.hostside import VcpuThread, vcpu_threads
from lab.measure.probestream import ProbeStream

#: The name under which the outer probe watches the host VM.
HOST_VM = "host-vm"


@dataclass(frozen=True)
class Span:
    """A window on the host's clock, and on the clock outside of it where there is one."""

    start_ns: int
    end_ns: int
    outer_ns: tuple[int, int] | None


def doubt_outside(
    host: ProbeStream, outer: ProbeStream, pcpus: Sequence[int], span: Span, bound_pct: float
) -> tuple[str, ...]:
    """About the pCPUs that guests run on; one for housekeeping may wait as it likes."""
    if span.outer_ns is None or outer.hello is None:
        return tuple(_stolen(host, pcpus, span, bound_pct))
    return tuple(_waited(outer, pcpus, span.outer_ns, bound_pct))


def _stolen(host: ProbeStream, pcpus: Sequence[int], span: Span, bound_pct: float) -> Iterator[str]:
    stretch = cut_stretch(host, span.start_ns, span.end_ns)
    if stretch is None:  # that the host was not seen at all is a doubt of its own
        return
    for pcpu in pcpus:
        stolen_ns = stretch.steal_ns(pcpu)
        if stolen_ns is not None:
            elapsed_ns = stretch.end_ns - stretch.start_ns
            yield from doubt_stolen(pcpu, 100 * stolen_ns / elapsed_ns, bound_pct)


def _waited(
    outer: ProbeStream, pcpus: Sequence[int], outer_ns: tuple[int, int], bound_pct: float
) -> Iterator[str]:
    threads = {key: one for key, one in vcpu_threads(outer).items() if key[0] == HOST_VM}
    if not threads:
        yield "the host VM's own CPUs were not watched outside"
    for (_, vcpu), thread in sorted(threads.items()):
        if vcpu in pcpus:
            yield from _outer_doubt(vcpu, thread, *outer_ns, bound_pct)


def _outer_doubt(
    vcpu: int, thread: VcpuThread, start_ns: int, end_ns: int, bound_pct: float
) -> tuple[str, ...]:
    growth = thread.growth(start_ns, end_ns)
    if growth is None:
        return (f"CPU {vcpu} of the host VM was not watched outside for the whole window",)
    return doubt_outer(vcpu, 100 * growth.delay_ns / (end_ns - start_ns), bound_pct)
