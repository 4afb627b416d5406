# SPDX-License-Identifier: GPL-2.0-only
"""Control of a booted guest over its shell: loads."""

from __future__ import annotations

import shlex

from lab.plan.labplan import LoadPlan
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.ports import Shell
from lab.units import format_cpulist


def start_load(shell: Shell, load: LoadPlan) -> None:
    """Start a load; returns when its counters can be read."""
    pins = ["--vcpus", format_cpulist(load.vcpus)] if load.vcpus else []
    words = ["pvspin", "run", "--daemon", "--name", load.name, "--tasks", str(load.tasks), *pins]
    shell.run(shlex.join(words), timeout_s=COMMAND_TIMEOUT_S)


def stop_load(shell: Shell, load: LoadPlan) -> None:
    """Stop a load."""
    shell.run(shlex.join(["pvspin", "stop", "--name", load.name]), timeout_s=COMMAND_TIMEOUT_S)
