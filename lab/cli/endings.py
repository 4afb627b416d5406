# SPDX-License-Identifier: GPL-2.0-only
"""How a command ends: the one place in which errors become messages and exit codes."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.cli.desk import Desk, desk_of
from lab.errors import ExitCode, FileProblems, LabError

#: What a shell reports of a program that SIGPIPE ended.
_BROKEN_PIPE = 128 + 13

Verb = Callable[..., int | None]


def guarded(verb: Verb) -> Callable[..., None]:
    """`verb` as a command that always ends by an exit code. Its first parameter is `ctx`; it returns an exit code,
    or None for 0."""

    @functools.wraps(verb)
    def command(**arguments: Any) -> None:
        desk = desk_of(arguments["ctx"])
        raise SystemExit(run_to_end(desk, lambda: verb(**arguments)))

    return command


def run_to_end(desk: Desk, work: Callable[[], int | None]) -> int:
    """Do the work; tell what went wrong, if anything did; the exit code."""
    try:
        code = int(work() or ExitCode.PASSED)
        desk.terminal.end_step()
        sys.stdout.flush()
        return code
    except BaseException as error:
        desk.terminal.end_step(failed=True)
        return _ended_by(desk, error)


def _ended_by(desk: Desk, error: BaseException) -> int:
    if isinstance(error, LabError):
        return _tell(desk, error)
    if isinstance(error, KeyboardInterrupt):
        desk.terminal.error("lab: interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Python would complain again when it flushes what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    if isinstance(error, Exception):
        return _tell_bug(desk, error)
    raise error


def _tell(desk: Desk, error: LabError) -> int:
    if isinstance(error, FileProblems):
        count = len(error.problems)
        desk.terminal.error(f"lab: error: {count} problem{'s' if count > 1 else ''} in the {error.what}")
        for problem in error.problems:
            desk.terminal.error(str(problem))
    else:
        desk.terminal.error(f"lab: error: {error.message}")
    if error.hint:
        desk.terminal.error(f"lab: hint: {error.hint}")
    return error.exit_code


def _tell_bug(desk: Desk, error: Exception) -> int:
    place = _write_traceback(desk.places.state_dir, error)
    said = str(error) or type(error).__name__
    desk.terminal.error(f"lab: internal error: {said} (traceback in {place})")
    return ExitCode.LAB_FAILED


def _write_traceback(state_dir: Path, error: Exception) -> Path:
    text = "".join(traceback.format_exception(error))
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for directory in (state_dir / "tracebacks", Path(tempfile.gettempdir())):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / name
            path.write_text(f"{' '.join(sys.argv)}\n\n{text}")
            return path
        except OSError:
            continue
    sys.stderr.write(text)
    return Path("the lines above")
