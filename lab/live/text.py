# SPDX-License-Identifier: GPL-2.0-only
"""A running lab as lines of text, of any width from 60 columns on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.live.rows import LoadRow, PcpuRow, VcpuRow, load_rows, pcpu_rows, vcpu_rows
from lab.live.state import LiveState, Tone
from lab.plan.labplan import HOST_SCOPE
from lab.units import format_cpulist

MIN_WIDTH = 60
#: Steal from which on a vCPU stands out.
HIGH_STEAL_PCT = 30.0
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"
_NAME_WIDTH = 20
_CELL_NAME = 12
_STAGES = {"begins": "settles for", "measured": "measured for", "over": "is over since"}


@dataclass(frozen=True)
class Line:
    """One line, and how it is meant."""

    text: str
    tone: Tone = ""


def render_frame(state: LiveState, width: int, *, title: str, events: int = 5) -> list[Line]:
    """Everything at once: what stands first matters most. `title` names the lab; the last `events` happenings."""
    width = max(width, MIN_WIDTH)
    return [
        *render_head(state, width, title),
        Line(""),
        *render_pcpus(state, width),
        Line(""),
        *render_vcpus(state, width),
        *_after_gap(render_loads(state, width)),
        *_after_gap(render_happenings(state, width)[-events:] if events else []),
    ]


def _after_gap(lines: Sequence[Line]) -> Iterator[Line]:
    if lines:
        yield Line("")
        yield from lines


def clip(text: str, width: int) -> str:
    """`text` in no more than `width` columns; what is cut off shows as an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def shorten(name: str, width: int) -> str:
    """A name in no more than `width` columns; its middle is cut out, as names mostly differ at their ends."""
    if len(name) <= width:
        return name
    last = max(0, (width - 1) * 2 // 3)
    return clip(name, width - last) + name[len(name) - last :]


def printable(text: str) -> str:
    """A line of a console without what a terminal would obey: escape sequences, other control characters."""
    return "".join(one if one.isprintable() else "�" if ord(one) > 127 else " " for one in _plain(text))


def _plain(text: str) -> str:
    """Without ECMA-48 control sequences: ESC [ ... letter, and ESC with one more character."""
    out, at = [], 0
    while at < len(text):
        if text[at] != "\x1b":
            out.append(text[at])
            at += 1
        elif text[at + 1 : at + 2] == "[":
            at += 2
            while at < len(text) and not "@" <= text[at] <= "~":
                at += 1
            at += 1
        else:
            at += 2
    return "".join(out)


# ---- the head


def render_head(state: LiveState, width: int, title: str) -> list[Line]:
    """The lab and what it is doing."""
    lines = [Line(clip(title, width), "head")]
    if state.trouble:
        return [*lines, Line(clip(state.trouble, width), "bad")]
    if state.t_ns == 0:
        return [*lines, Line("waiting for the first samples", "warn")]
    return [*lines, Line(clip("  ".join(_doing(state)), width), _head_tone(state))]


def _doing(state: LiveState) -> Iterator[str]:
    if state.phase is not None:
        since_s = max(0.0, (state.t_ns - state.phase.since_ns) / 1e9)
        yield f"phase {state.phase.name} {_STAGES[state.phase.stage]} {since_s:.0f} s"
    if state.is_silent(HOST_SCOPE):
        yield "the host's probe is not heard"
    guests = len(state.plan.nodes)
    yield f"{guests - len(state.gone)}/{guests} guests up"
    yield f"{state.plan.overcommit:g} vCPUs a pCPU"
    if state.follower_pct is not None:
        yield f"watching {state.follower_pct:.1f}%"


def _head_tone(state: LiveState) -> Tone:
    return "bad" if state.gone else "warn" if state.is_silent(HOST_SCOPE) else ""


# ---- pCPUs


def render_pcpus(state: LiveState, width: int) -> list[Line]:
    """Occupancy: one line a pCPU, with the vCPUs that share it."""
    bar = max(10, min(40, width // 4 - 2))
    return [
        Line(f"{'pCPU':<6}{'busy':>6}  {'':<{bar}}  vCPUs, and what each runs, in %", "head"),
        *(_pcpu_line(row, bar, width) for row in pcpu_rows(state)),
    ]


def _pcpu_line(row: PcpuRow, bar: int, width: int) -> Line:
    busy = render_bar(row.busy_pct, bar)
    head = f"{row.pcpu:<6}{percent(row.busy_pct, 0):>6}  {busy}  "
    cells = [
        f"{shorten(one.node, _CELL_NAME)}.{one.vcpu} {_number(one.pct, 0)}{'' if one.alone else '~'}"
        for one in row.shares
    ]
    if row.others_pct is not None and row.others_pct >= 1:
        cells.append(f"others {row.others_pct:.0f}")
    return Line(head + _as_many_as_fit(cells, width - len(head)))


def _as_many_as_fit(cells: Sequence[str], room: int) -> str:
    for count in range(len(cells), 0, -1):
        more = "" if count == len(cells) else f"  +{len(cells) - count}"
        text = "  ".join(cells[:count]) + more
        if len(text) <= room:
            return text
    return clip("  ".join(cells), room)


def render_bar(pct: float | None, width: int) -> str:
    """A share as a bar of `width` columns."""
    eighths = round(8 * width * max(0.0, min(100.0, pct or 0.0)) / 100)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


def render_trend(values: Sequence[float], width: int) -> str:
    """Shares over time as heights, the newest at the right."""
    shown = values[-width:] if width > 0 else ()
    return "".join(_HEIGHTS[max(0, min(8, round(one / 100 * 8)))] for one in shown).rjust(width)


# ---- vCPUs


def render_vcpus(state: LiveState, width: int) -> list[Line]:
    """Steal of both sides and preemptions, one line a vCPU."""
    names = max([9, *(len(node.name) + 4 for node in state.plan.nodes)])
    name_width = min(_NAME_WIDTH, names)
    used = name_width + 46
    room = min(60, width - used - 2)
    trend = room if any(len(one) > 1 for one in state.trends.values()) else 0
    head = f"{'vCPU':<{name_width}}{'pCPU':<8}{'runs':>7}{'steal: guest':>14}{'host':>7}{'preempted':>10}"
    return [
        Line(clip(f"{head}  {'steal over time':>{trend}}" if trend >= 15 else head, width).rstrip(), "head"),
        *(_vcpu_line(state, row, name_width, trend, width) for row in vcpu_rows(state)),
    ]


def _vcpu_line(state: LiveState, row: VcpuRow, name_width: int, trend: int, width: int) -> Line:
    name = shorten(f"{row.node}.{row.vcpu}", name_width - 1)
    where = clip(format_cpulist(row.pcpus), 7)
    preempted = "-" if row.preempted_per_s is None else f"{row.preempted_per_s:.1f}/s"
    guest = row.state if row.state != "up" else percent(row.guest_steal_pct, 1)
    text = (
        f"{name:<{name_width}}{where:<8}{percent(row.runs_pct, 1):>7}{guest:>14}"
        f"{percent(row.host_steal_pct, 1):>7}{preempted:>10}"
    )
    if trend > 0:
        text += "  " + render_trend(state.trends.get((row.node, row.vcpu), ()), trend)
    return Line(clip(text, width).rstrip(), _vcpu_tone(row))


def _vcpu_tone(row: VcpuRow) -> Tone:
    if row.state == "gone":
        return "bad"
    if row.state in ("silent", "offline"):
        return "dim"
    return "warn" if (row.steal_pct or 0.0) >= HIGH_STEAL_PCT else ""


# ---- loads


def render_loads(state: LiveState, width: int) -> list[Line]:
    """Throughput: one line a load and node; nothing where the topology has no loads."""
    rows = load_rows(state)
    if not rows:
        return []
    head = f"{'load':<20}{'node':<20}{'tasks':>6}{'work':>16}"
    return [Line(clip(head, width), "head"), *(_load_line(row, width) for row in rows)]


def _load_line(row: LoadRow, width: int) -> Line:
    if row.tasks:
        work = "-" if row.per_s is None else f"{quantity(row.per_s)}/s"
        tasks = str(row.tasks)
    else:
        work = "stopped" if row.counted else "not counted"
        tasks = "-"
    text = f"{shorten(row.load, 19):<20}{shorten(row.node, 19):<20}{tasks:>6}{work:>16}"
    return Line(clip(text, width), "" if row.tasks else "dim")


# ---- what happened


def render_happenings(state: LiveState, width: int) -> list[Line]:
    """What happened, the newest last, by the seconds that have passed since."""
    return [
        Line(clip(f"{_ago(state.t_ns - one.t_ns):>9}  {one.text}", width), one.tone)
        for one in state.happenings
    ]


def _ago(ns: int) -> str:
    seconds = max(0, ns) / 1e9
    if seconds < 120:
        return f"-{seconds:.0f} s"
    if seconds < 7200:
        return f"-{seconds / 60:.0f} min"
    return f"-{seconds / 3600:.0f} h"


# ---- numbers


def percent(value: float | None, digits: int) -> str:
    """``49.6%``; a dash for what is not known."""
    return "-" if value is None else f"{value:.{digits}f}%"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def quantity(value: float) -> str:
    """Three digits and a decimal prefix: ``12.3 M``."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def time_of_day(seconds: float) -> str:
    """``19:55:03``, of the machine that shows it."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))
