# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's own stream says about a stretch of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.measure.probestream import ProbeStream, Sample, TaskSample
from lab.measure.windows import TaskAffinity, TaskWindow

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class GuestStretch:
    """Two or more whole samples of one guest, in order; times are the guest's own.

    `user_hz` is the unit of the columns of /proc/stat, `interval_ms` what the probe was asked for.
    """

    samples: tuple[Sample, ...]
    user_hz: int
    interval_ms: int

    @property
    def start_ns(self) -> int:
        """When the first sample was taken."""
        return self.samples[0].t_ns

    @property
    def end_ns(self) -> int:
        """When the last sample was taken."""
        return self.samples[-1].t_ns

    @property
    def dropped(self) -> int:
        """Samples that are missing in between, by their numbers."""
        return sum(after.seq - before.seq - 1 for before, after in pairwise(self.samples))

    @property
    def widest_gap_ns(self) -> int:
        """The longest time between two samples."""
        return max(after.t_ns - before.t_ns for before, after in pairwise(self.samples))

    def steal_ns(self, vcpu: int) -> int | None:
        """Growth of the steal column of `vcpu`; negative if it ran backwards, None if it was not seen."""
        first, last = (_steal_ticks(sample, vcpu) for sample in (self.samples[0], self.samples[-1]))
        if first is None or last is None:
            return None
        return (last - first) * _NS_PER_S // self.user_hz


def cut_stretch(stream: ProbeStream, start_ns: int, end_ns: int) -> GuestStretch | None:
    """The samples between two times of the guest's clock; None where there are not two."""
    first = bisect_left(stream.samples, start_ns, key=lambda sample: sample.t_ns)
    last = bisect_right(stream.samples, end_ns, key=lambda sample: sample.t_ns)
    if stream.hello is None or last - first < 2:
        return None
    return GuestStretch(stream.samples[first:last], stream.hello.user_hz, stream.hello.interval_ms)


def _steal_ticks(sample: Sample, vcpu: int) -> int | None:
    return next((times.steal for times in sample.cpus if times.cpu == vcpu), None)


def task_windows(node: str, phase: str, stretch: GuestStretch) -> tuple[TaskWindow, ...]:
    """What every task of every load did in the stretch.

    Where a load was started anew under the same name, only the new one counts; a task seen once has no
    window.
    """
    windows = []
    for (load, task), seen in sorted(_by_task(stretch.samples).items()):
        tid = seen[-1][1].tid
        same = [(t_ns, one) for t_ns, one in seen if one.tid == tid]
        elapsed_ns = same[-1][0] - same[0][0]
        if elapsed_ns > 0:
            work = same[-1][1].work - same[0][1].work
            seen_on = tuple(sorted({one.vcpu for _, one in same}))
            affinities = _unique(one.affinity for _, one in same)
            windows.append(TaskWindow(node, load, task, phase, elapsed_ns, work, seen_on, affinities))
    return tuple(windows)


def task_affinities(node: str, streams: Sequence[ProbeStream]) -> tuple[TaskAffinity, ...]:
    """Every affinity of every task over all streams of the guest, one for each of its starts."""
    samples = [sample for stream in streams for sample in stream.samples]
    return tuple(
        TaskAffinity(node, load, task, _unique(one.affinity for _, one in seen))
        for (load, task), seen in sorted(_by_task(samples).items())
    )


def _by_task(samples: Sequence[Sample]) -> dict[tuple[str, int], list[tuple[int, TaskSample]]]:
    found: dict[tuple[str, int], list[tuple[int, TaskSample]]] = {}
    for sample in samples:
        for task in sample.tasks:
            found.setdefault((task.load, task.task), []).append((sample.t_ns, task))
    return found


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
