# SPDX-License-Identifier: GPL-2.0-only
"""What a knob is: a name with a meaning, and the places where kernels keep it.

A *knob* (`avoid_cpus`, `steal.high`) has a type, a unit and a scope, whatever kernel runs. A *backend* is one
place where one *generation* of an interface keeps it, and how a value is written there: as a mask of CPUs to avoid
or of those preferred, in seconds or in milliseconds. `lab.knobs.registry` holds both; between them is
`lab.knobs.convert`. All of it is read from files: lab/knobs/data/*.yaml and the user's own (`lab.knobs.load`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Scope = Literal["guest", "host"]
KnobKind = Literal["bool", "integer", "cpulist", "text"]

#: What `Backend.path` means for each kind:
#: `file`                an absolute path (sysfs, procfs, cgroupfs)
#: `debugfs`             a path below debugfs, which is mounted if need be
#: `sysctl`              a dotted name
#: `module_parameter`    MODULE/PARAMETER, written in place or, with `reload`, by loading the module anew with its
#:                       other parameters kept
#: `module`              a module's name: loaded or not
#: `sched_feature`       a NAME of debugfs sched/features
#: `cgroup`              a file of a vCPU's control group on the host, such as cpu.max (a candidate in a plan says
#:                       whose: DOMAIN/vcpuN/cpu.max)
#: `domain_cgroup`       a file of the control group of a whole guest on the host, such as cpu.weight (in a plan:
#:                       DOMAIN/cpu.weight)
#: `cpu_online`          empty; the value is the cpulist of CPUs that are online
#: `isolated_partition`  the name of a cgroup v2 partition that takes the CPUs of the value
#: `cmdline`             a parameter of the kernel's command line: the guest is started anew
BackendKind = Literal[
    "file",
    "debugfs",
    "sysctl",
    "module_parameter",
    "module",
    "sched_feature",
    "cgroup",
    "domain_cgroup",
    "cpu_online",
    "isolated_partition",
    "cmdline",
]


@dataclass(frozen=True)
class Knob:
    """A knob by its name.

    `scope` says whose it is: a guest's (also where the place is a control group on the host), or the host's.
    `unit` is one of lab.knobs.quantities.UNITS; `minimum` and `maximum` are in it and include their ends. Of a
    cpulist they bound how many vCPUs it may name, and `leaves` is how many of the guest's it must not name.
    `choices` are the only values of a text. A `read_only` knob tells something and takes nothing.
    """

    name: str
    scope: Scope
    kind: KnobKind
    doc: str
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    leaves: int = 0
    choices: tuple[str, ...] = ()
    read_only: bool = False


@dataclass(frozen=True)
class Backend:
    """One place for a knob. `unit` is the place's own; None where it is the knob's. Its bounds are in it.

    With `complement` the place holds every vCPU but those of the knob's value; with `inverted` a bool is on where
    the place says off. `words` are what a bool is written as, off first.
    """

    knob: str
    generation: str
    kind: BackendKind
    path: str
    reload: bool = False
    unit: str | None = None
    complement: bool = False
    inverted: bool = False
    words: tuple[str, str] = ("0", "1")
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Conversion:
    """All that is needed to turn a knob's value into what a place holds, and back (lab.knobs.convert).

    `unit` is the knob's, `place_unit` the place's; `vcpus` is how many the guest has, for a complement.
    """

    kind: KnobKind
    unit: str | None = None
    place_unit: str | None = None
    complement: bool = False
    inverted: bool = False
    words: tuple[str, str] = ("0", "1")
    vcpus: int = 0


@dataclass(frozen=True)
class Generation:
    """A version of an interface. `order` says which is tried first: the highest."""

    name: str
    title: str
    order: int


@dataclass(frozen=True)
class Registry:
    """Everything that is known: knobs by name, each knob's backends in order of preference."""

    knobs: Mapping[str, Knob]
    backends: Mapping[str, tuple[Backend, ...]]
    generations: Mapping[str, Generation]
