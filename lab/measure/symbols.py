# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of a kernel's functions, and what addr2line says of them.

A frame of a call trace names a function, an offset, and the function's size: with the kernel's table of symbols
that is one address, unless two functions of one name and size exist. A call trace has return addresses, which may
be in the line, or even the function, after the call; so the byte before is looked up.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.measure.consolefindings import Frame

_ADDRESS = re.compile(r"0x([0-9a-f]+)")
#: Builds happen in obj/ beside src/, or beside the tree of a bisection.
_SOURCE = re.compile(r"^.*?(?:\.\./|\bwork/)(?:src|tree)/")
#: The line, or all of it, is unknown: without debug information symbols still name files.
_UNKNOWN = (":?", ":0")
#: Types of nm(1) that functions have.
_CODE = frozenset("tTwW")


@dataclass(frozen=True)
class SymbolTable:
    """`addresses` are those of all symbols in order; `functions` has each name's."""

    addresses: tuple[int, ...]
    functions: Mapping[str, tuple[int, ...]]

    def address_of(self, frame: Frame) -> int | None:
        """The address that a frame of the kernel proper means; None where it is unknown, or one of several."""
        if frame.module:
            return None
        known = self.functions.get(frame.symbol, ())
        fitting = [one for one in known if self._size(one) == frame.size] or list(known)
        return fitting[0] + frame.offset if len(fitting) == 1 else None

    def _size(self, address: int) -> int | None:
        """As kallsyms has it: up to the next symbol."""
        index = bisect_right(self.addresses, address)
        return self.addresses[index] - address if index < len(self.addresses) else None


def parse_symbols(text: str) -> SymbolTable:
    """The table in System.map, or of `nm vmlinux`: address, type and name a line; anything else is left out."""
    addresses: set[int] = set()
    functions: dict[str, tuple[int, ...]] = {}
    for words in map(str.split, text.splitlines()):
        if len(words) != 3 or len(words[1]) != 1 or re.fullmatch(r"[0-9a-f]{8,16}", words[0]) is None:
            continue
        address = int(words[0], 16)
        if words[1] in _CODE:
            addresses.add(address)
            functions[words[2]] = (*functions.get(words[2], ()), address)
    return SymbolTable(tuple(sorted(addresses)), functions)


def lookup_address(address: int, frame: Frame, exact: Frame | None) -> int:
    """What to look up for a frame at `address`: the byte before it, unless it is `exact`, where the CPU was."""
    return address if frame == exact else address - 1


def parse_addr2line(output: str) -> dict[int, str]:
    """File and line by address, out of what ``addr2line -f -i -a`` writes; inlined functions are named.

    Addresses without a line are left out.
    """
    return {
        address: told
        for address, pairs in _blocks(output)
        if (told := _told([one for one in pairs if not one[1].endswith(_UNKNOWN)]))
    }


def _blocks(output: str) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    address: int | None = None
    lines: list[str] = []
    for line in [*output.splitlines(), "0x0"]:
        if found := _ADDRESS.fullmatch(line.strip()):
            if address is not None:
                yield address, list(zip(lines[::2], lines[1::2], strict=False))
            address, lines = int(found[1], 16), []
        else:
            lines.append(line)


def _told(pairs: list[tuple[str, str]]) -> str:
    """Innermost first: `sched.h:12 in inlined(), called at core.c:34`."""
    places = [_place(where) for _, where in pairs]
    if len(places) < 2:
        return "".join(places)
    inner = [f"{place} in {name}()" for (name, _), place in zip(pairs[:-1], places, strict=False)]
    return ", called at ".join([*inner, places[-1]])


def _place(where: str) -> str:
    return _SOURCE.sub("", where.partition(" (")[0])
