# SPDX-License-Identifier: GPL-2.0-only
"""Driving knobs: every write is a transaction.

Look where this kernel has the knob and what it holds; write that down on disk; write; read back; compare. Whatever
was written is brought back in reverse order, by this process or, from the journal, by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.errors import KnobError
from lab.knobs.model import Registry
from lab.plan.labplan import KnobCandidate, KnobSetting
from lab.run import knobtexts
from lab.run.knobchoice import (
    Choice,
    by_module,
    choose,
    entry_of,
    holds,
    in_own_unit,
    lines_of,
    look,
    told_or_why,
)
from lab.run.knobclaims import HostClaims
from lab.run.knobjournal import KnobEntry, KnobJournal, OpenJournal
from lab.run.knobmachines import AnotherBootError, KnobMachine, Machines
from lab.run.knobrestore import Restored, restore_entries
from lab.run.knobtexts import KnobAbsentError, KnobRefusedError
from lab.run.pvknob import Answer, Line, candidate_word, escape
from lab.run.records import ProcessName


@dataclass(frozen=True)
class KnobChange:
    """A knob as it was and as it is, in its own unit where the place's text can be read as that (`raw_*` as the
    place has them), with the machine's CLOCK_MONOTONIC around the write."""

    setting: KnobSetting
    candidate: KnobCandidate
    place: str
    old: str
    new: str
    raw_old: str
    raw_new: str
    t0_ns: int
    t1_ns: int


@dataclass(frozen=True)
class KnobSkipped:
    """An optional setting of which this kernel has no place."""

    setting: KnobSetting
    reason: str


#: Is told every change, also where a later one fails.
Tell = Callable[[KnobChange | KnobSkipped], None]


@dataclass
class _Known:
    """What is known of a machine in one of its boots: which of its words can be written."""

    boot_id: str
    writable: set[str] = field(default_factory=set)


class KnobDriver:
    """The knobs of one lab's machines, for one user at a time; different machines may be written by threads.

    An `owner` is this process where it will bring back itself what it writes (KnobEntry).
    """

    def __init__(
        self,
        journal: KnobJournal,
        machines: Machines,
        registry: Registry,
        claims: HostClaims,
        owner: ProcessName | None = None,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._machines = machines
        self._registry = registry
        self._claims = claims
        self._known: dict[str, _Known] = {}
        self._mark = 0

    def mark(self) -> int:
        """A point in time to which `restore` can go back: entries after this number."""
        self._mark = max((one.seq for one in self._journal.entries()), default=0)
        return self._mark

    @contextmanager
    def writing(self) -> Iterator[KnobWriter]:
        """Begin to write. Waits while another process writes knobs of this lab."""
        with self._journal.locked() as journal:
            yield KnobWriter(self, journal)

    def owed(self) -> tuple[KnobEntry, ...]:
        """Everything that was written and not brought back."""
        return self._journal.open_entries()

    def owes(self, machine: str | None = None) -> bool:
        """Whether anything was written that was not brought back."""
        return bool(self._journal.open_entries(machine))

    def read(self, setting: KnobSetting) -> str:
        """The knob's value, in its own unit. Raises KnobAbsentError, KnobRefusedError where it cannot be read."""
        return self.read_all([setting])[0]

    def read_all(self, settings: Sequence[KnobSetting]) -> list[str]:
        """The same for several of one machine, with one command."""
        found = self.read_each(settings)
        for one in found:
            if isinstance(one, KnobError):
                raise one
        return [one for one in found if not isinstance(one, KnobError)]

    def read_each(self, settings: Sequence[KnobSetting]) -> list[str | KnobRefusedError]:
        """The same, but for each what it would have raised."""
        answer = look(self._machines(settings[0].node), settings)
        return [told_or_why(setting, lines_of(setting, answer)) for setting in settings]


class KnobWriter:
    """One process's turn to write."""

    def __init__(self, driver: KnobDriver, journal: OpenJournal) -> None:
        self._driver = driver
        self._journal = journal

    def write(self, settings: Sequence[KnobSetting], tell: Tell) -> None:
        """Write settings of one machine, in order, but for parameters of one module, which are written together.

        Raises KnobAbsentError, KnobHeldError and KnobRefusedError where nothing of the setting at fault has
        changed, KnobError where the kernel keeps another value; settings before it are written then, and told.
        """
        if not settings:
            return
        machine = self._driver._machines(settings[0].node)
        try:
            self._write(machine, settings, tell)
        except AnotherBootError:
            self._driver._known.pop(machine.name, None)
            self._write(machine, settings, tell)

    def restore(self, name: str, since: int = 0) -> tuple[Restored, ...]:
        """Bring back what was written on a machine after entry number `since`, in reverse order.

        What is back already is not written again. Raises KnobError after all was tried that could be.
        """
        entries = self._journal.open_entries(name, since)
        if not entries:
            return ()
        return restore_entries(self._driver._machines(name), self._journal, entries)

    def restore_abandoned(self, name: str) -> tuple[Restored, ...]:
        """Bring back what processes left on a machine that died while they wrote, or before they took it back.

        What somebody else has written over since stays: `restore` knows what was there before both.
        """
        entries = self._journal.open_entries(name)
        abandoned = [one for one in entries if one.is_abandoned and not _written_over(one, entries)]
        if not abandoned:
            return ()
        return restore_entries(self._driver._machines(name), self._journal, abandoned)

    # ---- writing

    def _write(self, machine: KnobMachine, settings: Sequence[KnobSetting], tell: Tell) -> None:
        choices = self._repeated(machine.name, settings)
        if choices is None:
            choices = self._begin(machine, settings, tell)
        if choices:
            boot_id = self._driver._known[machine.name].boot_id
            pairs = [word for one in choices for word in (one.word, escape(one.candidate.raw))]
            answer = machine.ask(["set", *pairs], machine.admission(self._journal.epoch, boot_id))
            self._conclude(machine, choices, answer, tell)

    def _repeated(self, name: str, settings: Sequence[KnobSetting]) -> list[Choice] | None:
        """Where everything was written before, its old values are on disk already: write at once."""
        known = self._driver._known.get(name)
        if known is None:
            return None
        held = {
            one.word
            for one in self._journal.open_entries(name, self._driver._mark)
            if one.boot_id == known.boot_id
        }
        choices = []
        for setting in settings:
            words = ((candidate, candidate_word(candidate)) for candidate in setting.candidates)
            found = next((candidate for candidate, word in words if word in known.writable), None)
            if found is None or candidate_word(found) not in held:
                return None
            choices.append(Choice(setting, found, None))
        return by_module(choices)

    def _begin(self, machine: KnobMachine, settings: Sequence[KnobSetting], tell: Tell) -> list[Choice]:
        """Look, choose, and write down what will be changed."""
        answer = look(machine, settings, self._journal.epoch)
        choices = []
        for setting in settings:
            try:
                choices.append(choose(setting, lines_of(setting, answer)))
            except KnobAbsentError as error:
                if not setting.optional:
                    raise
                tell(KnobSkipped(setting, error.message))
        known = self._driver._known.get(machine.name)
        if known is None or known.boot_id != answer.boot_id:
            known = self._driver._known[machine.name] = _Known(answer.boot_id)
        known.writable.update(one.word for one in choices)
        choices = by_module(choices)
        entries = [entry_of(one, machine.name, answer.boot_id, self._driver._owner) for one in choices]
        self._driver._claims.begin(entries, self._journal.begin)
        return choices

    def _conclude(self, machine: KnobMachine, choices: Sequence[Choice], answer: Answer, tell: Tell) -> None:
        """What came of every write, up to the first that failed; what comes after that was not tried."""
        lines = [line for line in answer.lines if line.kind in ("set", "refused")]
        done, failed = [], None
        for choice, line in zip(choices, lines, strict=False):
            wrong = line.kind == "refused" or not holds(choice.candidate, line)
            if wrong:
                failed = (choice, line)
                break
            done.append(choice)
            tell(_change(choice, line))
        entries = self._entries_of(machine.name)
        self._journal.note([entries[one.word] for one in done], "written")
        if failed is None and len(lines) < len(choices):
            raise KnobError(f"{machine.name}: pvknob did not say what became of {choices[len(lines)].word}")
        untried = [entries[one.word] for one in choices[len(done) + 1 :] if one.now is not None]
        self._journal.note(untried, "refused")
        if failed is not None:
            self._fail(machine, *failed, answer)

    def _entries_of(self, name: str) -> dict[str, KnobEntry]:
        """The newest open entry of every word."""
        return {one.word: one for one in self._journal.open_entries(name)}

    def _fail(self, machine: KnobMachine, choice: Choice, line: Line, answer: Answer) -> None:
        """Put back what was changed in spite of a refusal, or another value than was wanted; then tell."""
        setting, candidate = choice.setting, choice.candidate
        entry = self._entries_of(machine.name)[choice.word]
        was_set = line.kind == "set"
        if choice.now is not None:
            if line["new"] != line["old"] or was_set:
                restore_entries(machine, self._journal, [entry])
            else:
                self._journal.note([entry], "refused")
        if was_set:
            raise KnobError(knobtexts.kept(setting, candidate, line, answer.log))
        message = knobtexts.refused(setting, candidate, line, answer.log, self._driver._registry)
        raise KnobRefusedError(message)


def _written_over(entry: KnobEntry, entries: Sequence[KnobEntry]) -> bool:
    return any(one.seq > entry.seq and one.undo == entry.undo and not one.is_abandoned for one in entries)


def _change(choice: Choice, line: Line) -> KnobChange:
    return KnobChange(
        setting=choice.setting,
        candidate=choice.candidate,
        place=line["place"],
        old=in_own_unit(choice.candidate, line["old"]),
        new=in_own_unit(choice.candidate, line["new"]),
        raw_old=line["old"],
        raw_new=line["new"],
        t0_ns=int(line["t0_ns"]),
        t1_ns=int(line["t1_ns"]),
    )
