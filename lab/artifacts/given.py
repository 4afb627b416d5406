# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel was built from, kept beside it: its patches and config fragments as they were then.

Files of a series change while somebody works on it, and a kernel in the cache is to tell what is in it even then.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.plan.labplan import KernelPlan

_DIRECTORY = "given"
_PATCHES, _FRAGMENTS = "patches", "fragments"


def keep_given(plan: KernelPlan, entry: Path) -> None:
    """Copy the files that the kernel in `entry` is built from into it."""
    for kind, paths in ((_PATCHES, plan.patches), (_FRAGMENTS, plan.fragments)):
        for number, path in enumerate(paths, 1):
            target = _kept(entry, kind, number, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def kept_patch(entry: Path, number: int, path: str) -> Path | None:
    """The copy of patch number `number` (from 1), which the plan calls `path`; None where there is none."""
    return _present(_kept(entry, _PATCHES, number, path))


def kept_fragment(entry: Path, number: int, path: str) -> Path | None:
    """The same of a config fragment."""
    return _present(_kept(entry, _FRAGMENTS, number, path))


def _kept(entry: Path, kind: str, number: int, path: str) -> Path:
    return entry / _DIRECTORY / kind / f"{number}-{Path(path).name}"[-250:]


def _present(path: Path) -> Path | None:
    return path if path.is_file() else None
