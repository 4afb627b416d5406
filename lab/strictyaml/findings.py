# SPDX-License-Identifier: GPL-2.0-only
"""What the checks of a file find, before it is known on which line that is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_PLAIN_KEY = re.compile(r"[\w/+-]+")
# Comparing is slow: of a thousand unknown names among a thousand nodes, nobody reads the suggestions.
_MAX_COMPARED = 200

#: Where something stands inside a document: keys and list indexes from the root.
Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """One thing wrong at `loc`.

    `line` is set where the place cannot be looked up by `loc` (a second key of the same name). `needs` are
    parts of the document that had to be sound for the finding to be worth telling; by default the list entry
    (or top-level key) in which it stands. A need that ends in ``*`` is for the names of entries only: an
    entry that lost some part still has its name.
    """

    loc: Loc
    message: str
    line: int | None = None
    needs: tuple[Loc, ...] = ()


def format_loc(loc: Loc, root: str) -> str:
    """``nodes[0].vcpus`` for ``("nodes", 0, "vcpus")``; `root` for the whole document."""
    return "".join(map(_format_part, loc)).removeprefix(".") or root


def _format_part(part: str | int) -> str:
    if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{part!r}]"


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` is most likely a misspelling of, or None."""
    words = list(known)
    if len(words) > _MAX_COMPARED:
        return None
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """Text for a reference to `word`, which is none of `known`: a suggestion, or what there is."""
    names = list(dict.fromkeys(known))
    near = suggest(word, names)
    if near is not None:
        return f"unknown {what} {word!r}; did you mean {near!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"unknown {what} {word!r}; there is {shown or 'none'}"
