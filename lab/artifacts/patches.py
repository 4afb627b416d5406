# SPDX-License-Identifier: GPL-2.0-only
"""Kernel patches: mboxes split into patches, applied in order, and a useful word about a reject."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.difftext import has_diff, normal_form
from lab.artifacts.mails import read_mails
from lab.artifacts.ports import Commands
from lab.errors import CommandFailed, InputError, PatchRejected

_APPLY_TIMEOUT_S = 120
_REJECT_LINES = 30
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
    patches = tuple(patch for patch in patches if has_diff(patch.text))
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
    numbered = [
        (mail.tag.number if mail.tag else place, mail) for place, mail in enumerate(read_mails(path), start=1)
    ]
    numbered.sort(key=lambda pair: pair[0])
    return tuple(Patch(f"{path.name}: {mail.subject or 'no subject'}", mail.text) for _, mail in numbered)


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
