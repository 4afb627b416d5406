# SPDX-License-Identifier: GPL-2.0-only
"""What programs are told of a run that came to no verdict: nothing was built, a guest was lost, Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.cli.desk import Desk
from lab.errors import ExitCode, LabError

_WORDS = {
    ExitCode.BAD_INPUT: "bad input",
    ExitCode.HOST_UNFIT: "host unfit",
    ExitCode.LAB_FAILED: "lab failed",
    ExitCode.UNDECIDED: "undecided",
}


@contextmanager
def unjudged_told(desk: Desk, name: str, *, ktap: bool, junit: Path | None) -> Iterator[None]:
    """Whatever ends the work inside early is also told as KTAP and as JUnit XML, where those are wanted."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        how, message = _told(error)
        if ktap:
            from lab.judge.ktap import render_ktap_unjudged

            desk.print(render_ktap_unjudged(name, how, message))
        if junit is not None:
            from lab.judge.junit import render_junit_unjudged

            with suppress(OSError):  # what ended the work is what is to be told
                junit.write_text(render_junit_unjudged(name, how, message))
        raise


def _told(error: BaseException) -> tuple[str, str]:
    if isinstance(error, LabError):
        hint = f"\nhint: {error.hint}" if error.hint else ""
        return _WORDS[error.exit_code], f"{error.message}{hint}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "before there was a verdict"
    return "internal error", str(error) or type(error).__name__
