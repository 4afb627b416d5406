# SPDX-License-Identifier: GPL-2.0-only
"""Folds side by side: what each mechanism took, what it left of steal and work, and whether affinity survived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.judge.affinity import task_changes
from lab.judge.evidence import Evidence
from lab.judge.throughput import doubt_throughput, work_per_s
from lab.measure.windows import Folding, VcpuWindow


@dataclass(frozen=True)
class FoldLoad:
    """A load in a fold's phase. `ratio` is its work per second over that in the baseline phase.

    Of `tasks` seen, `changed` had another affinity in the phase than they were started with; of `tasks_after` seen
    in the phase in which the fold is undone, `changed_after` still had. `work_doubts` say why the ratio must not
    count.
    """

    load: str
    work_per_s: float
    ratio: float | None
    tasks: int
    changed: int
    tasks_after: int
    changed_after: int
    work_doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fold:
    """All nodes that one mechanism folded at the beginning of a phase.

    `effect_ns` is that of the slowest node; None where one of them had none, or it is doubted (`doubts`). Steal is
    the mean over the vCPUs of these nodes that stay, per cent of elapsed time; None where that side was not seen on
    all of them.
    """

    phase: str
    mechanism: str
    foldings: tuple[Folding, ...]
    effect_ns: int | None
    guest_steal_pct: float | None
    host_steal_pct: float | None
    loads: tuple[FoldLoad, ...]
    doubts: tuple[str, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that were folded."""
        return tuple(dict.fromkeys(one.node for one in self.foldings))

    @property
    def baseline(self) -> str | None:
        """The last phase before in which nothing was folded; None where there is none."""
        return self.foldings[0].baseline


def find_folds(evidence: Evidence) -> tuple[Fold, ...]:
    """Every fold of the recording, in the order in which they were done."""
    groups: dict[tuple[str, str], list[Folding]] = {}
    for folding in evidence.measurements.foldings:
        groups.setdefault((folding.phase, folding.mechanism), []).append(folding)
    return tuple(_fold(evidence, phase, how, foldings) for (phase, how), foldings in groups.items())


def _fold(evidence: Evidence, phase: str, mechanism: str, foldings: Sequence[Folding]) -> Fold:
    times = [None if one.doubts else one.effect_ns for one in foldings]
    known = [time for time in times if time is not None]
    staying = list(_staying(evidence, phase, foldings))
    return Fold(
        phase=phase,
        mechanism=mechanism,
        foldings=tuple(foldings),
        effect_ns=max(known) if len(known) == len(times) else None,
        guest_steal_pct=_mean([None if one is None else one.guest_steal_pct for one in staying]),
        host_steal_pct=_mean([None if one is None else one.host_steal_pct for one in staying]),
        loads=tuple(_loads(evidence, phase, foldings[0])),
        doubts=tuple(dict.fromkeys(doubt for one in foldings for doubt in one.doubts)),
    )


def _staying(evidence: Evidence, phase: str, foldings: Sequence[Folding]) -> Iterator[VcpuWindow | None]:
    folded = {(one.node, vcpu) for one in foldings for vcpu in one.vcpus}
    for node in dict.fromkeys(one.node for one in foldings):
        for vcpu in evidence.planned_vcpus(node):
            if (node, vcpu) not in folded:
                yield evidence.vcpu(node, vcpu, phase)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _loads(evidence: Evidence, phase: str, folding: Folding) -> Iterator[FoldLoad]:
    for load in dict.fromkeys(planned.name for planned in evidence.plan.loads):
        tasks = evidence.tasks(load, phase)
        if not tasks:
            continue
        after = evidence.tasks(load, folding.unfolded) if folding.unfolded is not None else ()
        yield FoldLoad(
            load=load,
            work_per_s=work_per_s(tasks),
            ratio=_ratio(evidence, load, phase, folding.baseline),
            tasks=len(tasks),
            changed=sum(bool(task_changes(evidence, task)) for task in tasks),
            tasks_after=len(after),
            changed_after=sum(bool(task_changes(evidence, task)) for task in after),
            work_doubts=_work_doubts(evidence, load, phase, folding.baseline),
        )


def _ratio(evidence: Evidence, load: str, phase: str, baseline: str | None) -> float | None:
    before = 0.0 if baseline is None else work_per_s(evidence.tasks(load, baseline))
    return work_per_s(evidence.tasks(load, phase)) / before if before > 0 else None


def _work_doubts(evidence: Evidence, load: str, phase: str, baseline: str | None) -> tuple[str, ...]:
    """Doubts about the ratio; none where the load did not run in the baseline, and there is no ratio."""
    if _ratio(evidence, load, phase, baseline) is None or baseline is None:
        return ()
    return (*doubt_throughput(evidence, load, phase), *doubt_throughput(evidence, load, baseline))
