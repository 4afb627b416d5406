# SPDX-License-Identifier: GPL-2.0-only
"""A history in memory, and what `git bisect` does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.bisect.model import BaseIsBad, Found, Next, OnlySkipped, Position, Term


@dataclass
class FakeGit:
    """`history` has every commit's parents; parents come first."""

    history: Mapping[str, tuple[str, ...]]
    terms: dict[str, Term] = field(default_factory=dict)

    def closure(self, commit: str) -> set[str]:
        """A commit and all that it is made of."""
        seen, left = set[str](), [commit]
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left += self.history[one]
        return seen

    def start(self, bad: str, goods: Sequence[str]) -> Position:
        """Begin anew."""
        self.terms = {bad: Term.BAD, **dict.fromkeys(goods, Term.GOOD)}
        return self._position()

    def mark(self, commit: str, term: Term) -> Position:
        """Told what a commit is; telling it twice is a mistake of the runner."""
        assert commit not in self.terms, f"{commit} was marked already"
        self.terms[commit] = term
        return self._position()

    def _position(self) -> Position:
        goods = [one for one, term in self.terms.items() if term is Term.GOOD]
        known_good = set[str]().union(*(self.closure(one) for one in goods))
        bads = [one for one, term in self.terms.items() if term is Term.BAD]
        if set(bads) & known_good:
            return BaseIsBad("The merge base is bad.")
        candidates = set.intersection(*(self.closure(one) for one in bads)) - known_good
        (last,) = [one for one in bads if one in candidates and candidates <= self.closure(one)]
        open_ones = [
            one for one in self.history if one in candidates and one != last and one not in self.terms
        ]
        if open_ones:
            half = len(candidates) / 2
            best = min(open_ones, key=lambda one: abs(len(self.closure(one) & candidates) - half))
            return Next(best, len(candidates), len(candidates).bit_length() - 1)
        if candidates == {last}:
            return Found(last, self.history[last])
        return OnlySkipped(tuple(one for one in self.history if one in candidates))
