#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Time to decode, plan and print 1,000 nodes: the median of five runs, in milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue
from lab.plan.labplan import render_plan_json
from lab.plan.text import render_plan_text
from lab.topology.decode import decode_topology

RUNS = 5
HEAD = (
    'version: 1\nname: many\nkernels: {plain: {source: {debian: "6.12"}}}\nload: [{name: busy, tasks: 4}]\n'
)
FACTS = HostFacts(where="local", pcpus=tuple(range(64)), memory_mib=1 << 20, emulated=False)


def _many_pin_sets() -> Iterator[str]:
    """1,000 nodes that all differ: overlapping windows of pCPUs, weights and quotas of all sizes."""
    yield "nodes:"
    for number in range(1000):
        first = number % 61
        pins = ", ".join(f'"{first}-{first + width % 3}"' for width in range(number, number + 4))
        tuning = f"weight: {1 + number}, quota: {1 + number % 100}%"
        yield f"  - {{name: n{number}, vcpus: 4, pinning: [{pins}], {tuning}}}"


SHAPES = {
    "1,000 alike, spread": f"{HEAD}nodes: [{{name: n, count: 1000, vcpus: 4}}]\n",
    "1,000 different": HEAD + "\n".join(_many_pin_sets()) + "\n",
}


def _milliseconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return 1000 * (perf_counter() - began)


def _measure(text: str) -> dict[str, float]:
    path = Path("many.yaml")
    topology = decode_topology(text, path)
    catalogue = KernelCatalogue(path.parent, {})
    plan = plan_lab(topology, FACTS, "bench0", catalogue)
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: decode_topology(text, path),
        "plan": lambda: plan_lab(topology, FACTS, "bench0", catalogue),
        "json": lambda: render_plan_json(plan),
        "text": lambda: render_plan_text(plan),
    }
    return {name: median(_milliseconds(step) for _ in range(RUNS)) for name, step in steps.items()}


def main() -> int:
    for name, text in SHAPES.items():
        figures = ", ".join(f"{step} {took:.0f} ms" for step, took in _measure(text).items())
        print(f"{name}: {figures} (median of {RUNS})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
