# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue as text: all kinds, and one of them explained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from lab.errors import InputError
from lab.loads.model import SPIN, Catalogue, LoadKind, Metric, Parameter
from lab.strictyaml.findings import unknown

_WIDTH = 78


def render_load_list(kinds: Catalogue) -> str:
    """A line for each kind: how it ends, the root image it needs, and what it reports."""
    rows = [
        (one.name, one.ends, one.image, ", ".join(f"{metric.name} {metric.unit}" for metric in _metrics(one)))
        for one in sorted(kinds.values(), key=lambda one: one.name)
    ]
    head = ("kind", "ends", "image", "reports")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    return "".join(_row(row, widths) for row in (head, *rows))


def _metrics(kind: LoadKind) -> tuple[Metric, ...]:
    """What the probe counts is reported, too."""
    counted = Metric("work", "1/s", "higher", "sum", "units of work done, counted by the guest's probe")
    return (counted, *kind.metrics) if kind.counted else kind.metrics


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip() + "\n"


def render_load_explanation(name: str, kinds: Catalogue) -> str:
    """What a kind does, how it is started, what can be said of it, and what it reports.

    Raises InputError for an unknown name.
    """
    if name not in kinds:
        raise InputError(unknown("kind of load", name, kinds), "`lab load list`")
    return "\n".join(_explanation(kinds[name])) + "\n"


def _explanation(kind: LoadKind) -> Iterator[str]:
    yield kind.name
    yield from _wrapped(kind.doc)
    yield ""
    yield "  ends        by itself" if kind.ends == "itself" else "  ends        when it is stopped"
    yield f"  root image  {kind.image}"
    yield from textwrap.wrap(
        f"  command     {kind.command}", _WIDTH, subsequent_indent=" " * 14, break_on_hyphens=False
    )
    if kind.published:
        yield f"  published   {kind.published}"
    yield from _section("parameters", map(_parameter, kind.parameters))
    if kind.name == SPIN:
        yield from _section("parameters", ["tasks: busy tasks per guest; stands beside kind (default 1)"])
    yield from _section("reports", map(_metric, _metrics(kind)))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0:
            yield ""
            yield f"  {title}:"
        yield from textwrap.wrap(
            line, _WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
        )


def _parameter(one: Parameter) -> str:
    words = "|".join(one.choices) or one.kind
    low, high = ("" if bound is None else f"{bound:g}" for bound in (one.minimum, one.maximum))
    bounds = f" {low}..{high}" if low or high else ""
    default = str(one.default).lower() if isinstance(one.default, bool) else str(one.default)
    return f"{one.name}: {words}{bounds}, default {default or 'none'}" + (f"; {one.doc}" if one.doc else "")


def _metric(one: Metric) -> str:
    better = "" if one.better == "neither" else f", {one.better} is better"
    return f"{one.name} ({one.unit}): {one.doc or 'no description'}; {one.over_guests} over guests{better}"
