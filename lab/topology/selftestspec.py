# SPDX-License-Identifier: GPL-2.0-only
"""Model of what is expected of selftests that a load runs."""

from __future__ import annotations

from pydantic import Field

from lab.topology.armspec import InArm
from lab.topology.atoms import LoadName, PhaseName


class SelftestsExpectation(InArm):
    """No test that a load runs fails, in any of its guests; each test and subtest is judged by itself.

    A test that skips itself is skipped here, too.
    """

    load: LoadName
    phase: PhaseName
    may_fail: tuple[str, ...] = Field(
        (),
        description="names or globs of tests whose failures are known: they are skipped",
        examples=[["cgroup:test_cpuset*"]],
    )
