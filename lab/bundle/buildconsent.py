# SPDX-License-Identifier: GPL-2.0-only
"""What building the kernels of a foreign bundle would run on this machine, for somebody to agree to.

A patch may change makefiles and scripts, a config fragment may name files and commands, and `make` runs and reads
all of it as the user who builds. What ships with this checkout is trusted; what a bundle brings is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from lab.artifacts.workshop import file_digest
from lab.plan.labplan import KernelPlan


def shipped_digests(images_dir: Path) -> frozenset[str]:
    """SHA-256 of every patch and config fragment that comes with this checkout."""
    files = (path for path in (images_dir / "kernels").rglob("*") if path.is_file())
    return frozenset(file_digest(path) for path in files)


def build_effects(kernels: Iterable[KernelPlan], shipped: Collection[str]) -> tuple[str, ...]:
    """A sentence for each kernel whose build would run what is not among `shipped`; none where all of it is. Of
    ready images nothing is built. Files of the plans must be there."""
    sentences = (_tell(kernel, _foreign(kernel, shipped)) for kernel in kernels)
    return tuple(sentence for sentence in sentences if sentence)


def _foreign(kernel: KernelPlan, shipped: Collection[str]) -> list[str]:
    if kernel.source.kind == "image":
        return []
    return [path for path in (*kernel.patches, *kernel.fragments) if file_digest(Path(path)) not in shipped]


def _tell(kernel: KernelPlan, foreign: list[str]) -> str:
    if not foreign:
        return ""
    names = ", ".join(Path(path).name for path in foreign[:3])
    more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
    return f"builds kernel {kernel.name} on this machine with files that are not the lab's own: {names}{more}"
