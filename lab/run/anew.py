# SPDX-License-Identifier: GPL-2.0-only
"""Knobs on kernel command lines: guests are started anew within their lab, and knobs set before are set again.

What a guest is told at run time does not outlive it. A knob that was set is meant to stay set, so it is set again
in the new start, and where that kernel does not take it any more, that is an error like any other refusal. A load
that ran has ended: whether and when it starts again is for the topology to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.plan.cmdline import cmdline_candidate, cmdline_parameters, restarted_nodes
from lab.plan.labplan import KnobSetting
from lab.run.boot import BootWish
from lab.run.knobchoice import in_own_unit
from lab.run.lab import Lab

#: Parameters to change, by guest.
Changes = Mapping[str, Mapping[str, str]]


class CommandLines:
    """The command lines of a lab's guests, and which other knobs stand in them. For one user at a time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._standing: dict[tuple[str, ...], KnobSetting] = {}

    def set(self, settings: Sequence[KnobSetting]) -> tuple[str, ...]:
        """Start guests anew whose command lines `settings` change; their names.

        What is on a command line already, as all of the plan's own knobs are from the first boot on, is only
        written down. Raises as Lab.start_anew.
        """
        mine = [one for one in settings if cmdline_candidate(one) is not None]
        if not mine:
            return ()
        changes = self._changes(mine)
        old = {self._place(one): self._lab.boot.parameter(*self._place(one)) for one in mine}
        before_ns = self._lab.watch.mark("knobs")
        if changes:
            self._lab.start_anew(changes)
        after_ns = self._lab.watch.mark("knobs-written")
        for setting in mine:
            self._note(setting, old[self._place(setting)], before_ns, after_ns)
        return tuple(changes)

    def begin(self, settings: Sequence[KnobSetting], kernels: Mapping[str, str]) -> tuple[str, ...]:
        """Start guests anew that do not run their own kernel, or that of `kernels`, with what the plan and
        `settings` say of their command lines; their names. Raises as Lab.boot_as_wished."""
        return self._lab.boot_as_wished(
            {
                node.name: BootWish(
                    kernels.get(node.name, node.kernel), cmdline_parameters(settings, node.name)
                )
                for node in self._lab.plan.nodes
            }
        )

    def rest(self, settings: Sequence[KnobSetting], started: Sequence[str]) -> list[KnobSetting]:
        """What is to be written now, in order: what stood in the guests that were just `started`, then those of
        `settings` that are not on a command line."""
        written = [one for one in settings if cmdline_candidate(one) is None]
        replaced = {_key(one) for one in written}
        again = [
            one
            for key, one in self._standing.items()
            if (one.guest or one.node) in started and key not in replaced
        ]
        return [*again, *written]

    def stands(self, setting: KnobSetting) -> None:
        """`setting` was written: it is to stand until another replaces it."""
        self._standing.pop(_key(setting), None)
        self._standing[_key(setting)] = setting

    @property
    def standing(self) -> tuple[KnobSetting, ...]:
        """Everything that stands, in the order in which it was set."""
        return tuple(self._standing.values())

    def forget(self) -> None:
        """Nothing is to stand any more."""
        self._standing.clear()

    def remember(self, settings: Sequence[KnobSetting]) -> None:
        """These stand, and nothing else."""
        self.forget()
        for setting in settings:
            self.stands(setting)

    def _changes(self, settings: Sequence[KnobSetting]) -> Changes:
        wanted = {node: cmdline_parameters(settings, node) for node in restarted_nodes(settings)}
        changed = {
            node: {name: raw for name, raw in one.items() if self._lab.boot.parameter(node, name) != raw}
            for node, one in wanted.items()
        }
        return {node: parameters for node, parameters in changed.items() if parameters}

    @staticmethod
    def _place(setting: KnobSetting) -> tuple[str, str]:
        candidate = cmdline_candidate(setting)
        assert candidate is not None
        return setting.node, candidate.path

    def _note(self, setting: KnobSetting, old: str, before_ns: int, after_ns: int) -> None:
        node, parameter = self._place(setting)
        place, new = setting.candidates[0], self._lab.boot.parameter(node, parameter)
        self._lab.journal.add(
            after_ns,
            "knob",
            node=node,
            knob=setting.knob,
            generation=place.generation,
            backend=place.kind,
            path=parameter,
            old=in_own_unit(place, old),
            new=in_own_unit(place, new),
            raw_old=old,
            raw_new=new,
            host_t0_ns=before_ns,
            host_t1_ns=after_ns,
        )


def _key(setting: KnobSetting) -> tuple[str, ...]:
    """A control group's file is one for each vCPU."""
    return setting.node, setting.knob, *((setting.candidates[0].path,) if setting.guest else ())
