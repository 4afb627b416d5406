# SPDX-License-Identifier: GPL-2.0-only
"""Mails with patches: what their headers say of a series, and their text as a kernel tree has it."""

from __future__ import annotations

import email
import email.message
import email.policy
import mailbox
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError

_PREFIX = re.compile(r"^((?:\[[^\]]*\]\s*)+)(.*)$")
_PATCH = re.compile(r"\b(?:PATCH|RFC)\b", re.IGNORECASE)
_VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b(\d+)/(\d+)\b")
#: As `git format-patch --base` writes it (Documentation/git-format-patch).
_BASE_COMMIT = re.compile(rb"^base-commit:[ \t]*([0-9a-f]{12,64})[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Tag:
    """What the brackets of a subject say: version from 1, patch `number` of `total`, 0 for a cover letter.

    `title` is the rest.
    """

    version: int
    number: int
    total: int
    title: str


@dataclass(frozen=True)
class Mail:
    """A mail. Headers are decoded and on one line; those that are missing are "".

    `text` has every text part decoded, with line ends as a kernel tree has them. `message_id` is without its angle
    brackets.
    """

    subject: str
    sender: str
    to: str
    cc: str
    date: str
    message_id: str
    text: bytes

    @property
    def tag(self) -> Tag | None:
        """None for what is no patch and no cover letter, such as a reply."""
        return parse_tag(self.subject)

    @property
    def base_commit(self) -> str | None:
        """The commit that the series is made for, where the mail says it."""
        match = _BASE_COMMIT.search(self.text)
        return match[1].decode() if match else None


def parse_tag(subject: str) -> Tag | None:
    """``[PATCH v2 03/18] sched: ...`` as version 2, number 3 of 18."""
    match = _PREFIX.match(subject)
    if match is None or not _PATCH.search(match[1]):
        return None
    version, number = _VERSION.search(match[1]), _NUMBER.search(match[1])
    place = (int(number[1]), int(number[2])) if number else (1, 1)
    return Tag(int(version[1]) if version else 1, *place, match[2].strip())


def parse_mail(data: bytes) -> Mail:
    """A mail's bytes, whatever its encodings."""
    message = email.message_from_bytes(data, policy=email.policy.default)

    def header(name: str) -> str:
        return " ".join(str(message.get(name, "")).split())

    return Mail(
        subject=header("Subject"),
        sender=header("From"),
        to=header("To"),
        cc=header("Cc"),
        date=header("Date"),
        message_id=header("Message-ID").strip("<> "),
        text=decoded_text(message),
    )


def decoded_text(message: email.message.EmailMessage) -> bytes:
    """The text parts of a message, decoded (quoted-printable, base64), with line ends as a kernel tree has them."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    payloads = [part.get_payload(decode=True) for part in parts]
    body = b"\n".join(payload for payload in payloads if isinstance(payload, bytes))
    return body.replace(b"\r\n", b"\n")


def read_mails(path: Path) -> tuple[Mail, ...]:
    """The mails in an mbox, in a file with one mail, or in a maildir, in no particular order.

    Raises InputError where it cannot be read.
    """
    try:
        if path.is_dir():
            return _parse_all(mailbox.Maildir(path, factory=None, create=False))
        with path.open("rb") as file:
            one = file.read(5) != b"From "
        return (parse_mail(path.read_bytes()),) if one else _parse_all(mailbox.mbox(path, None, create=False))
    except (OSError, mailbox.Error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _parse_all(
    box: mailbox.Mailbox[mailbox.MaildirMessage] | mailbox.Mailbox[mailbox.mboxMessage],
) -> tuple[Mail, ...]:
    try:
        return tuple(parse_mail(box.get_bytes(key)) for key in box.keys())  # noqa: SIM118 (no dict)
    finally:
        box.close()


def find_versions(mails: Iterable[Mail]) -> tuple[int, ...]:
    """The versions of a series that there are patches of, sorted."""
    tags = [mail.tag for mail in mails]
    return tuple(sorted({tag.version for tag in tags if tag is not None}))


def missing_numbers(tags: Iterable[Tag]) -> tuple[int, ...]:
    """Numbers of patches that a series says it has and that are not there."""
    seen = list(tags)
    total = max((tag.total for tag in seen), default=0)
    return tuple(sorted(set(range(1, total + 1)) - {tag.number for tag in seen}))
