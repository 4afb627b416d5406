# SPDX-License-Identifier: GPL-2.0-only
"""Control of a booted guest over its shell: knobs and loads."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lab.errors import CommandFailed, KnobError
from lab.plan.labplan import KnobSetting, LoadPlan
from lab.run.ports import Shell
from lab.units import format_cpulist, parse_cpulist

#: A command in a guest may have to wait for its vCPU many times over.
COMMAND_TIMEOUT_S = 120


class KnobRefusedError(KnobError):
    """There is no such knob, or the kernel did not take the value: nothing has changed."""


@dataclass(frozen=True)
class KnobChange:
    """A knob as it was and as it is, with the guest's CLOCK_MONOTONIC around the write."""

    setting: KnobSetting
    old: str
    new: str
    guest_t0_ns: int
    guest_t1_ns: int


def write_knob(shell: Shell, setting: KnobSetting) -> KnobChange:
    """Write, read back, compare. Raises KnobError if the kernel refuses or keeps another value."""
    command = shlex.join(["/lab/knob", setting.candidates[0].path, setting.value])
    change = _knob(shell, setting, command)
    if not same_value(setting.kind, setting.value, change.new):
        raise KnobError(
            f"knob {setting.knob} on {setting.node}: wrote {setting.value!r} to {setting.candidates[0].path}, "
            f"read back {change.new!r}"
        )
    return change


def read_knob(shell: Shell, setting: KnobSetting) -> str:
    """The knob's value. Raises KnobError if the kernel has no such file."""
    return _knob(shell, setting, shlex.join(["/lab/knob", setting.candidates[0].path])).new


def _knob(shell: Shell, setting: KnobSetting, command: str) -> KnobChange:
    try:
        lines = shell.run(command, timeout_s=COMMAND_TIMEOUT_S).stdout.split("\n")
    except CommandFailed as error:
        said = error.message.splitlines()[-1]
        raise KnobRefusedError(
            f"knob {setting.knob} on {setting.node}: {setting.candidates[0].path}, value {setting.value!r}: {said}",
            f"`lab exec {setting.node} -- cat {setting.candidates[0].path}` shows what the kernel has",
        ) from None
    before, old, new, after = lines[:4]
    return KnobChange(setting, old, new, int(before), int(after))


def same_value(kind: str, wanted: str, observed: str) -> bool:
    """Whether two texts mean the same: cpulists as sets (`0-1` is `0,1`), everything else to the letter."""
    if kind != "cpulist":
        return wanted.strip() == observed.strip()
    try:
        return parse_cpulist(wanted) == parse_cpulist(observed)
    except ValueError:
        return False


def start_load(shell: Shell, load: LoadPlan) -> None:
    """Start a load; returns when its counters can be read."""
    pins = ["--vcpus", format_cpulist(load.vcpus)] if load.vcpus else []
    words = ["pvspin", "run", "--daemon", "--name", load.name, "--tasks", str(load.tasks), *pins]
    shell.run(shlex.join(words), timeout_s=COMMAND_TIMEOUT_S)


def stop_load(shell: Shell, load: LoadPlan) -> None:
    """Stop a load."""
    shell.run(shlex.join(["pvspin", "stop", "--name", load.name]), timeout_s=COMMAND_TIMEOUT_S)
