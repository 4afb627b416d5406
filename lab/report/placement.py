# SPDX-License-Identifier: GPL-2.0-only
"""The topology drawn: pCPUs across, guests down, and in each cell the vCPUs that are pinned there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from lab.plan.labplan import LabPlan, NodePlan
from lab.report.svg import CHAR_WIDTH, clipped, drawing, rect, text
from lab.units import format_cpulist

_LEFT, _RIGHT, _TOP = 118.0, 8.0, 34.0
_ROW, _GAP = 26.0, 5.0
_COLUMN_WIDTHS = (34.0, 76.0)
#: Guests that are told apart by colour; their names stand beside them all the same.
COLOURS = 6
#: More rows than this are no picture any more, and as few guests have a row each.
MOST_ROWS, FEW_GUESTS = 48, 24
#: As wide as the column of text that it stands in.
_ROOM = 640.0


@dataclass(frozen=True)
class Bar:
    """vCPUs that may run on neighbouring columns `first` to `last`, in lane `lane` of their row."""

    label: str
    first: int
    last: int
    lane: int
    tip: str
    floats: bool


@dataclass(frozen=True)
class Row:
    """One guest, or several that are alike; or a hog, or emulator threads."""

    name: str
    bars: tuple[Bar, ...]
    class_: str

    @property
    def lanes(self) -> int:
        """How many bars stand above each other."""
        return 1 + max((bar.lane for bar in self.bars), default=0)


def draw_placement(plan: LabPlan, ident: str = "placement") -> Markup:
    """The drawing. Of many guests, those that follow each other and are placed alike share a row."""
    columns = _columns(plan)
    every = list(_rows(plan, columns))
    rows = every[:MOST_ROWS]
    width = _column_width(rows, len(columns))
    total = _LEFT + width * len(columns) + _RIGHT
    y = _TOP + (18 if plan.host.numa_nodes or plan.host.cores else 0)
    parts = [*_background(plan, columns, width, y, _height(rows))]
    for row in rows:
        parts += _draw_row(row, y, width)
        y += _row_height(row)
    if len(every) > len(rows):
        parts.append(text(4, y + 14, f"and {len(every) - len(rows)} rows more", "quiet"))
        y += 20
    return drawing(ident, f"Placement of {plan.name}", describe_placement(plan), (total, y + 4), parts)


def describe_placement(plan: LabPlan) -> str:
    """The same in words."""
    said = [
        f"{node.name} vCPU {format_cpulist(vcpus)} on pCPU {format_cpulist(pcpus)}"
        for node in plan.nodes[:MOST_ROWS]
        for pcpus, vcpus in _by_pcpus(node)
    ]
    said += [f"hog {hog.name} on pCPU {format_cpulist(hog.pcpus)}" for hog in plan.hogs]
    said.append(f"housekeeping on pCPU {format_cpulist(plan.housekeeping)}")
    return "; ".join(said)


def _columns(plan: LabPlan) -> list[int]:
    """pCPUs that something of the lab runs on; the host may have hundreds more."""
    pinned = {pcpu for node in plan.nodes for vcpu in node.vcpus for pcpu in vcpu.pcpus}
    hogs = {pcpu for hog in plan.hogs for pcpu in hog.pcpus}
    return sorted({*plan.pcpus, *plan.housekeeping, *pinned, *hogs})


def _column_width(rows: Sequence[Row], columns: int) -> float:
    labels = max((len(bar.label) for row in rows for bar in row.bars if bar.first == bar.last), default=1)
    low, high = _COLUMN_WIDTHS
    wanted = max(low, labels * CHAR_WIDTH + 14)
    return max(wanted, min(high, (_ROOM - _LEFT - _RIGHT) / max(1, columns)))


# ---- rows


def _rows(plan: LabPlan, columns: Sequence[int]) -> Iterator[Row]:
    for number, (name, node) in enumerate(_guests(plan.nodes)):
        yield Row(name, tuple(_bars(node, columns)), f"guest-{number % COLOURS}")
    for hog in plan.hogs:
        duty = "busy" if hog.duty_pct == 100 else f"{hog.duty_pct:g} %"
        bars = (
            Bar(duty, first, last, 0, f"hog {hog.name}, {duty}", False)
            for first, last in _runs(hog.pcpus, columns)
        )
        yield Row(f"hog {hog.name}", tuple(bars), "hog")
    emulators = sorted({pcpu for node in plan.nodes for pcpu in node.emulator_pcpus})
    bars = (
        Bar("emulators", first, last, 0, "emulator and I/O threads", True)
        for first, last in _runs(emulators, columns)
    )
    yield Row("housekeeping", tuple(bars), "keeping")


def _guests(nodes: Sequence[NodePlan]) -> Iterator[tuple[str, NodePlan]]:
    """Each guest; of many, those that follow each other and are placed alike once."""
    if len(nodes) <= FEW_GUESTS:
        yield from ((node.name, node) for node in nodes)
        return
    for _, members in groupby(nodes, key=lambda node: tuple(vcpu.pcpus for vcpu in node.vcpus)):
        alike = list(members)
        yield (alike[0].name if len(alike) == 1 else f"{alike[0].name} … ({len(alike)})"), alike[0]


def _by_pcpus(node: NodePlan) -> list[tuple[tuple[int, ...], list[int]]]:
    """vCPUs by the pCPUs that they may run on."""
    found: dict[tuple[int, ...], list[int]] = {}
    for vcpu in node.vcpus:
        found.setdefault(vcpu.pcpus, []).append(vcpu.vcpu)
    return list(found.items())


def _bars(node: NodePlan, columns: Sequence[int]) -> Iterator[Bar]:
    """Those pinned to one pCPU in the first lane, each other set of pCPUs in a lane of its own."""
    lane = 0
    for pcpus, vcpus in _by_pcpus(node):
        floats = len(pcpus) > 1
        lane += floats
        label = format_cpulist(vcpus)
        tip = f"{node.name} vCPU {label} on pCPU {format_cpulist(pcpus)}"
        for first, last in _runs(pcpus, columns):
            yield Bar(label, first, last, lane if floats else 0, tip, floats)


def _runs(pcpus: Sequence[int], columns: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Columns of `pcpus`, neighbours together."""
    places = sorted(columns.index(pcpu) for pcpu in set(pcpus))
    for _, members in groupby(enumerate(places), key=lambda one: one[1] - one[0]):
        run = [place for _, place in members]
        yield run[0], run[-1]


def _row_height(row: Row) -> float:
    return row.lanes * _ROW + _GAP


def _height(rows: Sequence[Row]) -> float:
    return sum(map(_row_height, rows))


def _draw_row(row: Row, y: float, width: float) -> Iterator[Markup]:
    yield text(4, y + _ROW / 2 + 4, clipped(row.name, _LEFT - 10), "name")
    for bar in row.bars:
        x, top = _LEFT + bar.first * width + 3, y + bar.lane * _ROW + 2
        length = (bar.last - bar.first + 1) * width - 6
        yield rect(x, top, length, _ROW - 4, f"bar {row.class_}{' floats' if bar.floats else ''}", bar.tip, 4)
        yield text(x + length / 2, top + 15, clipped(bar.label, length - 2), "label", "middle")


# ---- columns


def _background(
    plan: LabPlan, columns: Sequence[int], width: float, top: float, height: float
) -> Iterator[Markup]:
    yield text(4, top - 10, "pCPU", "name")
    for place, pcpu in enumerate(columns):
        x = _LEFT + place * width
        kind = "leased" if pcpu in plan.pcpus else "spare"
        yield rect(x + 0.5, top - 2, width - 1, height, f"column {kind}")
        yield text(x + width / 2, top - 8, str(pcpu), "number", "middle")
    yield from _bands(plan.host.numa_nodes, "NUMA node", columns, width, top - 26)
    if not plan.host.numa_nodes:
        smt = [core for core in plan.host.cores if len(core) > 1]
        yield from _bands(smt, "core", columns, width, top - 26)


def _bands(
    groups: Sequence[Sequence[int]], what: str, columns: Sequence[int], width: float, y: float
) -> Iterator[Markup]:
    for number, pcpus in enumerate(groups):
        for first, last in _runs([pcpu for pcpu in pcpus if pcpu in columns], columns):
            length = (last - first + 1) * width - 4
            name = f"{what} {number}"
            yield rect(
                _LEFT + first * width + 2, y - 12, length, 15, "band", f"{name}: pCPU {format_cpulist(pcpus)}"
            )
            yield text(_LEFT + first * width + 2 + length / 2, y, clipped(name, length), "small", "middle")
