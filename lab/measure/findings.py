# SPDX-License-Identifier: GPL-2.0-only
"""The findings of a whole recording: which machine's console, of which start, and whose trouble it is.

What the host's own kernel says is the environment's trouble, not the guests'. So is a guest that ran into what
emulators get wrong: under multi-threaded TCG a vCPU was seen to meet the breakpoint of a patched branch after the
patching had ended. Every other report of a guest's kernel is that kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lab.measure.consolefindings import ConsoleFinding, parse_findings
from lab.plan.labplan import HOST_SCOPE

_EMULATORS = re.compile(r"\bint3\b")


@dataclass(frozen=True)
class RecordedConsole:
    """One console: of `node` (or HOST_SCOPE), the file `path` in the recording. `which` says of which start it is
    where that is not the last one."""

    node: str
    path: str
    data: bytes
    which: str = ""


@dataclass(frozen=True)
class Finding:
    """A report in the console file `path`. `environment` says why it is not the kernel's under test; empty where it
    is. `decoded` has file and line by the text of a frame, of those that were decoded."""

    node: str
    path: str
    report: ConsoleFinding
    which: str = ""
    environment: str = ""
    decoded: Mapping[str, str] = field(default_factory=dict)

    def frames(self) -> Iterator[str]:
        """Where it was and the call trace as the kernel wrote it, innermost first, each with file and line where
        they are known."""
        for frame in (self.report.ip, *self.report.trace):
            if frame is not None:
                text = str(frame)
                yield f"{text} ({self.decoded[text]})" if text in self.decoded else text

    @property
    def where(self) -> str:
        """The machine, and which of its starts."""
        name = "host" if self.node == HOST_SCOPE else self.node
        return f"{name}, {self.which}" if self.which else name


def collect_findings(
    consoles: Iterable[RecordedConsole],
    *,
    emulated: bool,
    decoded: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """Everything that kernels reported, console by console; `decoded` is by path and frame."""
    return tuple(
        Finding(
            node=one.node,
            path=one.path,
            report=report,
            which=one.which,
            environment=_environment(one.node, report, emulated),
            decoded=dict(decoded.get(one.path, {})),
        )
        for one in consoles
        for report in parse_findings(one.data)
    )


def _environment(node: str, report: ConsoleFinding, emulated: bool) -> str:
    if node == HOST_SCOPE:
        return "it is the host's own kernel that says so"
    if emulated and report.kind == "oops" and is_emulators([report.text]):
        return "emulated CPUs run into breakpoints of code that was patched meanwhile"
    return ""


def is_emulators(lines: Sequence[str]) -> bool:
    """Whether lines of a guest's console say that it died of what emulators get wrong, if its host is emulated."""
    return any(_EMULATORS.search(line) for line in lines)
