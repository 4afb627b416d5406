# SPDX-License-Identifier: GPL-2.0-only
"""Models of loads in a topology. What a kind is stands in the catalogue (lab.loads)."""

from __future__ import annotations

from pydantic import Field

from lab.loads.model import SPIN
from lab.loads.spec import ParameterName
from lab.topology.atoms import Cpulist, Name, Spec


class LoadSpec(Spec):
    """Work to run inside guests: spin, busy tasks that count what they do, or another kind of the catalogue."""

    name: Name = Field(description="what phases and expectations call it")
    kind: str = Field(SPIN, description="an entry of the catalogue (`lab load list`), or of load_definitions")
    nodes: str = Field("*", description="node name or glob")
    tasks: int = Field(1, ge=1, le=1024, description="spin: busy tasks per guest")
    vcpus: Cpulist | None = Field(None, description="affinity of the tasks; default: unpinned")
    parameters: dict[ParameterName, str | int | float | bool] = Field(
        default_factory=dict, description="what its kind can be told (`lab load explain KIND`)"
    )
