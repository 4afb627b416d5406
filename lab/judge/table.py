# SPDX-License-Identifier: GPL-2.0-only
"""What was measured and judged, as plain text for a terminal or a mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from lab.judge.evidence import Evidence
from lab.judge.governtable import GOVERNED_LEGEND, render_governors
from lab.judge.hogtable import render_hogs
from lab.judge.layout import MISSING, Column, Table, fit, heading, number, row, wrap
from lab.judge.loadtable import render_load_doubts, render_load_results
from lab.judge.preemptions import per_second
from lab.judge.prooftable import render_proof
from lab.judge.throughput import render_idle_tasks, work_per_s
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.measure.windows import Measurements, TaskWindow
from lab.plan.labplan import LabPlan, NodePlan, VcpuPlan
from lab.units import format_cpulist, format_seconds

#: What the columns of a phase mean.
STEAL_LEGEND = (
    "guest: steal column of /proc/stat; host: run-queue delay of the vCPU's thread; diff: between the two; "
    "predict: fair share of what runs in the phase, as it runs; invol: involuntary switches of the vCPU's thread; "
    "slices: times it was put on a pCPU"
)
_NODE_WIDTHS = (4, 13)
_PCPU_WIDTHS = (4, 8)


def render_phase_table(plan: LabPlan, measurements: Measurements) -> str:
    """Every phase's steal, preemptions and work, then before and after where there are two phases.

    ASCII, no line longer than WIDTH columns, ends in a newline. Steal is in per cent of elapsed time; doubts
    stand under the phase they are about, environment retries at the top.
    """
    evidence = Evidence(plan, measurements)
    lines = [line for retry in measurements.retries for line in wrap(f"! retried: {retry}")]
    for phase in plan.phases:
        lines += [*([""] if lines else []), *_phase_lines(evidence, phase.name)]
    if len(plan.phases) == 2:
        lines += ["", *_before_after_lines(evidence, plan.phases[0].name, plan.phases[1].name)]
    legend = f"{STEAL_LEGEND}; {GOVERNED_LEGEND}" if measurements.decisions else STEAL_LEGEND
    return "\n".join([*lines, "", *wrap(legend)]) + "\n"


def _planned_vcpus(evidence: Evidence) -> Iterator[tuple[NodePlan, VcpuPlan]]:
    return ((node, vcpu) for node in evidence.plan.nodes for vcpu in node.vcpus)


def _phase_lines(evidence: Evidence, phase: str) -> list[str]:
    window = evidence.phase(phase)
    if window is None:
        return wrap(f"Phase {phase}: not measured")
    lines = wrap(f"Phase {phase}, {format_seconds(window.end_ns - window.start_ns)}")
    lines += _vcpu_lines(evidence, phase)
    work = work_table(evidence, phase).lines()
    lines += ["", *work] if work else []
    lines += render_load_results(evidence, phase)
    lines += render_governors(evidence, phase)
    lines += render_hogs(evidence, phase)
    lines += render_proof(evidence, phase)
    return lines + [line for text in doubts_of(evidence, phase) for line in wrap(f"! {text}", 2, 4)]


def doubts_of(evidence: Evidence, phase: str) -> Iterator[str]:
    """Whatever speaks against what was measured in `phase`."""
    yield from (f"skipped: {reason}" for reason in evidence.skipped(phase))
    certain = evidence.phase_doubts(phase)
    yield from certain
    yield from (f"for work only: {doubt}" for doubt in evidence.work_doubts(phase) if doubt not in certain)
    for node, planned in _planned_vcpus(evidence):
        window = evidence.vcpu(node.name, planned.vcpu, phase)
        for doubt in window.doubts if window is not None else ("not seen",):
            yield f"{node.name} vcpu {planned.vcpu}: {doubt}"
    for load in _load_names(evidence):
        idle = render_idle_tasks(evidence.tasks(load, phase))
        if idle:
            yield idle
    yield from render_load_doubts(evidence, phase)


def _vcpu_columns(evidence: Evidence) -> list[Column]:
    pcpus = [format_cpulist(vcpu.pcpus) for _, vcpu in _planned_vcpus(evidence)]
    return [
        Column("node", fit([node.name for node in evidence.plan.nodes], *_NODE_WIDTHS), text=True),
        Column("vCPU", 4),
        Column("pCPU", fit(pcpus, *_PCPU_WIDTHS)),
        Column("predict", 7),
        Column("guest", 6),
        Column("host", 6),
        Column("diff", 5),
        Column("invol", 8),
        Column("slices", 8),
    ]


def vcpu_table(evidence: Evidence, phase: str) -> Table:
    """Steal on both sides and preemptions of every vCPU in one phase."""
    rows = [_vcpu_cells(node, vcpu, evidence, phase) for node, vcpu in _planned_vcpus(evidence)]
    return Table(_vcpu_columns(evidence), rows)


def _vcpu_lines(evidence: Evidence, phase: str) -> list[str]:
    table = vcpu_table(evidence, phase)
    columns = table.columns
    names = sum(column.width + 1 for column in columns[:3])
    steal = sum(column.width + 1 for column in columns[3:7]) - 1
    groups = f"{'':{names}}{' steal, % of time '.center(steal, '-')} {' per second '.center(17, '-')}"
    return [f"  {groups}", *table.lines()]


def _vcpu_cells(
    node: NodePlan, planned: VcpuPlan, evidence: Evidence, phase: str
) -> list[str | float | None]:
    window = evidence.vcpu(node.name, planned.vcpu, phase)
    cells: list[str | float | None] = [
        node.name,
        planned.vcpu,
        format_cpulist(planned.pcpus),
        evidence.predicted_steal(phase).get((node.name, planned.vcpu)),
    ]
    if window is None:
        return [*cells, None, None, None, None, None]
    return [
        *cells,
        window.guest_steal_pct,
        window.host_steal_pct,
        window.disagreement_pct,
        per_second(window.involuntary_switches, window.elapsed_ns),
        per_second(window.slices, window.elapsed_ns),
    ]


def _load_names(evidence: Evidence) -> tuple[str, ...]:
    return tuple(dict.fromkeys(load.name for load in evidence.plan.loads))


def work_table(evidence: Evidence, phase: str) -> Table:
    """Work per second by load and node, and its sum; without rows where no load ran."""
    tasks = {load: evidence.tasks(load, phase) for load in _load_names(evidence)}
    nodes = [task.node for of_load in tasks.values() for task in of_load]
    columns = [
        Column("load", fit(list(tasks), 4, 16), text=True),
        Column("node", fit(nodes, *_NODE_WIDTHS), text=True),
        Column("tasks", 5),
        Column("work/s", 12),
    ]
    return Table(columns, [cells for load, seen in tasks.items() for cells in _work_cells(load, seen)])


def _work_cells(load: str, tasks: Sequence[TaskWindow]) -> Iterator[list[str | float | None]]:
    if not tasks:
        return
    by_node: dict[str, list[TaskWindow]] = {}
    for task in tasks:
        by_node.setdefault(task.node, []).append(task)
    for node, of_node in by_node.items():
        yield [load, node, len(of_node), work_per_s(of_node)]
    yield [load, "sum", len(tasks), work_per_s(tasks)]


def _before_after_lines(evidence: Evidence, before: str, after: str) -> list[str]:
    columns = [
        Column("node", fit([node.name for node in evidence.plan.nodes], *_NODE_WIDTHS), text=True),
        Column("vCPU", 4),
        Column("guest", 17),
        Column("host", 17),
    ]
    rows = [
        row(
            [node.name, planned.vcpu, *_steal_change(evidence, (node.name, planned.vcpu), before, after)],
            columns,
        )
        for node, planned in _planned_vcpus(evidence)
    ]
    work = [line for text in work_changes(evidence, before, after) for line in wrap(text, 2)]
    return [*wrap(f"Steal, {before} -> {after}, % of time"), heading(columns), *rows, *work]


def _steal_change(evidence: Evidence, vcpu: tuple[str, int], before: str, after: str) -> tuple[str, str]:
    """``before -> after`` of the guest's side, and of the host's."""
    windows = [evidence.vcpu(*vcpu, phase) for phase in (before, after)]
    guest = [None if window is None else window.guest_steal_pct for window in windows]
    host = [None if window is None else window.host_steal_pct for window in windows]
    return _arrow(*guest), _arrow(*host)


def _arrow(before: float | None, after: float | None) -> str:
    return f"{number(before, 6)} -> {number(after, 6)}"


def work_changes(evidence: Evidence, before: str, after: str) -> Iterator[str]:
    """Work per second of each load in two phases, and its ratio."""
    for load in _load_names(evidence):
        rates = [work_per_s(evidence.tasks(load, phase)) for phase in (before, after)]
        ratio = f"{rates[1] / rates[0]:.2f}" if rates[0] > 0 else MISSING
        if any(rates):
            yield f"work of {load}: {rates[0]:.1f}/s -> {rates[1]:.1f}/s, ratio {ratio}"


def render_verdicts(judgement: Judgement) -> str:
    """Every verdict under its expectation, with the reason for everything but PASSED.

    ASCII, no line longer than WIDTH columns; the empty text where there is no verdict.
    """
    lines: list[str] = []
    for expectation, verdicts in groupby(judgement.verdicts, key=lambda verdict: verdict.expectation):
        lines += wrap(expectation or "(unnamed expectation)")
        lines += [line for verdict in verdicts for line in _verdict_lines(verdict)]
    return "".join(f"{line}\n" for line in lines)


def _verdict_lines(verdict: Verdict) -> list[str]:
    where = f"{verdict.subject}, {verdict.phase}" if verdict.phase else verdict.subject
    lines = wrap(f"{verdict.outcome.name:<9} {where}: {verdict.observed}", 2, 12)
    return lines + (wrap(f"because: {verdict.reason}", 12, 14) if verdict.reason else [])


def render_summary(judgement: Judgement) -> str:
    """One line: ``FAILED: 1 failed, 3 passed``, without a newline."""
    if not judgement.verdicts:
        return "SKIPPED: nothing was expected, so nothing was judged"
    counts = Counter(verdict.outcome for verdict in judgement.verdicts)
    order = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.PASSED, Outcome.SKIPPED)
    parts = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in order if counts[outcome])
    nothing = " (nothing was judged)" if judgement.outcome is Outcome.SKIPPED else ""
    return f"{judgement.outcome.name}: {parts}{nothing}"
