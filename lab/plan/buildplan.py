# SPDX-License-Identifier: GPL-2.0-only
"""What has to be built before a lab can start, as a part of the LabPlan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class KernelSourcePlan:
    """Where a kernel's source comes from. Paths are absolute."""

    kind: Literal["debian", "tarball", "tree", "image"]
    value: str
    ref: str | None = None


@dataclass(frozen=True)
class KernelPlan:
    """A kernel to build or take. `patches` are absolute paths of patch files or mboxes in the order in which
    they apply; `fragments` absolute paths of config fragments, the lab's own first. Those that are `tolerated` may
    name symbols that the source does not know: they were written for another kernel."""

    name: str
    source: KernelSourcePlan
    patches: tuple[str, ...]
    fragments: tuple[str, ...]
    cmdline: str
    tolerated: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArtifactPlan:
    """Something that must exist before the lab can start: built once, cached."""

    kind: Literal["toolbox", "host-kernel", "host-image", "guest-image", "kernel", "probe"]
    name: str
    detail: str
