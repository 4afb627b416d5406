# SPDX-License-Identifier: GPL-2.0-only
"""Names of a bundle's members: what may be one, and what is wrong with one that may not. Pure.

Whatever passes can be joined to a directory and stays below it, and can be printed on any terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

MAX_NAME_BYTES = 250
#: What an entry of the header has room for, less one so that every reader of tar takes it.
MAX_COMPONENT_BYTES = 99
MAX_DEPTH = 16


def wrong_name(name: str) -> str | None:
    """Why `name` cannot be that of a member; None where it can."""
    if not name:
        return "has no name"
    if name.startswith("/"):
        return "has an absolute path"
    if strange := strange_character(name):
        return f"has the character U+{ord(strange):04X} in its name"
    if "\\" in name:
        return "has a backslash in its name"
    return _wrong_parts(name)


def _wrong_parts(name: str) -> str | None:
    parts = name.split("/")
    if ".." in parts:
        return "leads out of the bundle by `..`"
    if "" in parts or "." in parts:
        return "has an empty or `.` part in its path"
    if len(parts) > MAX_DEPTH:
        return f"lies {len(parts)} levels deep; {MAX_DEPTH} are allowed"
    if len(name.encode()) > MAX_NAME_BYTES or max(len(part.encode()) for part in parts) > MAX_COMPONENT_BYTES:
        return f"has a name that is too long ({len(name.encode())} bytes)"
    return None


def strange_character(text: str) -> str | None:
    """The first character that is no part of plain text: control and format characters (which could move what a
    terminal shows), surrogates, unassigned ones, and separators of lines."""
    return next((one for one in text if unicodedata.category(one)[0] == "C" or one in "\u2028\u2029"), None)


def quoted(name: str) -> str:
    """`name` fit for a message: escaped, and cut where it is long."""
    shown = ascii(name)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def clash(names: Iterable[str]) -> str | None:
    """A name that would have to be a file and a directory at once; None where there is none."""
    files = set(names)
    for name in files:
        parts = name.split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in files:
                return "/".join(parts[:length])
    return None
