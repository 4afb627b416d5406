# SPDX-License-Identifier: GPL-2.0-only
"""Which knobs a kernel has, where it keeps them, and which version of an interface that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.knobs.model import Generation, Registry
from lab.knobs.registry import GENERIC, OWN
from lab.plan.labplan import KnobCandidate, KnobSetting
from lab.run.knobmachines import Machines
from lab.run.pvknob import Line, candidate_word


@dataclass(frozen=True)
class ProbedPlace:
    """A place that was looked for. `state`: absent (`why`), readable, writable, loadable, as pvknob says."""

    candidate: KnobCandidate
    state: str
    place: str
    why: str

    @property
    def is_there(self) -> bool:
        """Whether the kernel has it."""
        return self.state != "absent"


@dataclass(frozen=True)
class ProbedKnob:
    """A knob and everything that was looked for, best first."""

    name: str
    places: tuple[ProbedPlace, ...]

    @property
    def backing(self) -> ProbedPlace | None:
        """What backs the knob: the first that can be written, else the first that there is; None without any."""
        there = [place for place in self.places if place.is_there]
        writable = [place for place in there if place.state != "readable"]
        return next(iter([*writable, *there]), None)


@dataclass(frozen=True)
class ProbedGeneration:
    """How many of a generation's places, of `total`, the kernel has."""

    generation: Generation
    found: int
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether all are there."""
        return self.found == self.total


@dataclass(frozen=True)
class Probed:
    """A machine's knobs. `generations` are those of which anything is there, the newest first."""

    knobs: tuple[ProbedKnob, ...]
    generations: tuple[ProbedGeneration, ...]

    @property
    def generation(self) -> ProbedGeneration | None:
        """The newest generation that is wholly there."""
        return next((one for one in self.generations if one.is_whole), None)


def probe_knobs(machines: Machines, settings: Sequence[KnobSetting], registry: Registry) -> Probed:
    """Look for every place of every setting, with one command on each machine; nothing is read or written."""
    lines: dict[tuple[str, str], Line] = {}
    for node in dict.fromkeys(one.node for one in settings):
        words = dict.fromkeys(
            candidate_word(place) for one in settings if one.node == node for place in one.candidates
        )
        answer = machines(node).ask(["probe", *words])
        lines.update({(node, line["word"]): line for line in answer.lines})
    knobs = tuple(_probed(one, lines) for one in settings)
    return Probed(knobs, _generations(knobs, registry.generations))


def _probed(setting: KnobSetting, lines: Mapping[tuple[str, str], Line]) -> ProbedKnob:
    found = [(place, lines[setting.node, candidate_word(place)]) for place in setting.candidates]
    places = (ProbedPlace(place, line.kind, line["place"], line.why) for place, line in found)
    return ProbedKnob(setting.knob, tuple(places))


def _generations(
    knobs: Sequence[ProbedKnob], known: Mapping[str, Generation]
) -> tuple[ProbedGeneration, ...]:
    places = [place for knob in knobs for place in knob.places]
    counted = []
    for name, generation in known.items():
        own = [place.is_there for place in places if place.candidate.generation == name]
        if any(own) and name not in (GENERIC.name, OWN.name):
            counted.append(ProbedGeneration(generation, sum(own), len(own)))
    return tuple(sorted(counted, key=lambda one: -one.generation.order))
