# SPDX-License-Identifier: GPL-2.0-only
"""Models of a file of knob definitions, version 1; `knob_definitions` of a topology are the same `KnobSpec`.

The loader (`lab.knobs.load`) and the JSON schema (`lab.knobs.schema`) are made from them. A field's description is
what a user reads. Unknown keys are errors.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.knobs.model import BackendKind, KnobKind, Scope
from lab.knobs.quantities import UnitName

KNOB_NAME_PATTERN = r"[a-z][a-z0-9_]{0,30}(\.[a-z0-9_]{1,30}){0,3}"
KNOB_NAME_RULE = (
    "a knob's name has lower-case letters, digits and underscores, starts with a letter, and may have parts behind "
    "dots, for example steal.high"
)
GENERATION_PATTERN = r"[a-z][a-z0-9.-]{0,40}"
GENERATION_RULE = (
    "a generation's name has lower-case letters, digits, dots and dashes and starts with a letter, "
    "for example steal-governor-v8"
)
NAME_RULES = {f"^{KNOB_NAME_PATTERN}$": KNOB_NAME_RULE, f"^{GENERATION_PATTERN}$": GENERATION_RULE}

KnobName = Annotated[str, Field(pattern=f"^{KNOB_NAME_PATTERN}$", examples=["steal.high"])]
GenerationName = Annotated[str, Field(pattern=f"^{GENERATION_PATTERN}$", examples=["steal-governor-v8"])]

#: For each kind of place what its path looks like: a pattern, and the same in words.
_PATHS: dict[BackendKind, tuple[str, str]] = {
    "file": (r"/\S+", "an absolute path such as /sys/devices/system/cpu/paravirt"),
    "debugfs": (r"[^/\s]\S*", "a path below debugfs such as sched/steal_monitor/enable"),
    "sysctl": (r"[^/.\s]+([./][^/.\s]+)+", "a name with dots such as kernel.sched_rt_runtime_us"),
    "module_parameter": (r"[\w-]+/[\w-]+", "MODULE/PARAMETER such as kvm/halt_poll_ns"),
    "module": (r"[\w-]+", "a module's name such as steal_governor"),
    "sched_feature": (r"[A-Z][A-Z0-9_]*", "a feature's name such as WAKEUP_PREEMPTION"),
    "cgroup": (r"[\w-]+(\.[\w-]+)+", "a file of a control group such as cpu.max"),
    "domain_cgroup": (r"[\w-]+(\.[\w-]+)+", "a file of a control group such as cpu.weight"),
    "cpu_online": (r"", "nothing: CPUs have one way to be online"),
    "isolated_partition": (r"[\w.-]+", "the name of the partition to make, such as lab-isolated"),
    "cmdline": (r"[^\s=\"]+", "a parameter's name such as nohz_full"),
}


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class PlaceSpec(_Spec):
    """A place where kernels keep a knob, and how values are written there."""

    kind: BackendKind = Field(description="what kind of place it is")
    path: str = Field("", description="what kind of path, depends on kind: a file's, a sysctl's name, ...")
    reload: bool = Field(
        False, description="module_parameter: fixed while the module is loaded, so it is loaded anew"
    )
    unit: UnitName | None = Field(None, description="the place's own unit; default: the knob's")
    min: int | None = Field(None, description="least value that the place takes, in its unit")
    max: int | None = Field(None, description="greatest value that the place takes, in its unit")
    complement: bool = Field(
        False, description="cpulist: the place holds every vCPU that is not in the value"
    )
    inverted: bool = Field(False, description="bool: the place says off where the knob is on")
    words: tuple[str, str] | None = Field(
        None, description="bool: what off and on are written as; default 0 and 1"
    )

    @model_validator(mode="after")
    def _path_of_its_kind(self) -> PlaceSpec:
        pattern, words = _PATHS[self.kind]
        if re.fullmatch(pattern, self.path) is None:
            raise ValueError(f"{self.kind} takes as path {words}; found {self.path!r}")
        if self.reload and self.kind != "module_parameter":
            raise ValueError(f"reload is for a module_parameter; found kind {self.kind}")
        return self


class OwnPlaceSpec(PlaceSpec):
    """A place given along with its knob."""

    generation: GenerationName | None = Field(
        None, description="the generation of the interface that it belongs to; default: the user's own"
    )


class KnobSpec(_Spec):
    """A knob. Of one that is known already only what is the same may be said again, and places are added."""

    type: KnobKind | None = Field(None, description="bool, integer, cpulist or text")
    scope: Scope | None = Field(None, description="whose it is: guest (default) or host")
    doc: str | None = Field(None, description="what it does, in a sentence or two")
    unit: UnitName | None = Field(
        None, description="integer: percent_x100, percent, ns, us, ms or s; default: a plain number"
    )
    min: int | None = Field(None, description="least value, in unit; of a cpulist the least number of vCPUs")
    max: int | None = Field(None, description="greatest value, in unit; of a cpulist the number of vCPUs")
    leaves: int | None = Field(
        None, ge=0, description="cpulist: at least so many vCPUs must stay outside of it"
    )
    choices: tuple[str, ...] | None = Field(None, description="text: the only values")
    read_only: bool | None = Field(None, description="it tells something and cannot be written")
    backends: tuple[OwnPlaceSpec, ...] = Field((), description="where kernels keep it, preferred first")


class GenerationSpec(_Spec):
    """A version of an interface: where it keeps which knobs."""

    title: str | None = Field(None, description="what it is, with its date")
    order: int | None = Field(
        None, ge=0, le=100_000, description="which is tried first: the highest; shipped ones are below 2000"
    )
    backends: dict[KnobName, tuple[PlaceSpec, ...]] = Field(
        default_factory=dict, description="places by the knob's name, preferred first"
    )


class KnobFileSpec(_Spec):
    """A whole file of knob definitions."""

    version: Literal[1] = Field(description="version of this format")
    knobs: dict[KnobName, KnobSpec] = Field(default_factory=dict, description="knobs by name")
    generations: dict[GenerationName, GenerationSpec] = Field(
        default_factory=dict, description="generations of interfaces by name"
    )
