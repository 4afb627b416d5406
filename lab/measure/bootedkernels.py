# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel wrote a console."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.measure.happened import EventLike
from lab.plan.labplan import LabPlan

_START = re.compile(r"guests/[^/]+/boots/(\d+)/console\.log")


def booted_kernel(plan: LabPlan, events: Sequence[EventLike], node: str, path: str) -> str:
    """The name of the kernel that `node` ran when it wrote the console at `path` in its recording.

    A node runs its own kernel until a `restart` says otherwise. Attempts that were lost are not looked into.
    """
    kernels = {0: plan.node(node).kernel}
    for event in events:
        if event.kind == "restart" and event.data.get("node") == node:
            kernels[int(event.data.get("boot", 0))] = str(event.data.get("kernel") or kernels[0])
    if path.startswith("lost/"):
        return kernels[0]
    start = _START.fullmatch(path)
    return kernels.get(int(start[1]), kernels[0]) if start else kernels[max(kernels)]
