# SPDX-License-Identifier: GPL-2.0-only
"""What an outcome or an error of a run says of the commit that was run."""

from __future__ import annotations

from lab.bisect.model import Ending, Seen
from lab.errors import (
    BootTimeout,
    BuildFailed,
    GuestLost,
    HostError,
    InputError,
    LabError,
    LeaseTaken,
    PatchRejected,
    UndecidedError,
)
from lab.judge.verdict import Judgement, Outcome

_OF_OUTCOMES = {
    Outcome.PASSED: Ending.GOOD,
    Outcome.FAILED: Ending.BAD,
    Outcome.UNDECIDED: Ending.UNDECIDED,
    Outcome.SKIPPED: Ending.UNJUDGED,
}


def ending_of_judgement(judgement: Judgement) -> tuple[Ending, str]:
    """How a run that was judged ended, and why where it is not plain."""
    wanted = judgement.outcome
    reasons = dict.fromkeys(
        f"{one.expectation}: {one.reason}"
        for one in judgement.verdicts
        if one.outcome is wanted and one.reason
    )
    return _OF_OUTCOMES[wanted], next(iter(reasons), "")


def ending_of_error(error: LabError, *, lost_is_bad: bool) -> Ending:
    """How a run that ended by an error ended. With `lost_is_bad` a lost guest is what is looked for.

    InputError and LeaseTaken count as UNFIT: neither is the commit's doing once its kernel is chosen.
    """
    if isinstance(error, BuildFailed | PatchRejected):
        return Ending.BROKEN
    if isinstance(error, GuestLost | BootTimeout):
        return Ending.BAD if lost_is_bad else Ending.LOST
    if isinstance(error, HostError | InputError | LeaseTaken):
        return Ending.UNFIT
    return Ending.UNDECIDED if isinstance(error, UndecidedError) else Ending.FAILED


def seen_of(judgement: Judgement) -> tuple[Seen, ...]:
    """What was judged, to be kept with an attempt."""
    return tuple(
        Seen(one.outcome.value, one.expectation, one.subject, one.phase, one.observed)
        for one in judgement.verdicts
    )
