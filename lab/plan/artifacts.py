# SPDX-License-Identifier: GPL-2.0-only
"""What must exist before a lab can start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from lab.loads.model import GUEST_IMAGE
from lab.plan.labplan import ArtifactPlan, KernelPlan, LoadPlan

_HOST_VM = (
    ArtifactPlan("toolbox", "toolbox", "a QEMU new enough to run the host VM"),
    ArtifactPlan("host-kernel", "host-kernel", "kernel of the host VM, with KVM"),
    ArtifactPlan("host-image", "host-image", "root image of the host VM: libvirtd, QEMU, probe"),
)
_EVERYWHERE = (
    ArtifactPlan("probe", "probe", "static sampler for guests and hosts"),
    ArtifactPlan("guest-image", "guest-image", "read-only root image that guests share"),
)


def plan_artifacts(
    where: str, kernels: Sequence[KernelPlan], loads: Sequence[LoadPlan] = ()
) -> tuple[ArtifactPlan, ...]:
    """Everything needed on a host of kind `where`, in the order in which it is best built."""
    own_host = _HOST_VM if where == "nested" else ()
    return (
        *own_host,
        *_EVERYWHERE,
        *_load_images(loads),
        *(ArtifactPlan("kernel", kernel.name, _detail(kernel)) for kernel in kernels),
    )


def _load_images(loads: Sequence[LoadPlan]) -> Iterator[ArtifactPlan]:
    """Root images with more in them than guests have without such loads."""
    for image in sorted({load.image for load in loads} - {GUEST_IMAGE}):
        kinds = ", ".join(sorted({load.kind for load in loads if load.image == image}))
        yield ArtifactPlan("guest-image", image, f"root image of guests with {kinds}")


def _detail(kernel: KernelPlan) -> str:
    source = f"{kernel.source.kind} {kernel.source.value}"
    ref = f" at {kernel.source.ref}" if kernel.source.ref else ""
    names = ", ".join(PurePath(patch).name for patch in kernel.patches[:3])
    more = f" and {len(kernel.patches) - 3} more" if len(kernel.patches) > 3 else ""
    return source + ref + (f" with {names}{more}" if names else "")
