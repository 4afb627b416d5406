# SPDX-License-Identifier: GPL-2.0-only
"""Every error the lab raises on purpose.

    LabError
    ├── InputError        exit 2: what the user wrote cannot be used
    │   ├── FileProblems      all problems of one file, each with its place
    │   │   ├── TopologyError     a topology
    │   │   ├── KnobFileError     a file of knob definitions
    │   │   ├── LoadFileError     a file of load definitions
    │   │   └── SweepFileError    a sweep
    │   ├── RecordingError    a recording that cannot be read
    │   └── BundleError       a bundle that is damaged, hostile, or of an unknown version
    ├── HostError         exit 3: this machine or host cannot do it
    ├── UndecidedError    exit 5: a measurement that must neither pass nor fail anything
    └── LabFailure        exit 4: the lab itself failed
        ├── PatchRejected     a kernel patch does not apply
        ├── BuildFailed       a kernel, image or tool did not build
        ├── KnobError         a knob could not be read or written
        ├── CommandFailed     a command on a host or guest failed
        ├── LeaseTaken        another lab holds the pCPUs
        └── Lost              the environment went away (retried a bounded number of times)
            ├── GuestLost         a guest died or panicked
            │   └── GuestPanicked     its kernel panicked, and that is its own doing
            ├── BootTimeout       a guest did not speak in time
            └── HostLost          the host VM or its connection died

A message names object, operation, what was observed and what was expected; the hint names the next
command. Only the command line maps errors to exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `lab` command."""

    PASSED = 0
    FAILED = 1
    BAD_INPUT = 2
    HOST_UNFIT = 3
    LAB_FAILED = 4
    UNDECIDED = 5
    INTERRUPTED = 130


class LabError(Exception):
    """Base of all deliberate errors; `hint` is the next thing to try, or None."""

    exit_code = ExitCode.LAB_FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(LabError):
    """What the user gave cannot be used."""

    exit_code = ExitCode.BAD_INPUT


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a file: 1-based line, dotted path inside the document, what is wrong."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class FileProblems(InputError):  # noqa: N818 (an error by what it holds)
    """All problems of one file, sorted by line. `what` is its kind."""

    what = "file"

    def __init__(self, problems: Sequence[Problem], hint: str | None = None) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems), hint)


class TopologyError(FileProblems):
    """All problems of one topology, and of the knob files it names."""

    what = "topology"


class KnobFileError(FileProblems):
    """All problems of one file of knob definitions."""

    what = "knob file"


class LoadFileError(FileProblems):
    """All problems of one file of load definitions."""

    what = "load file"


class SweepFileError(FileProblems):
    """All problems of one sweep file."""

    what = "sweep file"


class RecordingError(InputError):
    """A recording that is missing, damaged, or of an unknown version."""


class BundleError(InputError):
    """A bundle that is refused: damaged, hostile, or of an unknown version. Nothing of it was used."""


class HostError(LabError):
    """The host cannot do what is asked."""

    exit_code = ExitCode.HOST_UNFIT


class UndecidedError(LabError):
    """A measurement that was to decide something cannot: the message has the reasons."""

    exit_code = ExitCode.UNDECIDED


class LabFailure(LabError):  # noqa: N818 (everything below it is a failure too)
    """The lab itself failed: neither the input nor a verdict."""


class PatchRejected(LabFailure):
    """A patch does not apply; the message has file, hunk and the reject."""


class BuildFailed(LabFailure):
    """A build failed; the message has the log's tail and its path."""


class KnobError(LabFailure):
    """A knob could not be driven; the message has path, wanted and observed value."""


class CommandFailed(LabFailure):
    """A command failed; the message has a copy-pasteable form, exit status and output's tail."""


class LeaseTaken(LabFailure):
    """pCPUs that another running lab holds."""


class Lost(LabFailure):
    """Something of the environment went away: not the fault of what is tested, so worth a bounded retry."""


class GuestLost(Lost):
    """A guest died or panicked; the message has its console's tail."""


class GuestPanicked(GuestLost):
    """A guest's kernel panicked of what it did itself: nothing that another attempt would mend."""


class BootTimeout(Lost):
    """A guest did not report in time; the message has its console's tail."""


class HostLost(Lost):
    """The host VM, or the connection to a host, died; the message has the console's tail where there is one."""
