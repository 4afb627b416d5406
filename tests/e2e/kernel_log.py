# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel complains about: warnings, oopses, stalls, found in the text of a console or a kernel log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import count

from lab.run.interactive import LabSession

#: What begins a report of something that must not happen. A report may begin with any of its lines, since a console
#: that is cut, or lost lines in a burst, has the others only.
_SIGNS = (
    r"WARNING: ",  # WARN_ON(), lockdep
    r"\bBUG: ",  # also soft and hard lockups, scheduling while atomic, corrupted lists
    r"kernel BUG at ",
    r"\bOops\b",
    r"Kernel panic",
    r"general protection fault",
    r"[Uu]nable to handle ",
    r"Call Trace:",
    r"RIP: 0010:",
    r"rcu: INFO:",  # stalls: "rcu_sched self-detected stall", "detected expedited stalls"
    r"rcu: .*kthread starved",
    r"detected (?:expedited )?stalls? on CPUs",
    r"soft lockup",
    r"hard LOCKUP",
    r"INFO: task .* blocked for more than",
    r"scheduling while atomic",
    r"UBSAN: ",
    r"KASAN: ",
    r"list_(?:add|del) corruption",
    r"corrupted stack end",
    r"CPU\s?\d+ (?:failed to|is stuck|did not)",  # of CPU hotplug
    r"smpboot: .*(?:failed|stuck)",
)
_SIGN = re.compile("|".join(_SIGNS))
#: Lines shown after the first one of a report: enough for a call trace's top.
_FOLLOWING = 25
_CONSOLE_S = 15
_marks = count(1)


def find_complaints(text: str) -> tuple[str, ...]:
    """The reports in `text`, each with the lines that follow it; empty where the kernel is content."""
    return tuple("\n".join(report) for report in _reports(text.splitlines()))


def _reports(lines: list[str]) -> Iterator[list[str]]:
    number = 0
    while number < len(lines):
        if _SIGN.search(lines[number]):
            yield lines[number : number + 1 + _FOLLOWING]
            number += _FOLLOWING
        number += 1


def assert_no_complaints(lab: LabSession) -> None:
    """Neither the consoles nor the kernel logs of any guest hold a report, since boot.

    The topology has to let warnings reach the console (`cmdline: loglevel=5`).
    """
    for node in lab.nodes:
        # The console keeps what the ring buffer has overwritten; the buffer has what the console's level hides.
        for source, text in (
            ("console", _proven_console(lab, node)),
            ("kernel log", lab.exec(node, "dmesg").stdout),
        ):
            complaints = find_complaints(text)
            assert not complaints, f"{source} of {node}:\n" + "\n\n".join(complaints)


def _proven_console(lab: LabSession, node: str) -> str:
    """The console, after a warning of our own has come out of it: then no other one is still on its way."""
    mark = f"warning number {next(_marks)} of a test"
    lab.exec(node, f"echo '<4>{mark}' >/dev/kmsg")
    deadline = time.monotonic() + _CONSOLE_S
    while mark not in (text := lab.console(node)):
        assert time.monotonic() < deadline, f"a warning did not reach the console of {node} in {_CONSOLE_S} s"
        time.sleep(0.1)
    return text
