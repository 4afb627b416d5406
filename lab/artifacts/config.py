# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configuration: fragments that say what is wanted, and the check that they stuck.

kconfig drops a wanted symbol without a word when its dependencies are not met, so every fragment is compared
with the .config that came out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError

_SET = re.compile(r"CONFIG_(\w+)=(.+)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")
_ENTRY = re.compile(r"\s*(?:menu)?config\s+(\w+)\s*$")
_BLOCK_END = re.compile(r"\s*(?:menu)?(?:config|choice|endchoice|menu|endmenu|if|endif|source)\b")


@dataclass(frozen=True)
class Wish:
    """One line of a fragment: `value` is y, m, a number or a quoted string as in .config, or n."""

    symbol: str
    value: str
    file: str
    line: int


@dataclass(frozen=True)
class Definition:
    """What Kconfig files say of a symbol: the texts after `depends on`."""

    depends: tuple[str, ...]


@dataclass(frozen=True)
class Unmet:
    """A wish that did not stick; `definition` is None where the kernel does not know the symbol."""

    wish: Wish
    got: str
    definition: Definition | None

    def __str__(self) -> str:
        place = f"{self.wish.file}:{self.wish.line}"
        text = f"{place}: CONFIG_{self.wish.symbol}: wanted {self.wish.value}, got {self.got}"
        if self.definition is None:
            return f"{text}; this kernel has no such symbol"
        return text + "".join(f"; it depends on {condition}" for condition in self.definition.depends)


def parse_fragment(text: str, file: str) -> tuple[Wish, ...]:
    """The wishes of one fragment, in order.

    Raises InputError that names file and line for a line that is neither a setting nor a comment.
    """
    wishes = []
    for number, line in enumerate(text.splitlines(), start=1):
        setting, unset = _SET.fullmatch(line.strip()), _UNSET.fullmatch(line.strip())
        if setting:
            wishes.append(Wish(setting[1], setting[2], file, number))
        elif unset:
            wishes.append(Wish(unset[1], "n", file, number))
        elif line.strip() and not line.lstrip().startswith("#"):
            raise InputError(f"{file}:{number}: {line.strip()!r} is not a line of a kernel config")
    return tuple(wishes)


def parse_config(text: str) -> dict[str, str]:
    """Symbol to value of a .config; symbols that are not set are left out."""
    return {match[1]: match[2] for match in map(_SET.fullmatch, text.splitlines()) if match}


def final_wishes(fragments: Iterable[tuple[Wish, ...]]) -> tuple[Wish, ...]:
    """What the fragments together ask for: of several wishes for a symbol, the last."""
    return tuple({wish.symbol: wish for wishes in fragments for wish in wishes}.values())


def unstuck(wishes: Iterable[Wish], config: Mapping[str, str]) -> tuple[Wish, ...]:
    """The wishes that `config` does not fulfil."""
    return tuple(wish for wish in wishes if config.get(wish.symbol, "n") != wish.value)


def parse_kconfig(text: str, symbols: Iterable[str]) -> dict[str, Definition]:
    """Those of `symbols` that a Kconfig file defines. Conditions of surrounding `if` blocks are not seen."""
    wanted, found = set(symbols), dict[str, Definition]()
    current = None
    for line in text.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry:
            current = entry[1] if entry[1] in wanted else None
            if current:
                found.setdefault(current, Definition(()))
        elif _BLOCK_END.match(line):
            current = None
        elif current and line.strip().startswith("depends on "):
            condition = line.strip().removeprefix("depends on ")
            found[current] = Definition((*found[current].depends, condition))
    return found


def read_definitions(tree: Path, symbols: Iterable[str], arch: str) -> dict[str, Definition]:
    """Those of `symbols` that the kernel source `tree` defines for `arch` (its name under arch/)."""
    wanted = set(symbols)
    found: dict[str, Definition] = {}
    for path in sorted(tree.rglob("Kconfig*")):
        parts = path.relative_to(tree).parts
        if parts[0] == "arch" and len(parts) > 2 and parts[1] != arch:
            continue
        found.update(parse_kconfig(path.read_text(errors="replace"), wanted))
    return found
