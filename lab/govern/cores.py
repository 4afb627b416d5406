# SPDX-License-Identifier: GPL-2.0-only
"""A guest's cores, and the order in which a policy gives them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: `last`: the highest-numbered core first. `numa`: the same within a NUMA cell, cells in proportion to their size.
Policy = Literal["last", "numa"]


@dataclass(frozen=True)
class Core:
    """SMT siblings, which are used or left alone together, and the NUMA cell of the first of them."""

    vcpus: tuple[int, ...]
    cell: int = 0


def make_cores(vcpus: int, threads: int, cells: Sequence[Sequence[int]] = ()) -> tuple[Core, ...]:
    """The cores of a guest with `vcpus` vCPUs, `threads` to a core; `cells` are the vCPUs of its NUMA cells.

    QEMU numbers the threads of a core one after the other (hw/core/machine-smp.c, x86_topo_ids_from_idx).
    """
    cell_of: Mapping[int, int] = {vcpu: number for number, cell in enumerate(cells) for vcpu in cell}
    return tuple(
        Core(tuple(range(first, min(first + threads, vcpus))), cell_of.get(first, 0))
        for first in range(0, vcpus, threads)
    )


def folding_order(cores: Sequence[Core], policy: Policy) -> tuple[Core, ...]:
    """The cores that may be given up, in the order in which `policy` gives them up.

    The first core is never among them: it does the guest's housekeeping (timers, RCU, unbound work).
    """
    highest_first = tuple(reversed(cores[1:]))
    return _in_proportion(highest_first) if policy == "numa" else highest_first


def _in_proportion(cores: Sequence[Core]) -> tuple[Core, ...]:
    """Every beginning of the result takes from each cell in proportion to its cores: the next core is always one
    of the cell that lags behind most; of several, the highest-numbered."""
    sizes = Counter(core.cell for core in cores)
    taken: Counter[int] = Counter()
    left = {cell: [core for core in cores if core.cell == cell] for cell in sizes}
    order: list[Core] = []
    for count in range(1, len(cores) + 1):
        # In whole numbers: count * size / all - taken, times all.
        cell = max(
            (cell for cell in sizes if left[cell]),
            key=lambda cell: (count * sizes[cell] - taken[cell] * len(cores), cell),
        )
        taken[cell] += 1
        order.append(left[cell].pop(0))
    return tuple(order)


def vcpus_of(cores: Iterable[Core]) -> frozenset[int]:
    """All vCPUs of some cores."""
    return frozenset(vcpu for core in cores for vcpu in core.vcpus)
