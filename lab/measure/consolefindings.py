# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel reports of itself on a console: panics, oopses, warnings, lockups, stalls, hung tasks.

Pure: from the bytes of a console to typed findings. A report is read as the kernel writes it, head first, then the
vCPU and the process, then registers and the call trace; lines of others in between are left out. What two vCPUs
say at the same time is mixed in a console, and so in their findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from lab.measure.findingheads import Head, continues_oops, is_consequence, parse_head
from lab.topology.findingspec import FindingKind

#: Characters of a line that are kept, lines that a report may have, frames, and findings of one console: a kernel
#: that warns in a loop says the same again.
LONGEST, MOST_LINES, MOST_FRAMES, MOST_FINDINGS = 300, 200, 64, 500
#: Lines within which an exception says what it is.
_SAME_OOPS = 8

_STAMP = re.compile(r"(?:<\d+>)?\[ *(\d+\.\d{3,9})\](?:\[ *[TC]\d+\])? ?")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_FRAME = re.compile(
    r"(?:\[<[0-9a-f]+>\] ?)?(?P<guess>\? )?(?P<symbol>[A-Za-z_.][\w.$]*)"
    r"\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)(?: \[(?P<module>[\w-]+)[^\]]*\])?(?: \(.*\))?"
)
_WHO = re.compile(
    r"CPU: (\d+)(?: UID: \d+)? PID: (\d+) Comm: (.+?)(?: Kdump: \w+)? (?:Not tainted|Tainted: )"
)
_IP = re.compile(r"(?:RIP: [0-9a-f]{4}:|pc : |epc : |NIP \[[0-9a-f]+\] )(.*)")
_AT = re.compile(r"WARNING: .*?\bat (?:\S+:\d+ )?(?=[A-Za-z_.][\w.$]*\+0x)")
_STALLED = re.compile(r"(?:rcu: )?\s*(\d+)-[.!O]+: \(")
_TASK = re.compile(r"task:(.+?)\s+state:\S+ .*?\bpid:(\d+)")
_TRACE = re.compile(r"Call [Tt]race:")
#: The stacks of a trace have names, and where one was interrupted its registers stand.
_WITHIN_TRACE = re.compile(r"<|(?:RIP|Code|EFLAGS|[RE][A-Z]{2}|ORIG_RAX|R\d\d|[CDFG][SR]\d?):|$")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_CUT = "------------[ cut here ]------------"
#: Functions that report, and those that any waiting task is in: not what a report is about.
_REPORTERS = frozenset(
    (
        *(
            "dump_stack",
            "dump_stack_lvl",
            "show_stack",
            "panic",
            "vpanic",
            "__warn",
            "report_bug",
            "handle_bug",
        ),
        *(
            "warn_slowpath_fmt",
            "__warn_printk",
            "__schedule",
            "schedule",
            "schedule_timeout",
            "schedule_preempt_disabled",
        ),
        *("print_report", "kasan_report", "nmi_panic", "__might_resched", "__schedule_bug", "ubsan_epilogue"),
    )
)


@dataclass(frozen=True)
class Frame:
    """One entry of a call trace: `symbol` + `offset` of a function `size` bytes long; `sure` is False where the
    kernel itself only guesses (``?``). `module` is empty for the kernel proper."""

    symbol: str
    offset: int
    size: int
    module: str = ""
    sure: bool = True

    def __str__(self) -> str:
        module = f" [{self.module}]" if self.module else ""
        return f"{'' if self.sure else '? '}{self.symbol}+{self.offset:#x}/{self.size:#x}{module}"


@dataclass(frozen=True)
class ConsoleFinding:
    """One report in one console.

    It begins in line `line` (from 1) at byte `offset`; `time_s` is the kernel's own time stamp, None where the
    console has none. `text` is its first line without that, and `message` what was said before it (the text of a
    WARN). `vcpu`, `pid` and `process` are those that it names, `ip` where the instruction pointer was. `panic` is
    the reason of the panic that it led to, empty where it led to none.
    """

    kind: FindingKind
    line: int
    offset: int
    time_s: float | None
    text: str
    message: str = ""
    vcpu: int | None = None
    pid: int | None = None
    process: str = ""
    ip: Frame | None = None
    trace: tuple[Frame, ...] = ()
    panic: str = ""

    @property
    def place(self) -> str:
        """The function that it is about, as far as can be told; empty where nothing tells."""
        if self.ip is not None:
            return str(self.ip)
        told = (one for one in self.trace if one.sure and one.symbol not in _REPORTERS)
        return next((str(one) for one in told), "")

    @property
    def is_fatal(self) -> bool:
        """Whether the kernel ended with it."""
        return self.kind == "panic" or bool(self.panic)


@dataclass(frozen=True)
class _Line:
    number: int
    offset: int
    time_s: float | None
    text: str


def parse_findings(console: bytes) -> tuple[ConsoleFinding, ...]:
    """Every report in a console, in order; empty where the kernel is content. Any bytes will do."""
    reader = _Reader()
    for line in _lines(console):
        reader.take(line)
    return tuple(reader.found)


def _lines(console: bytes) -> Iterator[_Line]:
    offset = 0
    for number, raw in enumerate(console.split(b"\n"), 1):
        text = _ESCAPES.sub("", raw[: 4 * LONGEST].decode(errors="replace")).replace("\r", "")
        stamp = _STAMP.match(text)
        time_s = float(stamp[1]) if stamp else None
        yield _Line(number, offset, time_s, text[stamp.end() :] if stamp else text)
        offset += len(raw) + 1


@dataclass
class _Reader:
    """The report that is being read is the last of `found`, while `open` is true."""

    found: list[ConsoleFinding] = field(default_factory=list)
    open: bool = False
    _in_trace: bool = False
    _messages: list[str] | None = None

    def take(self, line: _Line) -> None:
        text = line.text.strip()
        head = parse_head(text)
        if head is not None:
            self._head(line, text, head)
        elif _CUT in text:
            self._messages, self.open = [], False
        elif self._messages is not None:
            self._note(text)
        elif self.open:
            self._detail(line, text)

    def _head(self, line: _Line, text: str, head: Head) -> None:
        if self._merged(line, text, head) or len(self.found) >= MOST_FINDINGS:
            return
        message = " ".join(self._messages or ())[:LONGEST]
        finding = ConsoleFinding(
            *(head.kind, line.number, line.offset, line.time_s, text[:LONGEST], message),
            vcpu=head.vcpu,
            pid=head.pid,
            process=head.process,
            ip=_place_of_warning(text) if head.kind == "warning" else None,
        )
        self.found.append(finding)
        self._messages, self.open, self._in_trace = None, True, False

    def _merged(self, line: _Line, text: str, head: Head) -> bool:
        """Whether the line belongs to the report before it: the exception's name, or the panic it led to."""
        last = self.found[-1] if self.found else None
        if last is None or line.number - last.line > MOST_LINES:
            return False
        if head.kind == "panic" and is_consequence(text) and not last.is_fatal:
            self._change(panic=text.partition("not syncing: ")[2][:LONGEST])
            self.open = False
            return True
        near = self.open and line.number - last.line <= _SAME_OOPS
        return near and last.kind in ("oops", "bug") and continues_oops(text)

    def _note(self, text: str) -> None:
        """The text of a warning stands between the cut and its head."""
        assert self._messages is not None
        self._messages.append(text)
        if len(self._messages) > 3:
            self._messages = None

    def _detail(self, line: _Line, text: str) -> None:
        last = self.found[-1]
        if _END.match(text) or line.number - last.line > MOST_LINES:
            self.open = False
        elif _TRACE.match(text):
            self._in_trace = True
        elif self._in_trace and (frame := parse_frame(text)):
            if len(last.trace) < MOST_FRAMES:
                self._change(trace=(*last.trace, frame))
        else:
            self._in_trace = self._in_trace and _WITHIN_TRACE.match(text) is not None
            self._about(last, text)

    def _about(self, last: ConsoleFinding, text: str) -> None:
        """Who it was, and where."""
        who, ip, stalled, task = _WHO.match(text), _IP.match(text), _STALLED.match(text), _TASK.match(text)
        if who and not last.process:
            vcpu = int(who[1]) if last.vcpu is None else last.vcpu
            self._change(vcpu=vcpu, pid=int(who[2]), process=who[3])
        elif ip and last.ip is None and not last.trace:
            self._change(ip=parse_frame(ip[1]))
        elif stalled and last.kind == "rcu-stall" and last.vcpu is None:
            self._change(vcpu=int(stalled[1]))
        elif task and not last.process:
            self._change(process=task[1], pid=int(task[2]))

    def _change(self, **changes: object) -> None:
        self.found[-1] = replace(self.found[-1], **changes)  # type: ignore[arg-type]


def _place_of_warning(text: str) -> Frame | None:
    at = _AT.match(text)
    return parse_frame(text[at.end() :].partition(",")[0]) if at else None


def parse_frame(text: str) -> Frame | None:
    """`symbol+0x1/0x2 [module]` as it stands in a call trace; None for anything else."""
    found = _FRAME.fullmatch(text.strip())
    if found is None:
        return None
    offset, size = int(found["offset"], 16), int(found["size"], 16)
    return Frame(found["symbol"], offset, size, found["module"] or "", found["guess"] is None)
