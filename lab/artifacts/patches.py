# SPDX-License-Identifier: GPL-2.0-only
"""Kernel patches: mboxes split into patches, applied in order, and a useful word about a reject."""

from __future__ import annotations

import email
import email.message
import email.policy
import hashlib
import mailbox
import re
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.difftext import normal_form
from lab.artifacts.ports import Commands
from lab.errors import CommandFailed, InputError, PatchRejected

_APPLY_TIMEOUT_S = 120
_REJECT_LINES = 30
_DIFF = re.compile(r"^(?:diff --git |--- \S)", re.MULTILINE)
_NUMBER = re.compile(r"\[[^\]]*?PATCH[^\]]*?\b(\d+)/(\d+)[^\]]*\]", re.IGNORECASE)
_FILE = re.compile(r"^(?:checking|patching) file '?(.+?)'?(?: \(.*\))?$")
_FAILED_HUNK = re.compile(r"^Hunk #(\d+) FAILED at (\d+)")
_MISSING = re.compile(r"^(?:\|(?:---|\+\+\+) (\S+)|No file to patch.*)")


@dataclass(frozen=True)
class Patch:
    """One patch: `name` says where it came from, `text` is what `patch -p1` reads."""

    name: str
    text: bytes


@dataclass(frozen=True)
class Reject:
    """Why a patch did not apply: `hunk` counts from 1 in the patch of `file`, None where all of it failed."""

    file: str
    hunk: int | None
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}: " if self.hunk is None else f"{self.file}: hunk {self.hunk} "
        return where + self.reason


def read_patches(paths: tuple[Path, ...]) -> tuple[Patch, ...]:
    """The patches in files and mboxes, in the order in which they apply.

    Raises InputError for a file that cannot be read or holds no patch.
    """
    return tuple(patch for path in paths for patch in _read_file(path))


def _read_file(path: Path) -> tuple[Patch, ...]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"patch {path}: {error.strerror}") from None
    patches = split_mbox(path) if data.startswith(b"From ") else (Patch(path.name, data),)
    patches = tuple(patch for patch in patches if _DIFF.search(patch.text.decode(errors="replace")))
    if not patches:
        raise InputError(f"patch {path}: there is no diff in it")
    return patches


def patch_digest(patch: Patch) -> str:
    """The SHA-256 of what a patch does, in hex: the same from a mail, from git and from quilt."""
    return hashlib.sha256(normal_form(patch.text)).hexdigest()


def split_mbox(path: Path) -> tuple[Patch, ...]:
    """The messages of an mbox as patches, ordered by their [PATCH n/m], else as they come.

    Bodies are decoded (quoted-printable, base64): `patch` reads no mail.
    """
    box = mailbox.mbox(path, factory=None, create=False)
    messages = [email.message_from_bytes(bytes(message), policy=email.policy.default) for message in box]
    box.close()
    numbered = [(_patch_number(message, place), message) for place, message in enumerate(messages, start=1)]
    numbered.sort(key=lambda pair: pair[0])
    return tuple(Patch(f"{path.name}: {_subject(message)}", _body(message)) for _, message in numbered)


def _subject(message: email.message.EmailMessage) -> str:
    return " ".join(str(message.get("subject", "no subject")).split())


def _patch_number(message: email.message.EmailMessage, place: int) -> int:
    match = _NUMBER.search(_subject(message))
    return int(match[1]) if match else place


def _body(message: email.message.EmailMessage) -> bytes:
    """The decoded text parts, with line ends as a kernel tree has them."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    payloads = [part.get_payload(decode=True) for part in parts]
    body = b"\n".join(payload for payload in payloads if isinstance(payload, bytes))
    return body.replace(b"\r\n", b"\n")


def apply_patches(commands: Commands, tree: Path, patches: tuple[Patch, ...], work: Path, log: Path) -> None:
    """Apply `patches` to `tree` in order, without fuzz: a hunk whose context differs is a reject.

    `patch` writes a new file and renames it, so a tree of hard links is safe. Raises PatchRejected with the
    patch's name and, for each failed hunk, file, number and text.
    """
    for number, patch in enumerate(patches, start=1):
        what = f"applying patch {number} of {len(patches)}, {patch.name}"
        source, said, rejects = (work / name for name in ("patch", "patch.log", "patch.rej"))
        source.write_bytes(patch.text)
        said.unlink(missing_ok=True)
        rejects.unlink(missing_ok=True)
        options = ("--strip=1", "--forward", "--batch", "--fuzz=0", "--no-backup-if-mismatch")
        argv = ["patch", *options, f"--reject-file={rejects}", f"--input={source}"]
        try:
            commands.run(argv, what=what, log=said, cwd=tree, timeout_s=_APPLY_TIMEOUT_S)
        except CommandFailed as error:
            raise _rejected(patch, _text(said), _text(rejects), log) from error
        finally:
            with log.open("a") as sink:
                sink.write(f"{what}\n{_text(said)}")


def parse_rejects(output: str) -> tuple[Reject, ...]:
    """What failed, out of the words of GNU patch."""
    rejects: list[Reject] = []
    file, missing = "?", "?"
    for line in output.splitlines():
        if match := _FILE.match(line):
            file = match[1]
        elif match := _FAILED_HUNK.match(line):
            rejects.append(Reject(file, int(match[1]), f"does not apply at line {match[2]}"))
        elif line.startswith("Reversed (or previously applied)"):
            rejects.append(Reject(file, None, "the change is already there"))
        elif line.startswith("No file to patch"):
            rejects.append(Reject(missing, None, "there is no such file"))
        elif match := _MISSING.match(line):
            missing = match[1].partition("/")[2] or match[1]
        elif "malformed patch" in line:
            rejects.append(Reject(file, None, line.removeprefix("patch: **** ")))
    return tuple(rejects)


def _rejected(patch: Patch, output: str, rejects: str, log: Path) -> PatchRejected:
    found = parse_rejects(output)
    reasons = "".join(f"\n  {reject}" for reject in found) or f"\n{output.strip()}"
    shown = "\n".join(rejects.splitlines()[:_REJECT_LINES])
    message = f"patch {patch.name} does not apply:{reasons}" + (f"\nthe reject:\n{shown}" if shown else "")
    return PatchRejected(message, f"rebase the series onto this source; the whole log is {log}")


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
