# SPDX-License-Identifier: GPL-2.0-only
"""Text from consoles, topologies and kernels, made fit to be looked at: nothing in it may act on the page."""

from __future__ import annotations

import re
import unicodedata

#: Sequences by which a terminal is driven (ECMA-48): colours and cursor moves of a console, worth nothing here.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PLAIN = re.compile(r"[\t\n\x20-\x7e]*")
#: Control, format (among them those that turn the direction of text around), lone surrogate, unassigned.
_HIDDEN = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


def visible(text: str) -> str:
    """`text` with every character that would not be seen as \\xNN or \\uNNNN; new lines and tabs stay."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def without_escapes(text: str) -> str:
    """`text` of a console without the sequences that drive terminals, its lines ended by new lines alone."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
