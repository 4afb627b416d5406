# SPDX-License-Identifier: GPL-2.0-only
"""What of a kernel came from somebody else, so that building it would run his code on this machine.

A patch may change any Makefile or script of the tree, and kbuild reads a .config as a makefile, in which a value
can call a shell. Patches that come with the lab, and plain values of config symbols, are neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lab.artifacts.catalogue import shipped_series
from lab.artifacts.kernels import read_fragment
from lab.artifacts.patches import patch_digest, read_patches
from lab.plan.kernels import parse_series
from lab.plan.labplan import KernelPlan

_PLAIN_VALUE = re.compile(r'y|m|n|-?\d+|0x[0-9a-fA-F]+|"[\w ./,:=+-]*"', re.ASCII)


def why_foreign(plan: KernelPlan, images_dir: Path) -> str:
    """Why a build of `plan` would run code that is not the lab's own; "" where it would not.

    Sources are not looked at: whose they are is for the caller to know. Raises InputError for files that cannot be
    read.
    """
    return "; ".join(_reasons(plan, images_dir))


def _reasons(plan: KernelPlan, images_dir: Path) -> Iterator[str]:
    patches = read_patches(tuple(map(Path, plan.patches)))
    known = _shipped_digests(images_dir) if patches else set()
    foreign = [patch for patch in patches if patch_digest(patch) not in known]
    if foreign:
        yield f"{len(foreign)} of its {len(patches)} patches are not the lab's own ({foreign[0].name})"
    own = (images_dir / "kernels").absolute()
    for path in plan.fragments:
        if Path(path).is_relative_to(own):
            continue
        for wish in read_fragment(Path(path)):
            if _PLAIN_VALUE.fullmatch(wish.value) is None:
                yield f"{Path(path).name} sets CONFIG_{wish.symbol} to something else than a plain value"


def _shipped_digests(images_dir: Path) -> set[str]:
    directories = [images_dir / "kernels" / name for name in shipped_series(images_dir)]
    paths = [one / name for one in directories for name in parse_series((one / "series").read_text())]
    return {patch_digest(patch) for patch in read_patches(tuple(paths))}
