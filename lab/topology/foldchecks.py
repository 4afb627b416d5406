# SPDX-License-Identifier: GPL-2.0-only
"""Checks of folds: what a node is left with when all that is folded at one time is taken together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.strictyaml.findings import Finding, Loc
from lab.topology.resolve import NodeTable
from lab.topology.spec import FOLD_MECHANISMS, FoldSpec, PhaseSpec
from lab.units import format_cpulist

#: What a finding about vCPUs rests upon besides its own phase.
_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))


def check_folds(phases: Sequence[PhaseSpec], nodes: NodeTable) -> Iterator[Finding]:
    """Folds stand until they are undone, each mechanism's own: together they leave a vCPU to each node."""
    folded: dict[tuple[str, str], set[int]] = {}
    for index, phase in enumerate(phases):
        for place, fold in enumerate(phase.fold):
            loc: Loc = ("phases", index, "fold", place, "vcpus")
            finding = _check_fold(fold, nodes, folded, loc)
            if finding is not None:
                yield finding


def _check_fold(
    fold: FoldSpec, nodes: NodeTable, folded: dict[tuple[str, str], set[int]], loc: Loc
) -> Finding | None:
    """The first thing wrong with `fold`, which is added to `folded`: vCPUs by node and mechanism."""
    if fold.by == "hotplug" and 0 in fold.vcpus:
        return Finding(
            loc, "vCPU 0 cannot be taken offline on x86; fold another one, or by another mechanism"
        )
    found = None
    for name, entry in nodes.matching(fold.nodes):
        others = (folded.get((name, how), set()) for how in FOLD_MECHANISMS if how != fold.by)
        all_vcpus = set(range(entry.node.vcpus))
        together = set(fold.vcpus).union(*others) & all_vcpus
        if fold.vcpus and together == all_vcpus:
            found = found or _leaves_none(name, entry.node.vcpus, together - set(fold.vcpus), loc)
            continue
        folded[name, fold.by] = set(fold.vcpus)
    return found


def _leaves_none(name: str, vcpus: int, elsewhere: set[int], loc: Loc) -> Finding:
    before = f", {format_cpulist(elsewhere)} is folded already" if elsewhere else ""
    return Finding(loc, f"would leave {name} no vCPU (it has {vcpus}{before})", needs=(("phases",), *_NODES))
