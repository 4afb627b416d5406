# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a kernel's source tree in a root image, for loads that compile it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.artifacts.source import Source, open_source
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed
from lab.plan.labplan import KernelSourcePlan

#: Where guests have it.
PLACE = "usr/src/linux"


def open_kernel_source(workshop: Workshop, version: str) -> Source:
    """Debian's source of Linux `version`, that kernels are built of, too: fetched where it is not in the cache."""
    return open_source(workshop, KernelSourcePlan("debian", version))


def add_kernel_part(source: Source, keep: Sequence[str], tree: Path, work: Path, log: Path) -> None:
    """Copy what the patterns `keep` match in `source`, directories with all that is in them, into the root image
    `tree`; `work` is a directory for scratch.

    Copied, not linked: whoever sets permissions in an image must not set those of the cache. Raises BuildFailed
    that names a pattern which matches nothing.
    """
    whole = work / "linux"
    source.unpack(whole, log)
    for pattern in keep:
        found = sorted(whole.glob(pattern))
        if not found:
            raise BuildFailed(f"the kernel's source has no {pattern}, which the recipe keeps", f"see {log}")
        for path in found:
            _copy(path, tree / PLACE / path.relative_to(whole))
    shutil.rmtree(whole)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)
