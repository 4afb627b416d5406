# SPDX-License-Identifier: GPL-2.0-only
"""Models of a file of load definitions, version 1; `load_definitions` of a topology are the same `LoadKindSpec`.

The loader (`lab.loads.catalogue`) and the JSON schema are made from them. A field's description is what a user
reads. Unknown keys are errors.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.loads.model import GUEST_IMAGE, Better, Ends, OverGuests, ParameterKind, ParserName, Take, Value

KIND_PATTERN = r"[a-z][a-z0-9-]{0,30}"
KIND_RULE = (
    "a kind of load has lower-case letters, digits and dashes, starts with a letter, and is at most 31 long"
)
PARAMETER_PATTERN = r"[a-z][a-z0-9_]{0,30}"
PARAMETER_RULE = (
    "a parameter or metric has lower-case letters, digits and underscores, and starts with a letter, for example "
    "groups"
)
NAME_RULES = {f"^{PARAMETER_PATTERN}$": PARAMETER_RULE}

KindName = Annotated[str, Field(pattern=f"^{KIND_PATTERN}$", examples=["hackbench"])]
ParameterName = Annotated[str, Field(pattern=f"^{PARAMETER_PATTERN}$", examples=["groups"])]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class ParameterSpec(_Spec):
    """Something that a topology may say of a load."""

    type: ParameterKind = Field("integer", description="integer, number, bool, text, or node: a guest's name")
    default: Value = Field(description="its value where a topology says none")
    min: float | None = Field(None, description="least value")
    max: float | None = Field(None, description="greatest value")
    choices: tuple[str, ...] = Field((), description="text: the only values")
    doc: str = Field("", description="what it means")

    @model_validator(mode="after")
    def _keys_of_its_type(self) -> ParameterSpec:
        if self.type not in ("integer", "number") and (self.min is not None or self.max is not None):
            raise ValueError(f"a {self.type} has no min and max")
        if self.choices and self.type != "text":
            raise ValueError(f"choices are for a text, not for a {self.type}")
        return self


class MetricSpec(_Spec):
    """A figure that the load's output has: found by `pattern`, or by `parser` and `field`."""

    unit: str = Field(description="s, us, 1/s, ...")
    better: Better = Field(description="higher, lower or neither")
    over_guests: OverGuests = Field(
        description="how the figures of several guests make one: sum, mean or max"
    )
    doc: str = Field("", description="what it is")
    pattern: str | None = Field(
        None, description="regular expression, ^ and $ at whole lines; its one group is the number"
    )
    take: Take = Field("only", description="which of several matches; only: there must be one")
    parser: ParserName | None = Field(None, description="a parser of the lab's instead of a pattern")
    field: str | None = Field(None, description="what of that parser; default: the metric's name")
    scale: float = Field(1.0, gt=0, description="what the number is multiplied by")
    amount: str | None = Field(
        None, description="template of a number, which is divided by the one found: a rate out of a time"
    )
    when: str | None = Field(
        None, description="template: it is not reported where this becomes False or nothing; default: always"
    )

    @model_validator(mode="after")
    def _one_way_to_find_it(self) -> MetricSpec:
        if (self.pattern is None) == (self.parser is None):
            raise ValueError("give exactly one of pattern, parser")
        if self.parser is None and self.field is not None:
            raise ValueError("field needs parser")
        if self.pattern is not None:
            _check_pattern(self.pattern)
        return self


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern, re.MULTILINE).groups
    except re.error as error:
        raise ValueError(f"the pattern is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"the pattern has {groups} groups; one is needed, around the number")


class LoadKindSpec(_Spec):
    """A kind of load."""

    doc: str = Field(description="what it does, in a sentence or two")
    published: str = Field("", description="how it is used where figures are published")
    ends: Ends = Field(description="itself: it ends by itself; stopped: it runs until it is stopped")
    image: str = Field(
        GUEST_IMAGE,
        pattern=r"^[a-z][a-z0-9-]*$",
        description="root image that has its program: a directory of the lab's images/",
    )
    command: str = Field(
        description="jinja2 template of its command line, cut into words as a shell does, without a shell; knows "
        "the parameters, and vcpus, memory_mib, node, address, peer (the address of the next guest)"
    )
    tasks: str | int = Field(
        0, description="how many tasks of it want to run at a time, for the prediction; may be a template"
    )
    counted: bool = Field(False, description="the guest's probe counts its work while it runs")
    parameters: dict[ParameterName, ParameterSpec] = Field(default_factory=dict, description="by name")
    metrics: dict[ParameterName, MetricSpec] = Field(default_factory=dict, description="by name")


class LoadFileSpec(_Spec):
    """A whole file of load definitions."""

    version: Literal[1] = Field(description="version of this format")
    loads: dict[KindName, LoadKindSpec] = Field(description="kinds of loads by name")
