# SPDX-License-Identifier: GPL-2.0-only
"""Folding ("stop using these vCPUs") by any mechanism, as settings of knobs.

A fold is a state, not a step: what is written says of every vCPU of the node whether it is folded, so that folding
others, or none, undoes what was folded before by the same mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from lab.errors import InputError
from lab.knobs.model import Registry
from lab.plan.knobs import Owner, owner_of, plan_knob, registry_of
from lab.plan.labplan import KnobSetting, LabPlan
from lab.plan.network import domain_name
from lab.plan.selection import matching
from lab.strictyaml.findings import unknown
from lab.topology.model import Topology
from lab.topology.spec import FOLD_MECHANISMS, FoldSpec
from lab.units import format_cpulist

#: Of a folded vCPU, the least that the kernel takes: cpu.weight 1, and 1 ms (min_cfs_quota_period) of 100 ms.
FOLDED_WEIGHT, FOLDED_QUOTA_PCT = 1, 1
#: Of a vCPU that is not folded: libvirt leaves it the default weight, and its own quota where the node has none.
USUAL_WEIGHT, NO_QUOTA_PCT = 100, 100


@dataclass(frozen=True)
class _Fold:
    """What is to be written."""

    owner: Owner
    folded: tuple[int, ...]
    registry: Registry
    quota_pct: float | None

    @property
    def staying(self) -> tuple[int, ...]:
        return tuple(vcpu for vcpu in range(self.owner.vcpus) if vcpu not in self.folded)


def plan_fold(
    owner: Owner,
    vcpus: Iterable[int],
    mechanism: str,
    registry: Registry,
    *,
    quota_pct: float | None = None,
    optional: bool = False,
) -> tuple[KnobSetting, ...]:
    """The writes after which a guest leaves exactly `vcpus` alone by `mechanism`; none: it uses all of them again.

    `quota_pct` is the guest's own quota, which vCPUs that are not folded keep. Raises InputError for a mechanism or
    a vCPU that there is not, and where no vCPU would be left.
    """
    if mechanism not in _WRITES:
        raise InputError(unknown("folding mechanism", mechanism, FOLD_MECHANISMS))
    fold = _Fold(owner, tuple(sorted(set(vcpus))), registry, quota_pct)
    _check(fold, mechanism)
    return tuple(
        replace(one, optional=optional, fold=mechanism, fold_node=owner.name, fold_vcpus=fold.folded)
        for one in _WRITES[mechanism](fold)
    )


def plan_fold_in(
    plan: LabPlan, node: str, vcpus: Iterable[int], mechanism: str, *, optional: bool = False
) -> tuple[KnobSetting, ...]:
    """`plan_fold` in a lab that is planned. KeyError if there is no such node."""
    quota_pct = plan.node(node).quota_pct
    owner, registry = owner_of(plan, node), registry_of(plan)
    return plan_fold(owner, vcpus, mechanism, registry, quota_pct=quota_pct, optional=optional)


def plan_folds(folds: Sequence[FoldSpec], topology: Topology, lab_id: str) -> tuple[KnobSetting, ...]:
    """A phase's folds in the order given, each on every node that its glob matches."""
    return tuple(
        setting
        for spec in folds
        for node in matching(topology.nodes, spec.nodes)
        for setting in plan_fold(
            Owner(node.name, node.vcpus, domain_name(lab_id, node.name)),
            spec.vcpus,
            spec.by,
            topology.registry,
            quota_pct=node.quota_pct,
            optional=spec.optional,
        )
    )


def fold_event(setting: KnobSetting) -> dict[str, Any]:
    """What the event of this write says of folding, for lab.measure.foldings; nothing where it does not fold."""
    if setting.fold is None:
        return {}
    vcpus = format_cpulist(setting.fold_vcpus)
    return {"fold": setting.fold, "fold_node": setting.fold_node, "fold_vcpus": vcpus}


def _check(fold: _Fold, mechanism: str) -> None:
    name, vcpus = fold.owner.name, fold.owner.vcpus
    beyond = [vcpu for vcpu in fold.folded if vcpu >= vcpus]
    if beyond:
        raise InputError(f"fold of {name}: vCPU {format_cpulist(beyond)} does not exist (vcpus: {vcpus})")
    if fold.folded and not fold.staying:
        raise InputError(f"fold of {name}: would leave it no vCPU (it has {vcpus})")
    if mechanism == "hotplug" and 0 in fold.folded:
        raise InputError(f"fold of {name}: vCPU 0 cannot be taken offline on x86", "fold another vCPU")


def _mask(fold: _Fold, *, preferred: bool) -> tuple[KnobSetting, ...]:
    """Both masks are one knob: what tells them apart is whether a place holds the vCPUs to avoid or the others."""
    (setting,) = _knob(fold, "avoid_cpus", fold.folded)
    candidates = tuple(
        one
        for one in setting.candidates
        if preferred is (one.conversion is not None and one.conversion.complement)
    )
    if not candidates:
        kind = "preferred vCPUs" if preferred else "vCPUs to avoid"
        raise InputError(
            f"fold of {fold.owner.name}: no place holds a mask of {kind}", "`lab knob explain avoid_cpus`"
        )
    return (replace(setting, candidates=candidates),)


def _knob(fold: _Fold, name: str, vcpus: Sequence[int]) -> tuple[KnobSetting, ...]:
    return plan_knob(fold.owner, name, format_cpulist(vcpus), fold.registry)


def _for_both(fold: _Fold, name: str, *, folded: int, staying: int) -> tuple[KnobSetting, ...]:
    """One value for each vCPU that stays, another for each that is folded; those that stay come first."""
    return tuple(
        setting
        for vcpus, value in ((fold.staying, staying), (fold.folded, folded))
        if vcpus
        for setting in plan_knob(fold.owner, name, str(value), fold.registry, vcpus=vcpus)
    )


def _weight(fold: _Fold) -> tuple[KnobSetting, ...]:
    return _for_both(fold, "vcpu.weight", folded=FOLDED_WEIGHT, staying=USUAL_WEIGHT)


def _quota(fold: _Fold) -> tuple[KnobSetting, ...]:
    own_pct = NO_QUOTA_PCT if fold.quota_pct is None else min(NO_QUOTA_PCT, max(1, round(fold.quota_pct)))
    return _for_both(fold, "vcpu.quota", folded=FOLDED_QUOTA_PCT, staying=own_pct)


_WRITES: Mapping[str, Callable[[_Fold], tuple[KnobSetting, ...]]] = MappingProxyType(
    {
        "mask": lambda fold: _mask(fold, preferred=False),
        "preferred": lambda fold: _mask(fold, preferred=True),
        "hotplug": lambda fold: _knob(fold, "cpu_online", fold.staying),
        "cpuset": lambda fold: _knob(fold, "isolated_cpus", fold.folded),
        "weight": _weight,
        "quota": _quota,
    }
)
