# SPDX-License-Identifier: GPL-2.0-only
"""Whose knob a `lab knob` verb means: a node's, or with --host the host's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.cli.desk import Desk
from lab.cli.running import (
    RunningLab,
    find_running,
    open_running_host,
    open_running_knobs,
    open_running_machines,
)
from lab.errors import InputError
from lab.plan.knobs import registry_of
from lab.plan.labplan import HOST_SCOPE, KnobSetting
from lab.run.knobmachines import Machines
from lab.run.knobs import KnobDriver


@dataclass(frozen=True)
class Target:
    """A machine of a lab that is up, and the words behind it on the command line."""

    lab: RunningLab
    node: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it is written in output."""
        return "host" if self.node == HOST_SCOPE else self.node

    def knob_names(self) -> list[str]:
        """The names of all knobs that are known of such a machine."""
        scope = "host" if self.node == HOST_SCOPE else "guest"
        return [name for name, knob in registry_of(self.lab.plan).knobs.items() if knob.scope == scope]


def find_target(
    desk: Desk, verb: str, words: Sequence[str], of_host: bool, lab: str | None, after: Sequence[str]
) -> Target:
    """The machine that is meant. `after` names the words that must follow; a last one in ... may repeat.

    Raises InputError for another number of words, and for a node that the lab does not have.
    """
    expected = [*(() if of_host else ("NODE",)), *after]
    repeats = bool(after) and after[-1].endswith("...")
    if len(words) < len(expected) or (len(words) > len(expected) and not repeats):
        option = " --host" if of_host else ""
        raise InputError(f"lab knob {verb}{option}: expected {' '.join(expected) or 'nothing more'}")
    running = find_running(desk, lab)
    if of_host:
        return Target(running, HOST_SCOPE, tuple(words))
    running.check_node(words[0])
    return Target(running, words[0], tuple(words[1:]))


@contextmanager
def open_target_machines(desk: Desk, target: Target) -> Iterator[Machines]:
    """The machines of the target's lab."""
    with (
        open_running_host(desk, target.lab) as host,
        open_running_machines(target.lab, host) as machines,
    ):
        yield machines


@contextmanager
def open_target_knobs(desk: Desk, target: Target) -> Iterator[KnobDriver]:
    """What drives the knobs of the target's lab."""
    with (
        open_running_host(desk, target.lab) as host,
        open_running_knobs(desk, target.lab, host) as knobs,
    ):
        yield knobs


def vcpu_of(setting: KnobSetting) -> str:
    """Which vCPU's control group a setting is about: ` vcpu 1`, or nothing."""
    if setting.guest is None:
        return ""
    return " " + setting.candidates[0].path.split("/")[1].replace("vcpu", "vcpu ")
