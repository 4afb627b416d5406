# SPDX-License-Identifier: GPL-2.0-only
"""A bundle's scenario on a host here: its kernels settled, its topology moved, its plan made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.artifacts.catalogue import FRAGMENT, read_kernel_catalogue
from lab.artifacts.foreign import why_foreign
from lab.artifacts.swap import Swap, Swapped, find_swap, split_swap, with_patches
from lab.cli.asked import PLAN_LAB_ID
from lab.cli.builds import is_kernel_built
from lab.errors import InputError
from lab.plan.arms import used_kernels
from lab.plan.decide import plan_lab
from lab.plan.easing import ease_knobs
from lab.plan.replaying import Fitting, fit_scenario, replay_facts, replay_topology
from lab.recording import Recording
from lab.topology.decode import read_topology, topology_of

if TYPE_CHECKING:
    from lab.artifacts.workshop import Workshop
    from lab.bundle.manifest import Bundle
    from lab.plan.facts import HostFacts
    from lab.plan.labplan import KernelPlan, LabPlan
    from lab.topology.model import Topology
    from lab.topology.spec import KernelSpec

#: Plans a topology on a host.
MakePlan = Callable[["Topology", "HostFacts"], "LabPlan"]
_IN_BUNDLE = ("tarball", "tree", "image")


@dataclass(frozen=True)
class Scenario:
    """What is to be run again. `kernels` are entries of the topology's `kernels` that are replaced, `told` says of
    each kernel what it is here; `swap` is the one that the user put in place of the reporter's, None without."""

    bundle: Bundle
    topology: Topology
    recorded: LabPlan
    swap: Swap | None = None
    kernels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    def fit(self, here: HostFacts, no_kvm: str = "") -> Fitting:
        """Whether the host has what the scenario needs. Raises InputError where it is not of one piece."""
        return fit_scenario(self.topology, self.recorded, here, no_kvm)

    def text(self, here: HostFacts, no_kvm: str = "") -> str:
        """The topology for that host. Raises HostError where it is unfit."""
        remapping = self.fit(here, no_kvm).require(here.where)
        return replay_topology(self.topology, self.recorded, remapping, here.where, self.kernels)

    def plan(self, here: HostFacts, make_plan: MakePlan, no_kvm: str = "") -> LabPlan:
        """The plan for that host. Raises HostError where it is unfit, TopologyError where the moved topology is not
        sound, which can only be the bundle's fault."""
        asked = topology_of(self.text(here, no_kvm), self.bundle.topology)
        seen = replay_facts(here, self.fit(here, no_kvm).require(here.where))
        plan = replace(make_plan(asked, seen), host=here)
        return plan if self.swap is None else _for_swapped(plan, self.swap)


def _for_swapped(plan: LabPlan, swap: Swap) -> LabPlan:
    """Of a kernel that is not the one that was recorded, nobody knows which knobs and config symbols it has."""
    foreign = {str(Path(path).absolute()) for path in swap.foreign_config}
    kernels = tuple(
        replace(one, tolerated=tuple(path for path in one.fragments if path in foreign))
        if one.name == swap.kernel
        else one
        for one in plan.kernels
    )
    return ease_knobs(replace(plan, kernels=kernels), swap.kernel)


def read_scenario(bundle: Bundle) -> Scenario:
    """The scenario of a bundle. Raises InputError where its topology is not sound."""
    return Scenario(bundle, read_topology(bundle.topology), Recording(bundle.recording).plan())


def swap_kernel(scenario: Scenario, kernel: str | None, patches: Path | None, images_dir: Path) -> Scenario:
    """With another kernel, with other patches, or both. Raises InputError for what is none."""
    if kernel is None and patches is None:
        return scenario
    used = used_specs(scenario.topology)
    if kernel is not None:
        name, what = split_swap(kernel, used)
        swapped = _swapped(scenario, name)
        swap = find_swap(what, swapped, scenario.topology.kernels, images_dir, Path.cwd())
    else:
        name, swap = next(iter(used)), None
        if len(used) > 1:
            raise InputError(
                f"--patches: the scenario boots {len(used)} kernels ({', '.join(used)}); say which one is patched",
                f"for example --kernel {name}={name}",
            )
        swapped = _swapped(scenario, name)
    if patches is not None:
        swap = with_patches(swap, swapped, patches)
    assert swap is not None
    kernels = {**scenario.kernels, name: swap.entry}
    return replace(
        scenario, swap=swap, kernels=kernels, told={**scenario.told, name: f"swapped: {swap.told}"}
    )


def used_specs(topology: Topology) -> dict[str, KernelSpec]:
    """The kernels that any node boots, by name."""
    used = used_kernels(topology)
    return {name: spec for name, spec in topology.kernels.items() if name in used}


def _swapped(scenario: Scenario, name: str) -> Swapped:
    spec, directory = scenario.topology.kernels[name], scenario.bundle.directory
    series = [directory / entry / FRAGMENT for entry in spec.patches]
    return Swapped(name, spec, directory, tuple(path for path in series if path.is_file()))


# ---- the reporter's own kernels


def settle_sources(scenario: Scenario) -> Scenario:
    """Kernels whose source is not here are taken from the bundle as they were built there; so is nothing else.

    Raises InputError where a kernel can neither be built nor taken.
    """
    for name, spec in scenario.topology.kernels.items():
        if name not in scenario.kernels and not _is_here(scenario, spec):
            scenario = _take_image(scenario, name, "its source is not here")
    return scenario


def _is_here(scenario: Scenario, spec: KernelSpec) -> bool:
    paths = [path for kind in _IN_BUNDLE if (path := getattr(spec.source, kind)) is not None]
    return all((scenario.bundle.directory / path).exists() for path in paths)


def settle_builds(scenario: Scenario, plan: LabPlan, only_built: Workshop, *, allowed: bool) -> Scenario:
    """What came from the reporter is built only where that was `allowed`; else its kernel is taken as it was built
    there, unless it is built here already.

    Raises InputError where neither can be.
    """
    for kernel in plan.kernels:
        if kernel.name in scenario.kernels:
            continue
        if kernel.source.kind == "image":
            scenario = _tell(scenario, kernel.name, "the ready image that the reporter used")
            continue
        if is_kernel_built(only_built, kernel):
            scenario = _tell(scenario, kernel.name, "the reporter's, built here before")
            continue
        reason = _why_foreign(kernel, only_built.images_dir)
        if not reason:
            scenario = _tell(scenario, kernel.name, "the reporter's, built here")
        elif allowed:
            scenario = _tell(scenario, kernel.name, f"the reporter's, built here ({reason})")
        else:
            scenario = _take_image(scenario, kernel.name, f"{reason}, and --allow-host is not given")
    return scenario


def _why_foreign(kernel: KernelPlan, images_dir: Path) -> str:
    if kernel.source.kind != "debian":
        return f"its {kernel.source.kind} is the reporter's"
    return why_foreign(kernel, images_dir)


def _tell(scenario: Scenario, name: str, what: str) -> Scenario:
    return replace(scenario, told={**scenario.told, name: what})


def _take_image(scenario: Scenario, name: str, why: str) -> Scenario:
    part = scenario.bundle.kernel(name)
    image = None if part is None else scenario.bundle.path(part.vmlinux or part.bzimage)
    if image is None:
        builds = "; --allow-host builds it, which runs the reporter's build scripts on this machine"
        raise InputError(
            f"kernel {name} of the bundle: {why}, and the bundle has no image of it",
            f"--kernel {name}=PATH puts another in its place{builds if 'allow-host' in why else ''}",
        )
    spec = scenario.topology.kernels[name]
    entry = {"source": {"image": str(image)}, **({"cmdline": spec.cmdline} if spec.cmdline else {})}
    return replace(
        scenario,
        kernels={**scenario.kernels, name: entry},
        told={**scenario.told, name: f"the reporter's image, as it was built there ({why})"},
    )


def plan_unasked(images_dir: Path) -> MakePlan:
    """Plans that nobody carries out."""

    def make_plan(topology: Topology, facts: HostFacts) -> LabPlan:
        return plan_lab(topology, facts, PLAN_LAB_ID, read_kernel_catalogue(topology, images_dir))

    return make_plan
