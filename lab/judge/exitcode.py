# SPDX-License-Identifier: GPL-2.0-only
"""Which exit code an outcome stands for."""

from __future__ import annotations

from lab.errors import ExitCode
from lab.judge.verdict import Outcome

_EXIT_CODES = {
    Outcome.PASSED: ExitCode.PASSED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.UNDECIDED: ExitCode.UNDECIDED,
    # Nothing was expected, or nothing that was is meaningful here: no reason to stop whoever called. The
    # summary says in words that nothing was judged.
    Outcome.SKIPPED: ExitCode.PASSED,
}


def exit_code_for(outcome: Outcome) -> ExitCode:
    """The exit code of a command whose judgement came to `outcome`."""
    return _EXIT_CODES[outcome]
