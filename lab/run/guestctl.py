# SPDX-License-Identifier: GPL-2.0-only
"""Control of a booted guest over its shell: loads. pvspin and pvload (images/probe) say what the commands do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import CommandFailed, InputError, LabFailure
from lab.plan.labplan import LoadPlan
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.ports import Shell
from lab.units import format_cpulist

#: In the guest: what the runs of loads left behind, LOAD/NUMBER/out and LOAD/NUMBER/status.
LOADS_DIR = "/run/lab/loads"
#: From the last word of `pvload wait` to its coming here.
_WORD_S = 30
#: What a load's processes have to end themselves when they are told to.
GRACE_S = 5
_NO_PROGRAM = 3
_STILL_RUNS = 1
_NOW = re.compile(r"now (\d+)")


def start_load(shell: Shell, load: LoadPlan) -> None:
    """Start a load of kind spin; returns when its counters can be read."""
    pins = ["--vcpus", format_cpulist(load.vcpus)] if load.vcpus else []
    words = ["pvspin", "run", "--daemon", "--name", load.name, "--tasks", str(load.tasks), *pins]
    shell.run(shlex.join(words), timeout_s=COMMAND_TIMEOUT_S)


def stop_load(shell: Shell, load: LoadPlan) -> None:
    """Stop a load of kind spin."""
    shell.run(shlex.join(["pvspin", "stop", "--name", load.name]), timeout_s=COMMAND_TIMEOUT_S)


@dataclass(frozen=True)
class LoadRun:
    """One run of a load with a command, on one node; `number` counts its runs there from 0."""

    load: LoadPlan
    number: int

    @property
    def directory(self) -> str:
        """Its directory in the guest."""
        return f"{LOADS_DIR}/{self.load.name}/{self.number}"


def arm_run(shell: Shell, run: LoadRun) -> None:
    """Get a run ready to begin. Raises LabFailure where the guest lacks its program."""
    load = run.load
    pins = ["--vcpus", format_cpulist(load.vcpus)] if load.vcpus else []
    command = shlex.join(["pvload", "arm", "--dir", run.directory, *pins, "--", *load.command])
    done = shell.run(command, timeout_s=COMMAND_TIMEOUT_S, check=False)
    if done.status == _NO_PROGRAM:
        raise LabFailure(
            f"load {load.name} on {load.node}: there is no program {load.command[0]!r} in the root image "
            f"{load.image} (kind {load.kind})",
            f"`lab load explain {load.kind}`; name an image that has it in the kind's definition",
        )
    if done.status != 0:
        raise CommandFailed(f"load {load.name} on {load.node}: `{command}`: {done.stderr.strip()}")


def release_runs(shell: Shell, runs: Sequence[LoadRun], at_ns: int) -> int:
    """Let runs begin at a moment of the guest's clock (0: at once); returns that clock now.

    By one command for all of them: in a guest that has to wait for its pCPUs, each takes long.
    """
    commands = [["pvload", "release", "--dir", run.directory, "--at", str(at_ns)] for run in runs]
    said = shell.run(" && ".join(map(shlex.join, commands)), timeout_s=COMMAND_TIMEOUT_S).stdout
    found = _NOW.findall(said)
    if len(found) != len(runs):
        names = ", ".join(run.load.name for run in runs)
        raise LabFailure(f"load {names} on {runs[0].load.node}: pvload said {said!r}, expected `now NS`")
    return int(found[-1])


def wait_run(shell: Shell, run: LoadRun, seconds: float) -> bool:
    """Whether a run ends within so many seconds."""
    words = ["pvload", "wait", "--dir", run.directory, "--timeout", f"{max(0.0, seconds):.3f}"]
    done = shell.run(shlex.join(words), timeout_s=seconds + _WORD_S, check=False)
    if done.status > 1:
        raise LabFailure(f"load {run.load.name} on {run.load.node}: {done.stderr.strip()}")
    return done.status == 0


def stop_run(shell: Shell, run: LoadRun) -> None:
    """End a run with everything it started; nothing happens where it has ended."""
    words = ["pvload", "stop", "--dir", run.directory, "--grace", str(GRACE_S)]
    shell.run(shlex.join(words), timeout_s=COMMAND_TIMEOUT_S)


def start_by_hand(shell: Shell, load: LoadPlan) -> None:
    """Start a load outside of any run, at once. Raises InputError where it runs already."""
    if not load.command:
        start_load(shell, load)
        return
    run = LoadRun(load, 0)
    words = ["pvload", "wait", "--dir", run.directory, "--timeout", "0"]
    if shell.run(shlex.join(words), timeout_s=COMMAND_TIMEOUT_S, check=False).status == _STILL_RUNS:
        raise InputError(f"load {load.name} runs already on {load.node}")
    shell.run(shlex.join(["rm", "-rf", run.directory]), timeout_s=COMMAND_TIMEOUT_S)
    arm_run(shell, run)
    release_runs(shell, [run], 0)


def stop_by_hand(shell: Shell, load: LoadPlan) -> str | None:
    """Stop a load that was started so, or had ended; returns what it wrote, None where that is not its way."""
    if not load.command:
        stop_load(shell, load)
        return None
    run = LoadRun(load, 0)
    stop_run(shell, run)
    return shell.run(shlex.join(["cat", f"{run.directory}/out"]), timeout_s=COMMAND_TIMEOUT_S).stdout
