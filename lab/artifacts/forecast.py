# SPDX-License-Identifier: GPL-2.0-only
"""What of some kernels is built already, and how long the rest may take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.artifacts.builtonly import BuiltOnly, NotBuiltError
from lab.artifacts.cache import Cache
from lab.artifacts.config import final_wishes
from lab.artifacts.difftext import new_symbols
from lab.artifacts.kernels import BuiltKernel, ensure_kernel, read_fragment
from lab.artifacts.patches import Patch
from lab.artifacts.workshop import Workshop
from lab.plan.labplan import KernelPlan


@dataclass(frozen=True)
class KernelForecast:
    """A kernel of a plan: `built` is None where it is still to be built, `seconds` what the last build took, None
    where nothing was built yet."""

    name: str
    built: BuiltKernel | None
    seconds: float | None


def forecast_kernels(workshop: Workshop, kernels: Sequence[KernelPlan]) -> tuple[KernelForecast, ...]:
    """A forecast for each of `kernels`. Nothing is built or fetched."""
    only_built = replace(workshop, cache=BuiltOnly(workshop.cache.root, workshop.progress))
    seconds = last_build_s(workshop.cache)
    return tuple(KernelForecast(one.name, _find(only_built, one), seconds) for one in kernels)


def _find(workshop: Workshop, kernel: KernelPlan) -> BuiltKernel | None:
    try:
        return ensure_kernel(workshop, kernel)
    except NotBuiltError:
        return None


def last_build_s(cache: Cache) -> float | None:
    """How long the kernel last used took to build."""
    for entry in cache.entries("kernel"):
        about = json.loads((entry.path / "about.json").read_text())
        if "seconds" in about:
            return float(about["seconds"])
    return None


def unasked_symbols(patches: Sequence[Patch], kernel: KernelPlan) -> tuple[str, ...]:
    """Config symbols that `patches` add and that `kernel`, which has the patches, leaves off."""
    wishes = final_wishes([read_fragment(path) for path in map(Path, kernel.fragments)])
    asked = {wish.symbol for wish in wishes}
    added = (symbol for patch in patches for symbol in new_symbols(patch.text))
    return tuple(dict.fromkeys(one.name for one in added if not one.on and one.name not in asked))
