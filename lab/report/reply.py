# SPDX-License-Identifier: GPL-2.0-only
"""A reply to a series: the draft of a mail that a person reads, edits and sends.

It has what the lab knows and no tag: a `Tested-by:` is somebody's word, and the lab is nobody.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import EmailPolicy

from lab.judge.arms import compare_arms
from lab.judge.armtable import render_arms
from lab.judge.armverdicts import render_short_verdicts, render_windows
from lab.judge.layout import WIDTH, wrap
from lab.judge.trialverdict import TrialVerdict
from lab.report.material import Material
from lab.report.runview import environment_facts

#: Nobody's mail client wraps headers at more.
_POLICY = EmailPolicy(max_line_length=78, utf8=False)
_FACTS = ("host kernel", "QEMU", "libvirt", "host", "kernel outside")
_TAG_PLACE = (
    "[ A tag of yours (Tested-by: ...) would stand here. The lab never writes one. Delete this line. ]"
)


@dataclass(frozen=True)
class Tried:
    """What was tried on what.

    `subject`, `message_id`, `sender`, `to` and `cc` are those of the mail that is replied to, "" where the patches
    came without mails. `patches` counts them, `replay` is the command that does all of it again, `notes` are what a
    reader has to know besides.
    """

    title: str
    subject: str
    message_id: str
    sender: str
    to: str
    cc: str
    patches: int
    bases: tuple[str, ...]
    topology: str
    replay: tuple[str, ...]
    notes: tuple[str, ...] = ()


def render_reply(material: Material, tried: Tried, verdict: TrialVerdict) -> str:
    """A mail in ASCII with headers, its body in at most 75 columns but for words of a command that are longer."""
    message = EmailMessage(policy=_POLICY)
    for name, value in _headers(tried):
        message[name] = value
    body = "\n".join(_body(material, tried, verdict)) + "\n"
    message.set_content(body, cte="7bit" if body.isascii() else "quoted-printable")
    return message.as_string()


def _headers(tried: Tried) -> Iterator[tuple[str, str]]:
    """No From and no Date: those are of whoever sends it."""
    if tried.sender:
        yield "To", tried.sender
    others = ", ".join(filter(None, (tried.to, tried.cc)))
    if others:
        yield "Cc", others
    subject = tried.subject or tried.title
    yield "Subject", subject if subject.lower().startswith("re:") else f"Re: {subject}"
    if tried.message_id:
        yield "In-Reply-To", f"<{tried.message_id}>"
        yield "References", f"<{tried.message_id}>"


def _body(material: Material, tried: Tried, verdict: TrialVerdict) -> Iterator[str]:
    yield from _intro(tried)
    yield ""
    for line in verdict.lines:
        yield from wrap(line, 2, 4)
    yield ""
    report = compare_arms(material.evidence)
    if report is not None:
        yield from _text(render_arms(report, material.evidence))
        yield ""
    yield from _text(render_windows(material.evidence))
    yield from _text(render_short_verdicts(material.judgement))
    yield ""
    yield "Environment"
    for fact in _environment(material, tried):
        yield from wrap(fact, 2, 4)
    yield ""
    yield "To do the same again"
    yield from render_command(tried.replay)
    yield ""
    yield from wrap(_TAG_PLACE, 0, 0)


def _intro(tried: Tried) -> Iterator[str]:
    how = "1 patch" if tried.patches == 1 else f"{tried.patches} patches"
    yield from wrap(
        f"I ran this ({how}) against its base with paravirt-lab: the same guests with the base and with the "
        "patched kernel, in turns. In short:",
        0,
        0,
    )


def _environment(material: Material, tried: Tried) -> Iterator[str]:
    mail = f" <{tried.message_id}>" if tried.message_id else ""
    yield f"series: {tried.title}{mail}"
    for base in tried.bases:
        yield f"base: {base}"
    yield f"topology: {tried.topology}"
    for fact in environment_facts(material):
        if fact.name in _FACTS:
            yield f"{fact.name}: {fact.value}"
    where = material.plan.host
    yield f"guests on: {where.where}{', emulated' if where.emulated else ''}"
    for note in (*tried.notes, *_lacking(material)):
        yield f"note: {note}"


def _lacking(material: Material) -> Iterator[str]:
    skipped = dict.fromkeys(str(one.data["knob"]) for one in material.events if one.kind == "knob-skipped")
    if skipped:
        yield f"skipped where the kernel does not have it: {', '.join(skipped)}"


def _text(rendered: str) -> list[str]:
    return rendered.rstrip("\n").splitlines()


def render_command(words: Sequence[str]) -> list[str]:
    """A command in lines of at most 75 columns that can be pasted into a shell."""
    lines, line = [], " "
    for word in map(shlex.quote, words):
        if len(line) > 1 and len(line) + len(word) + 3 > WIDTH:
            lines.append(f"{line} \\")
            line = "   "
        line += f" {word}"
    return [*lines, line]
