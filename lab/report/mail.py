# SPDX-License-Identifier: GPL-2.0-only
"""The report as text for a mail: the same in the same order, in lines of at most 75 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lab.judge.arms import compare_arms
from lab.judge.armtable import render_arms
from lab.judge.armverdicts import render_short_verdicts, render_windows
from lab.judge.foldtable import render_fold_table
from lab.judge.layout import wrap
from lab.judge.preempttable import LEGEND, render_preempt
from lab.judge.table import render_phase_table, render_summary, render_verdicts
from lab.report.compose import placement_notes
from lab.report.console import excerpt
from lab.report.doubtview import doubt_grids, other_grids
from lab.report.findingview import finding_grids
from lab.report.journal import journal_grids
from lab.report.material import Material
from lab.report.page import Fact, Grid
from lab.report.placement import describe_placement
from lab.report.runview import clock_grids, environment_facts, measuring_facts, question_of, summary_facts

#: Traced windows, rows of a journal, and lines of a console: a mail is read from top to bottom.
_WINDOWS, _ROWS, _LINES = 6, 30, 8

#: Headings that a cell does without where it stands in a line.
_SELF_EVIDENT = ("time", "node", "knob", "old → new", "where", "what", "windows", "source", "action")


def render_mail(material: Material) -> str:
    """Plain ASCII that ends in a newline."""
    blocks = (list(block) for block in _blocks(material))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _blocks(material: Material) -> Iterator[Iterable[str]]:
    yield wrap(f"{material.plan.name} - {render_summary(material.judgement)}")
    yield _text(
        render_short_verdicts(material.judgement) if material.many else render_verdicts(material.judgement)
    )
    question = question_of(material.topology_text)
    yield wrap(question.description)
    for paragraph in question.asked:
        yield wrap(paragraph)
    yield _facts("Run", summary_facts(material))
    yield _titled("Topology", [*describe_placement(material.plan).split("; "), *placement_notes(material)])
    yield from _measured(material)
    for grid in journal_grids(material):
        yield _rows(grid)
    for grid in (*_doubts(material), *other_grids(material)):
        yield _rows(grid)
    for grid in finding_grids(material):
        yield _rows(grid)
    yield from _consoles(material)
    yield _facts("Environment", environment_facts(material))
    yield _facts("How it was measured", measuring_facts(material))
    for grid in clock_grids(material):
        yield _rows(grid)


def _text(rendered: str) -> list[str]:
    return rendered.rstrip("\n").splitlines()


def _doubts(material: Material) -> tuple[Grid, ...]:
    """Of windows that are told one by one, doubts stand under each."""
    return doubt_grids(material) if material.many else ()


def _measured(material: Material) -> Iterator[list[str]]:
    report = compare_arms(material.evidence)
    traces = material.measurements.traces
    for trace in traces[:_WINDOWS]:
        yield _text(render_preempt(material.evidence, trace.phase))
    yield wrap(LEGEND) if traces else []
    if report is not None:
        yield _text(render_arms(report, material.evidence))
    if material.many:
        yield _text(render_windows(material.evidence))
    else:
        yield _text(render_phase_table(material.plan, material.measurements))
    yield _text(render_fold_table(material.evidence))


def _facts(title: str, facts: Iterable[Fact]) -> list[str]:
    return _titled(title, [f"{one.name}: {one.value}" for one in facts])


def _titled(title: str, texts: Sequence[str]) -> list[str]:
    return (
        [*wrap(_ascii(title)), *(line for text in texts for line in wrap(_ascii(text), 2, 4))]
        if texts
        else []
    )


def _rows(grid: Grid) -> list[str]:
    """A row in one line or more: what does not fit in columns of a mail is told one after the other."""
    names = [one.text for one in grid.headings]
    shown = [_row(names, row, grid.heads) for row in grid.rows[:_ROWS]]
    left = len(grid.rows) - len(shown)
    return _titled(grid.caption, [*shown, *([f"and {left} more"] if left else []), *grid.notes])


def _row(names: Sequence[str], row: Sequence[str], heads: int) -> str:
    cells = zip(names[heads:], row[heads:], strict=True)
    said = [cell if name in _SELF_EVIDENT else f"{name} {cell}" for name, cell in cells if cell]
    return f"{' '.join(row[:heads])}: {', '.join(said)}"


def _ascii(text: str) -> str:
    return text.replace("→", "->").replace("←", "<-").replace("…", "...")


def _consoles(material: Material) -> Iterator[list[str]]:
    for console in material.consoles:
        seen = excerpt(console)
        found = [*seen.complaints[:_LINES]] or [*seen.last[-_LINES:]]
        what = "lines that look like trouble" if seen.complaints else "its end"
        if found:
            yield _titled(
                f"Console of {console.name}, {what}", [f"{number}: {line}" for number, line in found]
            )
