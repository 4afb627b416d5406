# SPDX-License-Identifier: GPL-2.0-only
"""Models of a sweep file, version 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lab.topology.atoms import Name, Spec, exactly_one

PARAMETER_PATTERN = r"[a-z][a-z0-9_]{0,30}"
PARAMETER_RULE = (
    "a parameter has lower-case letters, digits and underscores, and starts with a letter, for example guests"
)

ParameterName = Annotated[str, Field(pattern=f"^{PARAMETER_PATTERN}$", examples=["guests"])]
#: What a parameter can be. Text keeps its unit: 5%, 20s.
Value = int | float | str


class SweepSpec(Spec):
    """A topology whose text has ``{{ parameter }}`` in it, and the values that each parameter takes."""

    name: Name = Field(description="what its index and tables are called by")
    description: str = Field("", description="what the sweep is for, in prose")
    topology: str | None = Field(None, description="path of the topology, relative to this file")
    template: str | None = Field(None, description="the topology itself")
    parameters: dict[ParameterName, tuple[Value, ...]] = Field(
        min_length=1, description="values by parameter; every combination of them is a point of the grid"
    )
    repeats: int = Field(
        1,
        ge=1,
        le=1000,
        description="runs of each point; those of one point come after the whole grid, not at once",
    )

    @model_validator(mode="after")
    def _one_topology(self) -> SweepSpec:
        exactly_one(self, ("topology", "template"))
        return self


class SweepFileSpec(Spec):
    """A whole sweep file."""

    version: Literal[1] = Field(description="version of this format")
    sweep: SweepSpec
