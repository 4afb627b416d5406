# SPDX-License-Identifier: GPL-2.0-only
"""The directory in which the members of a bundle are gathered, and what is said of those that are missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.bundle.manifest import USUALLY_LEFT_OUT, LeftOut, Part


@dataclass
class Stage:
    """`directory` is empty at first. `redact` is what every text goes through; `parts` are those wanted."""

    directory: Path
    redact: Callable[[bytes], bytes]
    parts: frozenset[Part]
    left_out: list[LeftOut] = field(default_factory=list)

    def write(self, member: str, data: bytes) -> str:
        """A member with these bytes; its name."""
        path = self.directory / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return member

    def copy(self, member: str, source: Path) -> str:
        """A member that is the file `source`, byte for byte; its name."""
        path = self.directory / member
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        return member

    def copy_text(self, member: str, source: Path) -> str:
        """A member that is the text in `source`, redacted; its name."""
        return self.write(member, self.redact(source.read_bytes()))

    def lack(self, what: str, why: str) -> None:
        """Note that something is not in the bundle; once is enough."""
        one = LeftOut(what=self._redacted(what), why=self._redacted(why))
        if one not in self.left_out:
            self.left_out.append(one)

    def _redacted(self, text: str) -> str:
        return self.redact(text.encode(errors="replace")).decode(errors="replace")

    def wants(self, part: Part, what: str) -> bool:
        """Whether `part` is wanted; if not, `what` is noted as left out."""
        if part in self.parts:
            return True
        self.lack(what, f"without {part}" if part not in USUALLY_LEFT_OUT else f"--with {part} adds it")
        return False
