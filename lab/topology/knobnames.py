# SPDX-License-Identifier: GPL-2.0-only
"""Names of knobs that a topology may use instead of a path, and what their values look like."""

from __future__ import annotations

#: Knobs known by name. What each name means on a kernel is `lab.plan.knobs`' business.
KNOWN_KNOBS = ("avoid_cpus",)

#: Those whose value is a cpulist of the guest's vCPUs; the empty text clears.
CPULIST_KNOBS = ("avoid_cpus",)
