# SPDX-License-Identifier: GPL-2.0-only
"""Exit codes of `lab run --bisect`, for `git bisect run`.

git takes 0 for good, 125 for untestable, every other code below 128 for bad, and stops at 128 and above
(git-bisect(1)). So nothing but a verdict may end in 1 to 124: what went wrong at one commit is 125, and what would
go wrong at every commit stops git before it spends a night on it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

import typer

from lab.bisect.model import Term
from lab.errors import ExitCode

SKIP = 125
STOP = 255
CODES = {Term.GOOD: 0, Term.BAD: 1, Term.SKIP: SKIP}


def is_for_bisect(words: Sequence[str]) -> bool:
    """Whether these are the words of `lab run --bisect`."""
    return words[:1] == ["run"] and "--bisect" in words


def end_for_bisect(call: Callable[[], object]) -> int:
    """The exit code of a command line, given as a call of typer's application without its standalone mode.

    Words that make no sense stop git, and so does Ctrl-C wherever it comes.
    """
    try:
        call()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else STOP
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except Exception as error:
        _show(error)
        return STOP
    return ExitCode.PASSED


def _show(error: Exception) -> None:
    """Errors of the command line show themselves: click's, or those of typer's own copy of it."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
    else:
        traceback.print_exception(error)
