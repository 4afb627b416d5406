# SPDX-License-Identifier: GPL-2.0-only
"""From a knob's name and value to writes: every place that may back it, with the text that belongs there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lab.errors import InputError
from lab.knobs.convert import conversion, fit, from_raw
from lab.knobs.load import shipped_registry
from lab.knobs.model import Backend, Conversion, Knob, Registry
from lab.knobs.registry import merge
from lab.plan.labplan import HOST_SCOPE, KnobCandidate, KnobSetting, LabPlan
from lab.plan.network import domain_name
from lab.plan.selection import matching
from lab.strictyaml.findings import unknown
from lab.topology.model import Node
from lab.topology.spec import KnobSetSpec, is_knob_path, value_text


@dataclass(frozen=True)
class Owner:
    """Whose knob is meant: a guest by its node's name, number of vCPUs and domain, or the host."""

    name: str
    vcpus: int = 0
    domain: str = ""


HOST = Owner(HOST_SCOPE)


def registry_of(plan: LabPlan) -> Registry:
    """Every knob of a lab: the shipped ones, and those that its topology defined."""
    return merge(shipped_registry(), plan.registry)


def owner_of(plan: LabPlan, node: str) -> Owner:
    """The owner called `node` in `plan`; HOST_SCOPE is the host. KeyError if there is no such node."""
    if node == HOST_SCOPE:
        return HOST
    found = plan.node(node)
    return Owner(found.name, len(found.vcpus), found.domain)


def find_knob(name: str, registry: Registry, *, scope: str = "guest") -> Knob:
    """The knob called `name`, or the file that an absolute path names, in the guest or on the host.

    Raises InputError for anything else.
    """
    if is_knob_path(name):
        return Knob(name, "host" if scope == "host" else "guest", "text", "a file by its path")
    if name not in registry.knobs:
        raise InputError(
            unknown("knob", name, registry.knobs),
            "`lab knob list --all` names all; an absolute path in the guest can be written as well",
        )
    return registry.knobs[name]


def plan_knob(
    owner: Owner,
    name: str,
    value: str,
    registry: Registry,
    *,
    optional: bool = False,
    generation: str | None = None,
    vcpus: Sequence[int] | None = None,
) -> tuple[KnobSetting, ...]:
    """Set the knob `name` of `owner`: one write, or one for each of its `vcpus` where the host keeps it for each.

    Raises InputError for a knob that is unknown, somebody else's or only read, and for a value that cannot be.
    """
    knob = _owned(owner, name, registry)
    if knob.read_only:
        raise InputError(
            f"knob {name} of {owner.name} can only be read", f"`lab knob get {owner.name} {name}`"
        )
    try:
        fits = fit(knob, _places(knob, registry, generation), value, owner.vcpus)
    except ValueError as error:
        raise InputError(f"knob {name} of {owner.name} cannot be {value!r}: {error}") from None
    candidates = [_candidate(knob, one.backend, one.raw, owner) for one in fits.fits]
    setting = KnobSetting(
        owner.name, name, fits.value, knob.kind, tuple(candidates), optional, left_out=fits.left_out
    )
    return _for_each_vcpu(setting, owner, vcpus)


def plan_reading(
    owner: Owner, name: str, registry: Registry, *, generation: str | None = None
) -> tuple[KnobSetting, ...]:
    """The same for reading: nothing is to be written, so the value and every `raw` are empty."""
    knob = _owned(owner, name, registry)
    candidates = [_candidate(knob, one, "", owner) for one in _places(knob, registry, generation)]
    return _for_each_vcpu(KnobSetting(owner.name, name, "", knob.kind, tuple(candidates)), owner, None)


def plan_knobs(
    settings: Iterable[KnobSetSpec], nodes: Sequence[Node], registry: Registry, lab_id: str
) -> tuple[KnobSetting, ...]:
    """Writes in the order given, each on every node that its glob matches, or on the host."""
    return tuple(
        write
        for spec in settings
        for owner in _owners(spec, nodes, registry, lab_id)
        for write in plan_knob(
            owner,
            spec.knob,
            value_text(spec.value),
            registry,
            optional=spec.optional,
            generation=spec.generation,
            vcpus=spec.vcpus,
        )
    )


def _owners(spec: KnobSetSpec, nodes: Sequence[Node], registry: Registry, lab_id: str) -> list[Owner]:
    if find_knob(spec.knob, registry).scope == "host":
        return [HOST]
    found = matching(nodes, spec.nodes)
    return [Owner(node.name, node.vcpus, domain_name(lab_id, node.name)) for node in found]


def _owned(owner: Owner, name: str, registry: Registry) -> Knob:
    scope = "host" if owner == HOST else "guest"
    knob = find_knob(name, registry, scope=scope)
    if knob.scope != scope:
        whose = f"the host's, not of {owner.name}" if knob.scope == "host" else "a guest's, not the host's"
        raise InputError(f"knob {name} is {whose}", f"`lab knob explain {name}`")
    return knob


def _places(knob: Knob, registry: Registry, generation: str | None) -> tuple[Backend, ...]:
    if is_knob_path(knob.name):
        return (Backend(knob.name, "", "file", knob.name),)
    places = registry.backends[knob.name]
    chosen = tuple(place for place in places if generation in (None, place.generation))
    if places and not chosen:
        known = dict.fromkeys(place.generation for place in places)
        raise InputError(unknown(f"generation of {knob.name}", str(generation), known))
    if not chosen:
        raise InputError(f"knob {knob.name} has no place where it is kept", f"`lab knob explain {knob.name}`")
    return chosen


def _candidate(knob: Knob, place: Backend, raw: str, owner: Owner) -> KnobCandidate:
    how = None if is_knob_path(knob.name) else conversion(knob, place, owner.vcpus)
    return KnobCandidate(place.generation, place.kind, place.path, raw, knob.kind, place.reload, how)


def value_of(candidate: KnobCandidate, raw: str) -> str:
    """The knob's value, in its own unit, where the place of `candidate` holds `raw`.

    Raises ValueError for what the place cannot hold.
    """
    return from_raw(candidate.conversion or Conversion(candidate.compare), raw)


def _for_each_vcpu(
    setting: KnobSetting, owner: Owner, vcpus: Sequence[int] | None
) -> tuple[KnobSetting, ...]:
    """A control group is on the host, and the guest's, or a vCPU's: one write for each. Other settings stay one."""
    if setting.candidates[0].kind == "domain_cgroup" and vcpus is None:
        candidates = tuple(replace(one, path=f"{owner.domain}/{one.path}") for one in setting.candidates)
        return (replace(setting, node=HOST_SCOPE, guest=owner.name, candidates=candidates),)
    if setting.candidates[0].kind != "cgroup":
        if vcpus is not None:
            raise InputError(f"knob {setting.knob} is not kept for each vCPU")
        return (setting,)
    return tuple(
        replace(
            setting,
            node=HOST_SCOPE,
            guest=owner.name,
            candidates=tuple(_of_vcpu(one, owner, vcpu) for one in setting.candidates),
        )
        for vcpu in (range(owner.vcpus) if vcpus is None else vcpus)
    )


def _of_vcpu(candidate: KnobCandidate, owner: Owner, vcpu: int) -> KnobCandidate:
    return replace(candidate, path=f"{owner.domain}/vcpu{vcpu}/{candidate.path}")


def plan_knob_in(plan: LabPlan, node: str, name: str, value: str) -> tuple[KnobSetting, ...]:
    """`plan_knob` in a lab that is planned; HOST_SCOPE as `node` is its host."""
    return plan_knob(owner_of(plan, node), name, value, registry_of(plan))


def plan_reading_in(plan: LabPlan, node: str, name: str) -> tuple[KnobSetting, ...]:
    """`plan_reading` in a lab that is planned."""
    return plan_reading(owner_of(plan, node), name, registry_of(plan))
