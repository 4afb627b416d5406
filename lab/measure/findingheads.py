# SPDX-License-Identifier: GPL-2.0-only
"""How a kernel begins to say that something is wrong, and which kind of finding that is.

Texts are those of Linux 6.12 (kernel/panic.c, kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h,
kernel/locking/lockdep.c, kernel/sched/core.c, lib/ubsan.c, mm/{kasan,kfence}/report.c, arch/x86/mm/fault.c,
arch/x86/kernel/{traps,dumpstack}.c, arch/arm64/{mm/fault,kernel/traps}.c), and the first line of a warning as
it is since 6.19.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.topology.findingspec import FindingKind


@dataclass(frozen=True)
class Head:
    """The first line of a report: what kind it is, and what of vCPU, pid and process it names itself."""

    kind: FindingKind
    vcpu: int | None = None
    pid: int | None = None
    process: str = ""


#: Who says it: "watchdog: ", "rcu: ", "NMI watchdog: ", "CPU3: ".
_SPEAKER = r"(?:(?:NMI )?[\w/.-]{1,24}: )?"
_LOCKDEP = (
    r"possible (?:circular|recursive|irq lock inversion)|inconsistent lock state|suspicious RCU usage"
    r"|bad unlock balance|bad contention|held lock freed|lock held when returning|.* lock dependency detected"
    r"|.*-safe -> .*-unsafe lock order|Nested lock was not taken|.*\bhas locks? still held"
)
#: The first that matches at a line's beginning decides.
_PATTERNS: tuple[tuple[FindingKind, str], ...] = (
    ("panic", r"Kernel panic - not syncing"),
    ("kasan", r"BUG: KASAN: "),
    ("kasan", r"BUG: KMSAN: "),
    ("kcsan", r"BUG: KCSAN: "),
    ("kfence", r"BUG: KFENCE: "),
    ("ubsan", r"UBSAN: "),
    ("lockdep", rf"WARNING: (?:{_LOCKDEP})"),
    ("lockdep", r"\[ BUG: (?:Invalid wait context|.*lock)"),
    ("soft-lockup", rf"{_SPEAKER}BUG: soft lockup - CPU#(?P<vcpu>\d+).*\[(?P<process>.+):(?P<pid>\d+)\]"),
    ("soft-lockup", rf"{_SPEAKER}BUG: soft lockup\b"),
    ("hard-lockup", rf"{_SPEAKER}(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu (?P<vcpu>\d+)"),
    ("rcu-stall", rf"{_SPEAKER}INFO: rcu\w* (?:self-detected stall|detected (?:expedited )?stalls)"),
    (
        "hung-task",
        rf"{_SPEAKER}INFO: task (?P<process>.+):(?P<pid>\d+) blocked .*for more than \d+ seconds",
    ),
    ("bug", r"[kK]ernel BUG at "),
    ("oops", r"BUG: (?:kernel NULL pointer dereference|unable to handle )"),
    ("oops", r"Unable to handle kernel "),
    ("oops", r"(?:Internal error: )?Oops\b"),
    ("oops", r"(?:traps: )?PANIC: double fault"),
    ("oops", r"[\w ,-]*(?:\bfor non-canonical address 0x[0-9a-f]+)?: [0-9a-f]{4,16} \[#\d+\]"),
    ("bug", rf"{_SPEAKER}BUG: "),
    ("warning", r"WARNING: CPU: (?P<vcpu>\d+) PID: (?P<pid>\d+) at "),
    (
        "warning",
        r"WARNING: .*\bat \S+\+0x[0-9a-f]+/0x[0-9a-f]+.*, CPU#(?P<vcpu>\d+): (?P<process>.+)/(?P<pid>\d+)$",
    ),
)
_HEADS = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)
#: An oops that a line of this kind follows is one and the same.
_OOPS = re.compile(r"(?:Internal error: )?Oops\b|.*: [0-9a-f]{4,16} \[#\d+\]")
#: Panics that some other report led to: what the kernel says when it is told to panic on such.
_CONSEQUENCE = re.compile(
    r"Kernel panic - not syncing: (?:Fatal exception|Fatal hardware|hung_task:|softlockup: |Hard LOCKUP|hard lockup"
    r"|RCU Stall|scheduling while atomic|\w*: ?panic_on_warn|.*panic_on_warn set|.*fault\.panic)"
)


def parse_head(text: str) -> Head | None:
    """What a line without its time stamp begins; None for all others."""
    for kind, pattern in _HEADS:
        if found := pattern.match(text):
            said = found.groupdict()
            return Head(kind, _number(said.get("vcpu")), _number(said.get("pid")), said.get("process") or "")
    return None


def continues_oops(text: str) -> bool:
    """Whether a line belongs to the report of an exception that began a few lines before."""
    return _OOPS.match(text) is not None


def is_consequence(text: str) -> bool:
    """Whether a panic is what another report led to."""
    return _CONSEQUENCE.match(text) is not None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
