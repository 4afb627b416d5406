# SPDX-License-Identifier: GPL-2.0-only
"""What a host's stream, and KVM's statistics, say about vCPUs over a stretch of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.measure.probestream import ProbeStream, VcpuSample
from lab.measure.series import Series, series_of


@dataclass(frozen=True)
class ThreadCounters:
    """Growth of the counters of one vCPU thread (STREAM.md, `v` lines)."""

    run_ns: int
    delay_ns: int
    slices: int
    voluntary: int
    involuntary: int


@dataclass(frozen=True)
class VcpuThread:
    """The readings of one vCPU's thread; of the last one where a guest was started anew."""

    series: Series

    def growth(self, start_ns: int, end_ns: int) -> ThreadCounters | None:
        """Growth between two times of the host's clock; None where the readings do not reach."""
        if not (self.series.covers(start_ns) and self.series.covers(end_ns)):
            return None
        return ThreadCounters(*self.series.growth(start_ns, end_ns))


def vcpu_threads(stream: ProbeStream) -> dict[tuple[str, int], VcpuThread]:
    """The vCPU threads of every guest in a host's stream, by guest and vCPU number."""
    seen: dict[tuple[str, int], list[VcpuSample]] = {}
    for sample in stream.samples:
        for vcpu in sample.vcpus:
            seen.setdefault((vcpu.guest, vcpu.vcpu), []).append(vcpu)
    return {key: _thread(readings) for key, readings in seen.items()}


def _thread(readings: Sequence[VcpuSample]) -> VcpuThread:
    same = [one for one in readings if one.tid == readings[-1].tid]
    series = series_of(
        [(one.t_ns, (one.run_ns, one.delay_ns, one.slices, one.voluntary, one.involuntary)) for one in same]
    )
    return VcpuThread(series)


class KvmReading(Protocol):
    """KVM's cumulative counters of one vCPU, read between two times of the host's clock."""

    @property
    def t0_ns(self) -> int: ...
    @property
    def t1_ns(self) -> int: ...
    @property
    def node(self) -> str: ...
    @property
    def vcpu(self) -> int: ...
    @property
    def counters(self) -> Mapping[str, int]: ...


#: The counters that windows keep (Documentation/virt/kvm/x86; arch/x86/kvm/x86.c, kvm_vcpu_stats_desc).
KVM_COUNTERS = ("preemption_reported", "preemption_other")


def kvm_series(readings: Iterable[KvmReading]) -> dict[tuple[str, int], Series]:
    """KVM_COUNTERS over time, by node and vCPU; a reading that lacks one of them is left out."""
    found: dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]] = {}
    for reading in readings:
        values = [_kvm_counter(reading.counters, name) for name in KVM_COUNTERS]
        whole = tuple(value for value in values if value is not None)
        if len(whole) == len(values):
            middle_ns = (reading.t0_ns + reading.t1_ns) // 2
            found.setdefault((reading.node, reading.vcpu), []).append((middle_ns, whole))
    return {key: series_of(values) for key, values in found.items()}


def _kvm_counter(counters: Mapping[str, int], name: str) -> int | None:
    # libvirt's domstats calls it NAME.sum, KVM's own binary statistics NAME.
    return counters.get(f"{name}.sum", counters.get(name))
