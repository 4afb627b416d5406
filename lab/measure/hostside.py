# SPDX-License-Identifier: GPL-2.0-only
"""What a host's stream says about vCPUs over a stretch of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

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
