# SPDX-License-Identifier: GPL-2.0-only
"""What a host's stream, and KVM's statistics, say about vCPUs over a stretch of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from lab.measure.probestream import ProbeStream, VcpuSample
from lab.measure.series import Series, series_of, split_at


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
    """The readings of one vCPU's thread: of its last one, and of those before where the guest was started anew."""

    series: Series
    earlier: tuple[Series, ...] = ()

    def growth(self, start_ns: int, end_ns: int) -> ThreadCounters | None:
        """Growth between two times of the host's clock; None where the readings of no thread reach."""
        series = covering((*self.earlier, self.series), start_ns, end_ns)
        return None if series is None else ThreadCounters(*series.growth(start_ns, end_ns))


def covering(several: Iterable[Series], start_ns: int, end_ns: int) -> Series | None:
    """The series that reaches over both times; None where none does."""
    return next((one for one in several if one.covers(start_ns) and one.covers(end_ns)), None)


#: When guests were ended to be started anew (lab.measure.boots), by their names.
Restarts = Mapping[str, Sequence[int]]


def vcpu_threads(
    stream: ProbeStream, restarts: Restarts = MappingProxyType({})
) -> dict[tuple[str, int], VcpuThread]:
    """The vCPU threads of every guest in a host's stream, by guest and vCPU number."""
    seen: dict[tuple[str, int], list[VcpuSample]] = {}
    for sample in stream.samples:
        for vcpu in sample.vcpus:
            seen.setdefault((vcpu.guest, vcpu.vcpu), []).append(vcpu)
    return {key: _threads(readings, restarts.get(key[0], ())) for key, readings in seen.items()}


def _threads(readings: Sequence[VcpuSample], restarts_ns: Sequence[int]) -> VcpuThread:
    *earlier, last = (_thread(part) for part in split_at(readings, lambda one: one.t_ns, restarts_ns) if part)
    return VcpuThread(last, tuple(earlier))


def _thread(readings: Sequence[VcpuSample]) -> Series:
    """Those of the last thread, which is the one that lived on: a guest may be lost while it boots."""
    same = [one for one in readings if one.tid == readings[-1].tid]
    return series_of(
        [(one.t_ns, (one.run_ns, one.delay_ns, one.slices, one.voluntary, one.involuntary)) for one in same]
    )


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


def kvm_series(
    readings: Iterable[KvmReading], restarts: Restarts = MappingProxyType({})
) -> dict[tuple[str, int], tuple[Series, ...]]:
    """KVM_COUNTERS over time, by node and vCPU, a series for each start; a reading that lacks one is left out."""
    found: dict[tuple[str, int], list[tuple[int, tuple[int, ...]]]] = {}
    for reading in readings:
        values = [_kvm_counter(reading.counters, name) for name in KVM_COUNTERS]
        whole = tuple(value for value in values if value is not None)
        if len(whole) == len(values):
            middle_ns = (reading.t0_ns + reading.t1_ns) // 2
            found.setdefault((reading.node, reading.vcpu), []).append((middle_ns, whole))
    return {
        key: tuple(map(series_of, split_at(values, lambda one: one[0], restarts.get(key[0], ()))))
        for key, values in found.items()
    }


def _kvm_counter(counters: Mapping[str, int], name: str) -> int | None:
    # libvirt's domstats calls it NAME.sum, KVM's own binary statistics NAME.
    return counters.get(f"{name}.sum", counters.get(name))
