# SPDX-License-Identifier: GPL-2.0-only
"""What a patch changes, apart from what it says about itself.

The same change comes with other words around it from a mail, from git and from quilt: other headers, another
diffstat, another order of trailers, `index` lines of another repository. None of that reaches the kernel, so
kernels are known by the normal form: the part of a unified diff that `patch` acts on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DIFF = re.compile(rb"^(?:diff --git |--- \S)", re.MULTILINE)
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
#: git's headers that say what becomes of a file; `index` names blobs of a repository and is left out.
_EXTENDED = re.compile(
    rb"^(?:old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to) "
)
_NAME = re.compile(rb"^(?:---|\+\+\+) ([^\t\n]+)")
_GIT = re.compile(rb"^diff --git a/(.+) b/(.+)$")
_MOVED = re.compile(rb"^(?:copy|rename) (?:from|to) (.+)$")
_BINARY = (b"GIT binary patch", b"Binary files ")
_KCONFIG = re.compile(r"(?:^|/)Kconfig[^/]*$")
_SYMBOL = re.compile(r"^\+\s*(?:menu)?config\s+(\w+)\s*$")
_PROMPT = re.compile(r"^\+\s+(?:(?:bool|tristate|int|hex|string)\s+[\"']|prompt\b)")
_ON = re.compile(r"^\+\s+(?:default|def_bool|def_tristate)\s+[ym]\s*$")


class UnreadableDiffError(Exception):
    """A hunk that is cut short, or a binary patch: whoever reads on would guess."""


def has_diff(text: bytes) -> bool:
    """Whether there is anything for `patch` in it."""
    return _DIFF.search(text) is not None


def normal_form(text: bytes) -> bytes:
    """The part of `text` on which `patch` acts; all of `text` where that cannot be told for certain.

    Two patches with one normal form make the same of every tree.
    """
    try:
        kept = b"".join(line + b"\n" for line in _kept(text))
    except UnreadableDiffError:
        return text
    return kept or text


def _kept(text: bytes) -> Iterator[bytes]:
    lines = iter(text.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n"))
    for line in lines:
        if line.startswith(_BINARY):
            raise UnreadableDiffError
        if match := _HUNK.match(line):
            yield match[0]
            yield from _hunk(lines, *(int(count) if count else 1 for count in match.groups()))
        elif line.startswith(b"\\ "):  # "No newline at end of file", after the last line of a hunk
            yield line
        elif match := _NAME.match(line):
            yield match[0]
        elif _GIT.match(line) or _EXTENDED.match(line):
            yield line


def _hunk(lines: Iterator[bytes], old: int, new: int) -> Iterator[bytes]:
    while old > 0 or new > 0:
        line = next(lines, None)
        if line is None:
            raise UnreadableDiffError
        # Some mailers take the space of an empty line of context away; `patch` reads that too.
        kind = line[:1] or b" "
        if kind not in (b" ", b"+", b"-", b"\\"):
            raise UnreadableDiffError
        old -= kind in (b" ", b"-")
        new -= kind in (b" ", b"+")
        yield line or b" "


def touched_files(text: bytes) -> tuple[str, ...]:
    """Paths in the tree that a patch reads, changes, makes or removes, in order."""
    found: dict[str, None] = {}
    for line in normal_form(text).split(b"\n"):
        for name in _names(line):
            found.setdefault(name.decode(errors="surrogateescape"))
    return tuple(found)


def _names(line: bytes) -> Iterator[bytes]:
    if match := _GIT.match(line):
        yield from match.groups()
    elif match := _MOVED.match(line):
        yield match[1]
    elif match := _NAME.match(line):
        _, slash, name = match[1].partition(b"/")
        if slash and match[1] != b"/dev/null":
            yield name


@dataclass(frozen=True)
class NewSymbol:
    """A config symbol with a prompt that a patch adds; `on` where it is on without being asked for."""

    name: str
    on: bool


def new_symbols(text: bytes) -> tuple[NewSymbol, ...]:
    """The config symbols that people can set and that a patch adds, in order. Of a patch that moves a symbol, that
    one too."""
    found: list[NewSymbol] = []
    for file, block in _added_config(text):
        if _KCONFIG.search(file):
            name = _SYMBOL.match(block[0])
            assert name is not None
            if any(_PROMPT.match(line) for line in block):
                found.append(NewSymbol(name[1], any(_ON.match(line) for line in block)))
    return tuple(found)


def _added_config(text: bytes) -> Iterator[tuple[str, list[str]]]:
    """(file, lines) of every added `config` with the added lines that follow it."""
    file, block = "", list[str]()
    for line in normal_form(text).decode(errors="replace").split("\n"):
        if _SYMBOL.match(line) or not line.startswith("+") or line.startswith("+++ "):
            if block:
                yield file, block
            block = [line] if _SYMBOL.match(line) else []
        elif block:
            block.append(line)
        if line.startswith("+++ "):
            file = line[4:].partition("/")[2]
    if block:
        yield file, block
