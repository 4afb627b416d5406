# SPDX-License-Identifier: GPL-2.0-only
"""A checked topology: counts expanded, defaults applied, names resolved. What planning starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab.knobs.model import Registry
from lab.loads.catalogue import shipped_loads
from lab.loads.model import Catalogue
from lab.topology.armspec import ArmSpec, RepeatsSpec
from lab.topology.atoms import PinningPolicy
from lab.topology.contentionspec import HogSpec
from lab.topology.spec import (
    AllowFindingSpec,
    CpuTopologySpec,
    ExpectationSpec,
    HostSpec,
    KernelSpec,
    KnobSetSpec,
    LoadSpec,
    MeasureSpec,
    NumaCellSpec,
    PhaseSpec,
)
from lab.topology.tracespec import Trace


@dataclass(frozen=True)
class Node:
    """One guest to be. `pinning` is a policy, or one tuple of pCPUs per vCPU."""

    name: str
    vcpus: int
    memory_mib: int
    kernel: str
    pinning: PinningPolicy | tuple[tuple[int, ...], ...]
    topology: CpuTopologySpec
    numa: tuple[NumaCellSpec, ...]
    weight: int
    quota_pct: float | None


@dataclass(frozen=True)
class Topology:
    """A topology in which every reference is known to resolve.

    `directory` is where relative paths of the file start; `text` is the file as it was given. Node globs in
    knobs, loads and expectations are kept as written; each is known to match at least one node. `registry` has
    every knob: the shipped ones and those that the topology and its knob files define. `repeats` are of `arms`.
    `load_kinds` has every kind of load, likewise. `trace` is of phases that say nothing themselves.
    """

    name: str
    description: str
    path: Path
    directory: Path
    text: str
    host: HostSpec
    kernels: dict[str, KernelSpec]
    nodes: tuple[Node, ...]
    registry: Registry
    knobs: tuple[KnobSetSpec, ...]
    loads: tuple[LoadSpec, ...]
    phases: tuple[PhaseSpec, ...]
    measure: MeasureSpec
    expectations: tuple[ExpectationSpec, ...]
    arms: tuple[ArmSpec, ...] = ()
    repeats: RepeatsSpec = field(default_factory=RepeatsSpec)
    load_kinds: Catalogue = field(default_factory=shipped_loads)
    hogs: tuple[HogSpec, ...] = ()
    trace: Trace | None = None
    allow_findings: tuple[AllowFindingSpec, ...] = ()
