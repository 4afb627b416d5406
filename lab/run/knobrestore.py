# SPDX-License-Identifier: GPL-2.0-only
"""Bringing knobs back to what they were, in reverse order; what is back already stays untouched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.errors import KnobError
from lab.knobs.convert import same_value
from lab.run.knobjournal import KnobEntry, OpenJournal
from lab.run.knobmachines import KnobMachine
from lab.run.knobtexts import shown
from lab.run.pvknob import Line, escape


@dataclass(frozen=True)
class Restored:
    """A knob that was brought back: texts as the place has them, and the machine's CLOCK_MONOTONIC around it."""

    entry: KnobEntry
    old: str
    new: str
    t0_ns: int
    t1_ns: int


def restore_entries(
    machine: KnobMachine, journal: OpenJournal, entries: Sequence[KnobEntry]
) -> tuple[Restored, ...]:
    """Bring open `entries` of one machine back. Raises KnobError after everything was tried.

    Those of another boot than the machine's, or whose place is gone, are moot: a kernel started anew has its own
    values.
    """
    chosen = _oldest(entries)
    answer = machine.ask(["get", *(one.undo for one in chosen)], machine.admission(journal.epoch))
    lines = {line["word"]: line for line in answer.lines}
    pending: list[KnobEntry] = []
    for one in chosen:
        line = lines[one.undo]
        if one.boot_id != answer.boot_id or line.kind == "absent":
            _note(journal, entries, one, "moot")
        elif line.kind == "value" and line["back"] == one.back:
            _note(journal, entries, one, "restored")
        else:
            pending.append(one)
    return _write_back(machine, journal, entries, pending, answer.boot_id)


def _oldest(entries: Sequence[KnobEntry]) -> list[KnobEntry]:
    """Of several writes the first knew what was there before. Last begun, first brought back."""
    by_undo: dict[str, KnobEntry] = {}
    for one in sorted(entries, key=lambda entry: entry.seq):
        by_undo.setdefault(f"{one.boot_id} {one.undo}", one)
    return list(reversed(by_undo.values()))


def _note(journal: OpenJournal, entries: Sequence[KnobEntry], of: KnobEntry, state: str) -> None:
    same = [one for one in entries if (one.undo, one.boot_id) == (of.undo, of.boot_id)]
    journal.note(same, "moot" if state == "moot" else "restored")


def _write_back(
    machine: KnobMachine,
    journal: OpenJournal,
    entries: Sequence[KnobEntry],
    pending: list[KnobEntry],
    boot_id: str,
) -> tuple[Restored, ...]:
    """pvknob stops at the first that is refused: go on behind that."""
    done: list[Restored] = []
    problems: list[str] = []
    while pending:
        words = [word for one in pending for word in (one.undo, escape(one.back))]
        answer = machine.ask(["set", *words], machine.admission(journal.epoch, boot_id))
        lines = [line for line in answer.lines if line.kind in ("set", "refused")]
        if not lines:
            raise KnobError(f"{machine.name}: pvknob did not say what became of {pending[0].undo}")
        for one, line in _together(pending, lines):
            if line.kind == "set" and _is_back(one, line):
                _note(journal, entries, one, "restored")
                done.append(Restored(one, line["old"], line["new"], int(line["t0_ns"]), int(line["t1_ns"])))
            else:
                problems.append(_problem(machine, one, line))
        pending = pending[len(lines) :]
    if problems:
        raise KnobError("; ".join(problems), "`lab knob restore` (`lab gc` after a crash) tries again")
    return tuple(done)


def _together(entries: Sequence[KnobEntry], lines: Sequence[Line]) -> Iterator[tuple[KnobEntry, Line]]:
    yield from zip(entries, lines, strict=False)


def _is_back(entry: KnobEntry, line: Line) -> bool:
    """A module is back when it loaded with its parameters; of the others the value is compared."""
    if entry.undo != entry.word:
        return True
    if entry.back == entry.old:
        return same_value(entry.compare, entry.old, line["new"])
    return entry.old == line["new"] or entry.back == line["new"]


def _problem(machine: KnobMachine, entry: KnobEntry, line: Line) -> str:
    why = line.why if line.kind == "refused" else f"read back {shown(line['new'])}"
    return (
        f"knob {entry.knob} on {machine.name} is not back: {line['place'] or entry.place} does not take "
        f"{shown(entry.back)}: {why}"
    )
