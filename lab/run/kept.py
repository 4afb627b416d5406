# SPDX-License-Identifier: GPL-2.0-only
"""Guests of a lab that was given to the user: started anew by a command that comes long after `lab up`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.plan.labplan import KnobSetting, LabPlan
from lab.run.boot import Boot, read_guests, write_guests
from lab.run.events import Journal
from lab.run.knobjournal import KnobEntry, KnobJournal
from lab.run.lab import read_console_tail
from lab.run.ports import Host, Narrator
from lab.run.pvknob import parse_candidate
from lab.run.watch import Watch

_FILE_TIMEOUT_S = 60


def start_kept_anew(
    host: Host,
    plan: LabPlan,
    directory: Path,
    remote_dir: str,
    changes: Mapping[str, Mapping[str, str]],
    narrator: Narrator,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Start guests of a kept lab anew with parameters of their command lines changed, by guest (lab.plan.cmdline).

    `directory` is the lab's own here, `remote_dir` that on its host. Nothing of a kept lab samples, so a probe runs
    on the host meanwhile, to tell when they are up. Loads in them have ended and knobs are as the kernel has them.
    Raises LabFailure where the lab's files cannot be read, GuestLost or BootTimeout where a guest does not come up.
    """
    guests = read_guests(directory)
    stream = f"{remote_dir}/restart.stream"

    def console_tail(name: str) -> str:
        return read_console_tail(host, boot.guests[name].paths.console_log)

    with host.start_agent(stream, plan.measure.interval_ms) as agent:
        watch = Watch(agent, console_tail, monotonic=monotonic)
        boot = Boot(host, plan, guests, watch, Journal(), narrator, console_tail, monotonic)
        boot.watch(changes)
        try:
            boot.run_anew(changes)
        finally:
            write_guests(directory, boot.guests)
    host.shell.run(f"rm -f {shlex.quote(stream)}", timeout_s=_FILE_TIMEOUT_S)


def kept_parameter(directory: Path, node: str, parameter: str) -> str:
    """What the command line of a kept lab's guest sets a parameter to (lab.plan.cmdline.read_parameter)."""
    return read_guests(directory)[node].parameter(parameter)


def standing_settings(directory: Path, node: str) -> tuple[KnobSetting, ...]:
    """What was set in a kept lab's guest and not taken back, in the order in which it was last set."""
    standing: dict[str, KnobEntry] = {}
    for entry in KnobJournal(directory).open_entries(node):
        standing.pop(entry.word, None)
        standing[entry.word] = entry
    return tuple(map(_setting, standing.values()))


def _setting(entry: KnobEntry) -> KnobSetting:
    place = parse_candidate(entry.word, entry.wanted, entry.compare)
    return KnobSetting(entry.machine, entry.knob, entry.wanted, entry.compare, (place,))
