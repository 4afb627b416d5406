# SPDX-License-Identifier: GPL-2.0-only
"""The language of images/probe/pvknob: commands for it, and what it says (images/probe/KNOBS.md)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from lab.errors import CommandFailed, InputError
from lab.knobs.model import BackendKind, KnobKind
from lab.plan.labplan import KnobCandidate

#: Exit statuses that come with an answer: done, something refused, and not let in.
_ANSWERED = (0, 1, 3)
#: A shell takes no longer argument (MAX_ARG_STRLEN), and the whole command is one.
_LONGEST_COMMAND = 120_000
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_KIND: TypeAdapter[BackendKind] = TypeAdapter(BackendKind)
_PLAIN = re.compile(rb"[!-\[\]-~]")


@dataclass(frozen=True)
class Line:
    """One line of an answer: its first word, and its values by key."""

    kind: str
    values: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        """The value of a key; empty where the line has none."""
        return self.values.get(key, "")

    @property
    def why(self) -> str:
        """Why something was refused: pvknob's words and the errno."""
        return f"{self['why']} ({self['errno']})" if self["errno"] else self["why"]


@dataclass(frozen=True)
class Answer:
    """What pvknob said: `boot_id` is the machine's, `log` what its kernel logged meanwhile."""

    boot_id: str
    lines: tuple[Line, ...]
    log: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Admission:
    """Who may write: nobody in another boot than `boot_id` (empty: in any), or after somebody with a higher `epoch`
    has passed the file `fence`."""

    fence: str
    epoch: int
    boot_id: str = ""


def candidate_word(candidate: KnobCandidate) -> str:
    """A place as pvknob takes it."""
    return f"{candidate.kind}{'+reload' if candidate.reload else ''}:{candidate.path}"


def parse_candidate(word: str, raw: str, compare: KnobKind) -> KnobCandidate:
    """The place that `candidate_word` made `word` of, with what to write there."""
    kind, _, path = word.partition(":")
    known: BackendKind = _KIND.validate_python(kind.removesuffix("+reload"))
    return KnobCandidate("", known, path, raw, compare, kind.endswith("+reload"))


def render_command(program: str, words: Sequence[str], admission: Admission | None = None) -> str:
    """A shell command. Raises InputError where it is longer than any shell takes."""
    options: list[str] = []
    if admission is not None and admission.boot_id:
        options += ["--boot", admission.boot_id]
    if admission is not None:
        options += ["--fence", admission.fence, str(admission.epoch)]
    command = shlex.join([program, *options, *words])
    if len(command) > _LONGEST_COMMAND:
        raise InputError(f"a value of {max(map(len, words))} bytes is too long to be handed to a machine")
    return command


def escape(value: str) -> str:
    """A value as a word: everything that is not printable ASCII, spaces and backslashes as \\xHH."""
    data = value.encode(errors="surrogateescape")
    return "".join(
        chr(byte) if _PLAIN.match(data[at : at + 1]) else f"\\x{byte:02x}" for at, byte in enumerate(data)
    )


def unescape(word: str) -> str:
    """The value of a word. Bytes that are no text come back as they went."""
    data = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), word.encode())
    return data.decode(errors="surrogateescape")


def parse_line(text: str) -> Line:
    """One line."""
    kind, *words = text.split(" ")
    pairs = (word.partition("=") for word in words)
    return Line(kind, {key: unescape(value) for key, _, value in pairs})


def parse_answer(status: int, stdout: str, stderr: str, command: str) -> Answer:
    """What a command said. Raises CommandFailed where that is no answer: no such program, a usage error."""
    lines = [parse_line(text) for text in stdout.splitlines() if text]
    if status not in _ANSWERED or not lines or lines[0].kind != "pvknob":
        said = (stderr or stdout).strip()
        raise CommandFailed(f"`{command[:500]}` ended with status {status}\n{said}".rstrip())
    log = tuple(line["text"] for line in lines if line.kind == "log")
    return Answer(lines[0]["boot"], tuple(one for one in lines[1:] if one.kind != "log"), log)
