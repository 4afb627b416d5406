# SPDX-License-Identifier: GPL-2.0-only
"""What of a trace could not be read, as texts: each has the place, what is wrong there, and what was kept."""

from __future__ import annotations

from collections import Counter

#: So many texts of one file; a file of noise has one for every page.
MOST = 20


class DamageLog:
    """Collects texts, of each file the first MOST; `texts` ends with how many more there were."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._counts: Counter[str] = Counter()

    def note(self, file: str, what: str) -> None:
        """`what` is wrong in `file`."""
        self._counts[file] += 1
        if self._counts[file] <= MOST:
            self._texts.append(f"{file}: {what}")

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything noted, in order."""
        more = [f"{file}: and {n - MOST} more" for file, n in self._counts.items() if n > MOST]
        return (*self._texts, *more)
