# SPDX-License-Identifier: GPL-2.0-only
"""pvknob on a dictionary: places that hold what was written to them, unless they refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.run.ports import CommandResult
from lab.run.pvknob import escape, unescape

#: Says why a place does not take a value (errno's name), or None where it does.
Refusal = Callable[[str, str], str | None]


@dataclass
class FakeKernel:
    """Knobs of one machine: `values` by path of a file, or by word for other kinds. Places in `stubborn` take
    every value and keep their own."""

    values: dict[str, str]
    boot_id: str
    refuses: Refusal = lambda place, value: None
    stubborn: tuple[str, ...] = ()
    fences: dict[str, int] = field(default_factory=dict)
    written: list[tuple[str, str]] = field(default_factory=list)

    def run(self, words: list[str], now_ns: int) -> CommandResult:
        """What pvknob would print for its arguments."""
        lines = [f"pvknob version=1 boot={self.boot_id}"]
        words, why_not = self._admit(list(words))
        if why_not:
            return _result(3, [*lines, why_not])
        verb, *rest = words
        if verb == "set":
            told = self._set(rest, now_ns)
        else:
            told = [(self._get if verb == "get" else self._probe)(word, now_ns) for word in rest]
        refused = any(line.startswith(("absent", "refused")) for line in told)
        return _result(int(refused), [*lines, *told])

    def _admit(self, words: list[str]) -> tuple[list[str], str]:
        while words[0].startswith("--"):
            if words[0] == "--boot":
                if words[1] != self.boot_id:
                    return words, f"other-boot why={words[1]}"
                words = words[2:]
            else:
                fence, epoch = words[1], int(words[2])
                if epoch < self.fences.get(fence, 0):
                    return words, f"stale why={fence}"
                self.fences[fence] = epoch
                words = words[3:]
        return words, ""

    def _get(self, word: str, now_ns: int) -> str:
        place = self.place(word)
        if place not in self.values:
            why = escape("No such file or directory")
            return f"absent word={escape(word)} place={place} state=absent errno=ENOENT why={why}"
        value = escape(self.values[place])
        return (
            f"value word={escape(word)} place={place} state=writable t_ns={now_ns} value={value} "
            f"undo={escape(word)} back={value}"
        )

    def _probe(self, word: str, now_ns: int) -> str:
        kind, _, said = self._get(word, now_ns).partition(" ")
        return f"{'absent' if kind == 'absent' else 'writable'} {said}"

    def _set(self, words: list[str], now_ns: int) -> list[str]:
        lines = []
        for word, raw in zip(words[::2], words[1::2], strict=True):
            lines.append(self._set_one(word, unescape(raw), now_ns))
            if lines[-1].startswith("refused"):
                break
        return lines

    def _set_one(self, word: str, value: str, now_ns: int) -> str:
        place = self.place(word)
        old = self.values.get(place, "")
        errno = "ENOENT" if place not in self.values else self.refuses(place, value)
        if errno is None and place not in self.stubborn:
            self.values[place] = value
        self.written.append((place, value))
        new = escape(self.values.get(place, ""))
        line = (
            f"{'set' if errno is None else 'refused'} word={escape(word)} place={place} t0_ns={now_ns - 1000} "
            f"t1_ns={now_ns} old={escape(old)} new={new} undo={escape(word)} back={escape(old)}"
        )
        return line if errno is None else f"{line} errno={errno} why={escape(_REASONS[errno])}"

    @staticmethod
    def place(word: str) -> str:
        """Files go by their path."""
        return word.removeprefix("file:")


_REASONS = {
    "EINVAL": "Invalid argument",
    "ENOENT": "No such file or directory",
    "EBUSY": "Device or resource busy",
}


def _result(status: int, lines: list[str]) -> CommandResult:
    return CommandResult(status, "".join(f"{line}\n" for line in lines), "")
