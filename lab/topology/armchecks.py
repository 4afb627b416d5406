# SPDX-License-Identifier: GPL-2.0-only
"""Checks of arms and repeats, and the topology as each arm sees it.

Whether phases make sense depends on the arm: what it folds, what runs in it, what governs. So whatever is checked
of phases and expectations is checked of every arm's variant of the file, and told where the author wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.armspec import AA_ARM, ArmKernelSpec, ArmSpec, RepeatsSpec
from lab.topology.changespec import FoldSpec, KnobSetSpec
from lab.topology.resolve import NodeTable
from lab.topology.spec import EXPECTATION_KINDS, PhaseSpec, TopologySpec

#: Windows of a run, warm-ups included.
MAX_WINDOWS = 10_000

_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))
_ARMS: tuple[Loc, ...] = (("arms",), ("phases",))


# ---- what an arm makes of the file


@dataclass(frozen=True)
class Variant:
    """A topology as the arm number `index` has it: its changes stand in the first phase, its loads in all.

    `origins` says for an entry of a list of the variant where it stands in the file, where that is elsewhere.
    """

    spec: TopologySpec
    arm: str | None = None
    index: int = 0
    origins: tuple[tuple[Loc, Loc], ...] = ()

    def in_file(self, finding: Finding) -> Finding:
        """A finding about the variant as one about the file."""
        loc = self._origin(finding.loc)
        needs = finding.needs if loc == finding.loc else (("arms", self.index), *_ARMS, *finding.needs)
        return replace(finding, loc=loc, needs=needs)

    def _origin(self, loc: Loc) -> Loc:
        """The longest part of `loc` that is known to stand elsewhere counts."""
        for length in range(len(loc), 0, -1):
            for here, there in self.origins:
                if loc[:length] == here:
                    return (*there, *loc[length:])
        return loc


def variants(spec: TopologySpec) -> tuple[Variant, ...]:
    """What the phases and expectations are to be checked of: the file itself, or every arm's variant of it."""
    if not spec.arms or not spec.phases:
        return (Variant(spec),)
    return tuple(_variant(spec, index, arm) for index, arm in enumerate(spec.arms))


def arm_phases(phases: Sequence[PhaseSpec], arm: ArmSpec) -> tuple[PhaseSpec, ...]:
    """The phases as they are in `arm`: its changes come before those of the first, its loads run in all."""
    made = []
    for number, phase in enumerate(phases):
        first = number == 0
        made.append(
            phase.model_copy(
                update={
                    "set": _as_in(arm, (*arm.set, *phase.set) if first else phase.set),
                    "fold": _as_in(arm, (*arm.fold, *phase.fold) if first else phase.fold),
                    "start": (*_without(phase.start, arm.stop), *(arm.start if first else ())),
                    "stop": _without(phase.stop, arm.stop),
                    "trace": phase.trace if arm.trace is None else arm.trace,
                }
            )
        )
    return tuple(made)


_Change = TypeVar("_Change", KnobSetSpec, FoldSpec)


def _as_in(arm: ArmSpec, changes: Sequence[_Change]) -> tuple[_Change, ...]:
    if not arm.lacks_knobs:
        return tuple(changes)
    return tuple(change.model_copy(update={"optional": True}) for change in changes)


def _without(names: Sequence[str], left_out: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in left_out)


def _variant(spec: TopologySpec, index: int, arm: ArmSpec) -> Variant:
    made = spec.model_copy(update={"phases": arm_phases(spec.phases, arm)})
    return Variant(made, arm.name, index, tuple(_origins(spec.phases, index, arm)))


def _origins(phases: Sequence[PhaseSpec], index: int, arm: ArmSpec) -> Iterator[tuple[Loc, Loc]]:
    """Entries of a variant's phases that stand elsewhere in the file."""
    for key, mine, theirs in (("set", arm.set, phases[0].set), ("fold", arm.fold, phases[0].fold)):
        for place in range(len(mine)):
            yield ("phases", 0, key, place), ("arms", index, key, place)
        for place in range(len(theirs)):
            yield ("phases", 0, key, len(mine) + place), ("phases", 0, key, place)
    for number, phase in enumerate(phases):
        for key, names in (("start", phase.start), ("stop", phase.stop)):
            kept = [place for place, name in enumerate(names) if name not in arm.stop]
            for here, place in enumerate(kept):
                yield ("phases", number, key, here), ("phases", number, key, place)
            if number == 0 and key == "start":
                for place in range(len(arm.start)):
                    yield ("phases", 0, key, len(kept) + place), ("arms", index, key, place)


def is_about(said: str | None, arm: str | None, spec: TopologySpec) -> bool:
    """Whether an expectation that names the arm `said` is to be checked of the variant of `arm`."""
    baseline = spec.repeats.baseline if spec.repeats is not None else None
    first = spec.arms[0].name if spec.arms else None
    return said in (None, arm) or (said == AA_ARM and arm == (baseline or first))


def merge_findings(found: Sequence[tuple[Variant, Iterable[Finding]]]) -> Iterator[Finding]:
    """What was found of all variants, each told once; what is wrong in some arms only says in which."""
    of_arms: dict[tuple[Loc, str], list[str]] = {}
    first: dict[tuple[Loc, str], Finding] = {}
    for variant, findings in found:
        for finding in map(variant.in_file, findings):
            key = (finding.loc, finding.message)
            first.setdefault(key, finding)
            if variant.arm is not None and variant.arm not in of_arms.setdefault(key, []):
                of_arms[key].append(variant.arm)
    everywhere = len({variant.arm for variant, _ in found})
    for key, finding in first.items():
        arms = of_arms.get(key, [])
        some = 0 < len(arms) < everywhere and finding.loc[0] != "arms"
        yield replace(finding, message=f"{finding.message} (in arm {', '.join(arms)})") if some else finding


# ---- arms and repeats themselves


def check_arms(spec: TopologySpec, nodes: NodeTable) -> Iterator[Finding]:
    """Everything wrong with `arms` and `repeats`, and with what expectations say of arms."""
    yield from _check_names(spec.arms)
    if spec.arms and not spec.phases:
        yield Finding(("arms",), "arms are compared in phases, but there is none", needs=(("phases",),))
    for index, arm in enumerate(spec.arms):
        yield from _check_kernel(spec, arm, nodes, ("arms", index, "kernel"))
        yield from _check_stops(spec, arm, ("arms", index, "stop"))
    yield from _check_repeats(spec)
    yield from _check_expectations(spec)


def _check_names(arms: Sequence[ArmSpec]) -> Iterator[Finding]:
    names = [arm.name for arm in arms]
    for index, name in enumerate(names):
        if names.index(name) != index:
            yield Finding(
                ("arms", index, "name"), f"arm {name!r} already stands at arms[{names.index(name)}]"
            )


def _check_kernel(spec: TopologySpec, arm: ArmSpec, nodes: NodeTable, loc: Loc) -> Iterator[Finding]:
    if isinstance(arm.kernel, str):
        yield from _check_known_kernel(spec, arm.kernel, loc)
        return
    booting: dict[str, int] = {}
    for place, one in enumerate(arm.kernel or ()):
        yield from _check_known_kernel(spec, one.kernel, (*loc, place, "kernel"))
        yield from _check_kernel_nodes(one, place, booting, nodes, (*loc, place, "nodes"))


def _check_known_kernel(spec: TopologySpec, kernel: str, loc: Loc) -> Iterator[Finding]:
    if kernel not in spec.kernels:
        yield Finding(loc, unknown("kernel", kernel, spec.kernels), needs=(loc[:2], ("kernels", "*")))


def _check_kernel_nodes(
    one: ArmKernelSpec, place: int, booting: dict[str, int], nodes: NodeTable, loc: Loc
) -> Iterator[Finding]:
    matched = [name for name in nodes.names if fnmatchcase(name, one.nodes)]
    needs = (loc[:2], *_NODES)
    if not matched:
        yield Finding(loc, unknown("node", one.nodes, nodes.names), needs=needs)
    twice = next((name for name in matched if name in booting), None)
    if twice is not None:
        yield Finding(loc, f"the kernel of {twice} already stands at kernel[{booting[twice]}]", needs=needs)
    for name in matched:
        booting.setdefault(name, place)


def _check_stops(spec: TopologySpec, arm: ArmSpec, loc: Loc) -> Iterator[Finding]:
    started = {name for phase in spec.phases for name in phase.start}
    for place, name in enumerate(arm.stop):
        if name in arm.start:
            yield Finding((*loc, place), f"{name!r} stands in both start and stop of arm {arm.name!r}")
        elif name not in started and spec.phases:
            known = ", ".join(sorted(started)) or "none"
            message = f"no phase starts {name!r}, so there is nothing to leave out; they start {known}"
            yield Finding((*loc, place), message, needs=(loc[:2], *_ARMS))


def _check_repeats(spec: TopologySpec) -> Iterator[Finding]:
    repeats = spec.repeats
    if not spec.arms:
        if repeats is not None:
            yield Finding(("repeats",), "repeats are of arms, but there is none", needs=(("arms",),))
        return
    asked = repeats or RepeatsSpec()
    yield from _check_comparable(spec, asked)
    yield from _check_order(asked)
    windows = (len(spec.arms) + asked.aa) * (asked.count + asked.warmup) * len(spec.phases)
    if windows > MAX_WINDOWS:
        message = f"arms x repeats x phases make {windows} windows; at most {MAX_WINDOWS} are possible"
        yield Finding(("repeats",) if repeats else ("arms",), message, needs=_ARMS)


def _check_comparable(spec: TopologySpec, asked: RepeatsSpec) -> Iterator[Finding]:
    names = [arm.name for arm in spec.arms]
    if asked.baseline is not None and asked.baseline not in names:
        loc: Loc = ("repeats", "baseline")
        yield Finding(loc, unknown("arm", asked.baseline, names), needs=(("repeats",), ("arms", "*")))
    if asked.aa and AA_ARM in names:
        loc = ("arms", names.index(AA_ARM), "name")
        yield Finding(loc, f"{AA_ARM!r} is the name of the arm that `aa` adds", needs=(loc[:2], ("repeats",)))
    if len(names) == 1 and not asked.aa:
        message = f"arm {names[0]!r} is alone: there is nothing to compare; add one, or aa: true to `repeats`"
        yield Finding(("arms",), message, needs=(("arms",), ("repeats",)))


def _check_order(asked: RepeatsSpec) -> Iterator[Finding]:
    if asked.order == "abba" and asked.count % 2:
        message = f"order abba is balanced over an even number of repeats, not over {asked.count}"
        yield Finding(("repeats", "order"), message)


def _check_expectations(spec: TopologySpec) -> Iterator[Finding]:
    names = [arm.name for arm in spec.arms]
    if spec.repeats is not None and spec.repeats.aa:
        names.append(AA_ARM)
    for index, expectation in enumerate(spec.expect):
        for kind in EXPECTATION_KINDS:
            said = getattr(expectation, kind)
            arm = None if said is None else getattr(said, "arm", None)
            if arm is None:
                continue
            loc: Loc = ("expect", index, kind, "arm")
            if arm not in names:
                yield Finding(loc, unknown("arm", arm, names), needs=(loc[:2], ("arms", "*"), ("repeats",)))
            elif kind.startswith("affinity") and said.phase is None:
                yield Finding(loc, "from start to end is over all arms; say in which phase")
