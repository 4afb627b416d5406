# SPDX-License-Identifier: GPL-2.0-only
"""KVM's statistics of vCPUs, and libvirt's own of their threads, over a stretch of time.

Their names are libvirt's without what follows the last dot: `exits` for vcpu.0.exits.sum, `wait` for vcpu.0.wait
(`virsh domstats --vcpu`). What they count is told in arch/x86/kvm/x86.c (kvm_vcpu_stats_desc) and
Documentation/virt/kvm/api.rst (KVM_GET_STATS_FD); which there are depends on the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from lab.measure.doubts import COVERAGE_PCT
from lab.measure.hostside import Restarts
from lab.measure.series import Series, series_of, split_at


class KvmReading(Protocol):
    """Cumulative counters of one vCPU, read between two times of the host's clock."""

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


#: By counter its readings, a series for each start of the guest.
KvmSeries = Mapping[str, tuple[Series, ...]]


def kvm_series(
    readings: Iterable[KvmReading], restarts: Restarts = MappingProxyType({})
) -> dict[tuple[str, int], KvmSeries]:
    """Every counter over time, by node and vCPU; a reading that lacks one says nothing of that one."""
    found: dict[tuple[str, int], dict[str, list[tuple[int, tuple[int, ...]]]]] = {}
    for reading in readings:
        middle_ns = (reading.t0_ns + reading.t1_ns) // 2
        counters = found.setdefault((reading.node, reading.vcpu), {})
        for name, value in reading.counters.items():
            counters.setdefault(name.removesuffix(".sum"), []).append((middle_ns, (value,)))
    return {
        key: {name: _split(values, restarts.get(key[0], ())) for name, values in counters.items()}
        for key, counters in found.items()
    }


def _split(values: Sequence[tuple[int, tuple[int, ...]]], restarts_ns: Sequence[int]) -> tuple[Series, ...]:
    return tuple(map(series_of, split_at(values, lambda one: one[0], restarts_ns)))


def kvm_growth(counters: KvmSeries, start_ns: int, end_ns: int) -> dict[str, int]:
    """How much each counter grew, in the start that the stretch lies in; those not read then are missing."""
    grown = {name: _growth_of_any(several, start_ns, end_ns) for name, several in sorted(counters.items())}
    return {name: growth for name, growth in grown.items() if growth is not None}


def _growth_of_any(several: Sequence[Series], start_ns: int, end_ns: int) -> int | None:
    grown = (_growth(series, start_ns, end_ns) for series in several)
    return next((one for one in grown if one is not None), None)


def _growth(series: Series, start_ns: int, end_ns: int) -> int | None:
    """Reads that reach nearly over the stretch are scaled to the whole of it."""
    if not series.times_ns:
        return None
    first_ns, last_ns = max(start_ns, series.times_ns[0]), min(end_ns, series.times_ns[-1])
    if last_ns <= first_ns or 100 * (last_ns - first_ns) < COVERAGE_PCT * (end_ns - start_ns):
        return None
    scale = (end_ns - start_ns) / (last_ns - first_ns)
    (growth,) = series.growth(first_ns, last_ns)
    return round(growth * scale)
