# SPDX-License-Identifier: GPL-2.0-only
"""What a plan needs that has to be built, and what of it is there already. Nothing is built to find out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.artifacts.builtonly import NotBuiltError
from lab.artifacts.images import GUEST, HOST, ensure_image
from lab.artifacts.kernels import ensure_kernel, host_kernel_plan
from lab.artifacts.probe import ensure_probe
from lab.artifacts.toolbox import ensure_toolbox
from lab.plan.labplan import ArtifactPlan, KernelPlan, LabPlan

if TYPE_CHECKING:
    from lab.artifacts.workshop import Workshop


@dataclass(frozen=True)
class Build:
    """One thing, and whether it is built."""

    artifact: ArtifactPlan
    is_built: bool

    def __str__(self) -> str:
        state = "is built" if self.is_built else "will be built"
        return f"{self.artifact.name}: {self.artifact.detail}: {state}"


def list_builds(only_built: Workshop, plan: LabPlan) -> tuple[Build, ...]:
    """Everything that `plan` needs, in the order in which it is built; `only_built` is a workshop that builds
    nothing. Raises InputError for inputs of a kernel that cannot be used."""
    return tuple(Build(one, _is_built(only_built, plan, one)) for one in plan.artifacts)


def is_kernel_built(only_built: Workshop, kernel: KernelPlan) -> bool:
    """Whether the cache has it. Raises as `list_builds`."""
    try:
        ensure_kernel(only_built, kernel)
    except NotBuiltError:
        return False
    return True


def _is_built(workshop: Workshop, plan: LabPlan, artifact: ArtifactPlan) -> bool:
    if artifact.kind == "kernel":
        return is_kernel_built(workshop, next(one for one in plan.kernels if one.name == artifact.name))
    try:
        match artifact.kind:
            case "toolbox":
                ensure_toolbox(workshop)
            case "host-kernel":
                ensure_kernel(workshop, host_kernel_plan(workshop.images_dir))
            case "host-image":
                ensure_image(workshop, HOST)
            case "guest-image":
                ensure_image(workshop, GUEST if artifact.name == "guest-image" else artifact.name)
            case "probe":
                ensure_probe(workshop)
    except NotBuiltError:
        return False
    return True
