# SPDX-License-Identifier: GPL-2.0-only
"""Models of what is changed at one moment: knobs that are set, vCPUs that are folded."""

from __future__ import annotations

from pydantic import Field

from lab.topology.atoms import AnyCpulist, Cpulist, FoldMechanism, Spec


class KnobSetSpec(Spec):
    """A knob written on the nodes that `nodes` matches, or on the host where it is the host's."""

    nodes: str = Field("*", description="node name or glob; not for a knob of the host")
    knob: str = Field(description="a knob's name (avoid_cpus) or an absolute path in the guest")
    value: str | int | bool = Field(
        description="what to set it to: a plain number is in the knob's own unit, 5% and 2s are converted"
    )
    optional: bool = Field(False, description="skipped where the kernel has no such knob")
    generation: str | None = Field(
        None, description="use only the places of this generation of the interface; default: what there is"
    )
    vcpus: Cpulist | None = Field(
        None, description="for a knob that the host keeps for each vCPU: for these; default: for all"
    )


class FoldSpec(Spec):
    """vCPUs that the nodes that `nodes` matches stop using, until told otherwise."""

    nodes: str = Field("*", description="node name or glob")
    vcpus: AnyCpulist = Field(description='vCPUs to leave alone; "" to use all of them again')
    by: FoldMechanism = Field(
        description="mask (of vCPUs to avoid), preferred (mask of the others), hotplug, cpuset (an isolated "
        "partition), or on the host: weight, quota"
    )
    optional: bool = Field(False, description="skipped where the kernel has no such mechanism")
