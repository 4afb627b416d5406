# SPDX-License-Identifier: GPL-2.0-only
"""Model of findings in consoles that a topology allows; all others fail a run."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pydantic import Field, field_validator

from lab.topology.atoms import Spec

#: What a kernel reports of itself (lab.measure.findingheads).
FindingKind = Literal[
    "panic",
    "oops",
    "bug",
    "warning",
    "soft-lockup",
    "hard-lockup",
    "rcu-stall",
    "hung-task",
    "lockdep",
    "kasan",
    "kcsan",
    "kfence",
    "ubsan",
]
FINDING_KINDS: tuple[FindingKind, ...] = get_args(FindingKind)


class AllowFindingSpec(Spec):
    """A finding in a guest's console that does not fail the run: `lab check` still shows it."""

    kind: FindingKind = Field(description="what the kernel reported")
    nodes: str = Field("*", description="node name or glob")
    pattern: str | None = Field(
        None,
        description="regular expression that is to be found in its first line, its message, or a function of its "
        "call trace; default: any of the kind",
    )

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return pattern
