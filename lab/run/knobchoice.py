# SPDX-License-Identifier: GPL-2.0-only
"""Which of a knob's places a kernel has, what it holds, and what is written where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.knobs.convert import same_value
from lab.plan.knobs import value_of
from lab.plan.labplan import KnobCandidate, KnobSetting
from lab.run import knobtexts
from lab.run.knobjournal import KnobEntry
from lab.run.knobmachines import KnobMachine
from lab.run.knobtexts import KnobRefusedError
from lab.run.pvknob import Answer, Line, candidate_word
from lab.run.records import ProcessName

_CAN_BE_WRITTEN = ("writable", "loadable")


@dataclass(frozen=True)
class Choice:
    """A setting and the place that backs it; `now` what that held when it was looked at, None where it was not."""

    setting: KnobSetting
    candidate: KnobCandidate
    now: Line | None

    @property
    def word(self) -> str:
        """The place as pvknob takes it."""
        return candidate_word(self.candidate)


def look(machine: KnobMachine, settings: Sequence[KnobSetting], epoch: int | None = None) -> Answer:
    """Every place of every setting, with what it holds; with `epoch` as somebody who is going to write."""
    words = dict.fromkeys(
        candidate_word(candidate) for setting in settings for candidate in setting.candidates
    )
    admission = None if epoch is None else machine.admission(epoch)
    return machine.ask(["get", *words], admission)


def lines_of(setting: KnobSetting, answer: Answer) -> list[Line]:
    """What was said of every place of `setting`, in order."""
    by_word = {line["word"]: line for line in answer.lines}
    return [by_word[candidate_word(candidate)] for candidate in setting.candidates]


def choose(setting: KnobSetting, lines: Sequence[Line]) -> Choice:
    """The first place that can be written."""
    there = [
        (candidate, line)
        for candidate, line in zip(setting.candidates, lines, strict=True)
        if line.kind != "absent" and candidate.kind != "cmdline"
    ]
    if not there:
        raise knobtexts.absent(setting, lines)
    for candidate, line in there:
        if line["state"] in _CAN_BE_WRITTEN:
            if line.kind == "refused":
                raise knobtexts.unreadable(setting, line)
            return Choice(setting, candidate, line)
    raise knobtexts.only_read(setting, *there[0])


def told_or_why(setting: KnobSetting, lines: Sequence[Line]) -> str | KnobRefusedError:
    """The value that the first place holds, in the knob's own unit, or why there is none."""
    try:
        return _told(setting, lines)
    except KnobRefusedError as error:
        return error


def _told(setting: KnobSetting, lines: Sequence[Line]) -> str:
    for candidate, line in zip(setting.candidates, lines, strict=True):
        if line.kind == "value":
            return in_own_unit(candidate, line["value"])
        if line.kind == "refused":
            raise knobtexts.unreadable(setting, line)
    raise knobtexts.absent(setting, lines)


def by_module(choices: Sequence[Choice]) -> list[Choice]:
    """Parameters of one module next to each other: pvknob loads the module once for all of them.

    Of several values for one parameter the last counts. Unloading the module stays between what is before and
    after it.
    """
    groups: list[dict[str, Choice]] = []
    open_groups: dict[str, dict[str, Choice]] = {}
    for choice in choices:
        module = _module_of(choice.candidate)
        group = open_groups.get(module) if _needs_load(choice.candidate) else None
        if group is None:
            group = {}
            groups.append(group)
        group[choice.word] = choice
        if _needs_load(choice.candidate):
            open_groups[module] = group
        else:
            open_groups.pop(module, None)
    return [choice for group in groups for choice in group.values()]


def _module_of(candidate: KnobCandidate) -> str:
    named = candidate.kind in ("module", "module_parameter")
    return candidate.path.partition("/")[0].replace("-", "_") if named else ""


def _needs_load(candidate: KnobCandidate) -> bool:
    if candidate.kind == "module":
        return candidate.raw == "1"
    return candidate.kind == "module_parameter" and candidate.reload


def entry_of(choice: Choice, machine: str, boot_id: str, owner: ProcessName | None) -> KnobEntry:
    """What is written down before a write; not numbered yet."""
    assert choice.now is not None
    return KnobEntry(
        seq=0,
        machine=machine,
        boot_id=boot_id,
        knob=choice.setting.knob,
        word=choice.word,
        place=choice.now["place"],
        compare=choice.candidate.compare,
        old=choice.now["value"],
        wanted=choice.candidate.raw,
        undo=choice.now["undo"],
        back=choice.now["back"],
        owner=owner,
    )


def holds(candidate: KnobCandidate, line: Line) -> bool:
    """Whether what was read back means what was written. A list of choices has brackets around the one chosen."""
    if same_value(candidate.compare, candidate.raw, line["new"]):
        return True
    return candidate.compare == "text" and f"[{candidate.raw.strip()}]" in line["new"].split()


def backing_places(
    machine: KnobMachine, settings: Sequence[KnobSetting]
) -> list[tuple[KnobSetting, KnobCandidate]]:
    """What backs each setting on one machine: the first place that can be read. Raises KnobAbsentError."""
    answer = look(machine, settings)
    found = []
    for setting in settings:
        lines = lines_of(setting, answer)
        there = [
            place
            for place, line in zip(setting.candidates, lines, strict=True)
            if line.kind == "value" and place.kind != "cmdline"
        ]
        if not there:
            raise knobtexts.absent(setting, lines)
        found.append((setting, there[0]))
    return found


def in_own_unit(candidate: KnobCandidate, raw: str) -> str:
    """The knob's value where the place holds `raw`; `raw` itself where that means nothing."""
    try:
        return value_of(candidate, raw)
    except ValueError:
        return raw
