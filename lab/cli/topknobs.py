# SPDX-License-Identifier: GPL-2.0-only
"""Knobs of a lab that is up, for `lab top`: the same transactions as `lab knob set`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.cli.desk import Desk
from lab.cli.knobtarget import Target, open_target_knobs, vcpu_of
from lab.cli.running import RunningLab, open_running_host
from lab.errors import InputError
from lab.live.knobrows import KnobRow
from lab.plan.cmdline import cmdline_candidate
from lab.plan.knobs import plan_knob_in, plan_reading_in
from lab.plan.labplan import HOST_SCOPE
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.knobs import KnobChange, KnobSkipped
from lab.run.knobtexts import KnobAbsentError
from lab.run.records import LabState

_LOG_LINES = 500


class LabBench:
    """The KnobBench of a lab. `tell` hears of every change, for the list of what happened."""

    def __init__(self, desk: Desk, lab: RunningLab, tell: Callable[[str], None]) -> None:
        self._desk = desk
        self._lab = lab
        self._tell = tell

    @property
    def refusal(self) -> str:
        """A run's recording must know of every write, and its guests are not to be asked in the middle of it."""
        if self._lab.record.state is LabState.UP:
            return ""
        return (
            f"process {self._lab.record.owner_pid} runs an experiment in this lab: its guests are not to be asked; "
            "what is shown has been told by them or by it"
        )

    def read(self, machine: str) -> Sequence[KnobRow]:
        """The knobs that this machine's kernel has. Raises LabError."""
        target = self._target(machine, ())
        settings = [plan_reading_in(self._lab.plan, machine, name)[0] for name in target.knob_names()]
        rows = []
        with open_target_knobs(self._desk, target) as knobs:
            for node in dict.fromkeys(one.node for one in settings):
                of_node = [one for one in settings if one.node == node]
                for one, found in zip(of_node, knobs.read_each(of_node), strict=True):
                    if isinstance(found, str):
                        rows.append(KnobRow(machine, one.knob, found))
                    elif not isinstance(found, KnobAbsentError):
                        rows.append(KnobRow(machine, one.knob, None, found.message.splitlines()[0]))
        return rows

    def write(self, machine: str, knob: str, value: str) -> str:
        """Write a knob, read it back; the change in words. Raises LabError."""
        target = self._target(machine, (knob, value))
        settings = plan_knob_in(self._lab.plan, machine, knob, value)
        if cmdline_candidate(settings[0]) is not None:
            raise InputError(
                f"{knob} is on the command line: writing it starts {machine} anew",
                f"`lab knob set {machine} {knob} {value}` does that",
            )
        done: list[KnobChange | KnobSkipped] = []
        try:
            with open_target_knobs(self._desk, target) as knobs, knobs.writing() as writer:
                writer.write(settings, done.append)
        finally:
            said = [_in_words(target, one) for one in done if isinstance(one, KnobChange)]
            for text in said:
                self._tell(text)
        return "; ".join(said)

    def kernel_log(self, machine: str) -> Sequence[str]:
        """The end of what dmesg says. Raises LabError."""
        with open_running_host(self._desk, self._lab) as host:
            shell = host.shell if machine == HOST_SCOPE else self._lab.shell(host, machine)
            try:
                said = shell.run(f"dmesg | tail -n {_LOG_LINES}", timeout_s=COMMAND_TIMEOUT_S).stdout
            finally:
                if machine != HOST_SCOPE:
                    shell.close()
        return said.splitlines()

    def _target(self, machine: str, words: tuple[str, ...]) -> Target:
        return Target(self._lab, machine, words)


def _in_words(target: Target, change: KnobChange) -> str:
    what = f"{target.name} {change.setting.knob}{vcpu_of(change.setting)}"
    return f"{what}: {change.old or 'empty'} -> {change.new or 'empty'}"
