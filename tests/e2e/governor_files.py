# SPDX-License-Identifier: GPL-2.0-only
"""The files of the kernel's steal governor in a guest (Documentation/scheduler/sched-paravirt-cpus.rst)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.run.interactive import LabSession
from lab.run.ports import CommandResult

DIRECTORY = "/sys/kernel/debug/sched/paravirt_governor"
MASK = "/sys/devices/system/cpu/paravirt"
DEFAULTS = {
    "high_threshold": "400",
    "low_threshold": "150",
    "interval_ms": "1000",
    "policy": "last",
}
#: By one process, so that few checks come in between; those that do are seen by the number of checks.
_READ = f"cd {DIRECTORY} && grep '' checks enable ratio steps_down steps_up last_decision {MASK} checks"
_ATTEMPTS = 10


@dataclass(frozen=True)
class GovernorState:
    """What the governor says of one check. `ratio` is in per cent x 100, `mask` is a cpulist."""

    enabled: bool
    checks: int
    ratio: int
    steps_down: int
    steps_up: int
    decision: str
    mask: str


def parse_state(output: str) -> GovernorState | None:
    """The output of the reading command; None if a check came in between."""
    lines = [line.rpartition(":")[::2] for line in output.splitlines()]
    (_, before), *_, (_, after) = lines
    if before != after:
        return None
    values = dict(lines)
    numbers = {name: int(values[name]) for name in ("checks", "ratio", "steps_down", "steps_up")}
    return GovernorState(
        enabled=values["enable"] == "1",
        decision=values["last_decision"],
        mask=values[MASK],
        **numbers,
    )


@dataclass(frozen=True)
class Governor:
    """The governor of one guest."""

    lab: LabSession
    node: str

    def read(self) -> GovernorState:
        """The state after the last check."""
        for _ in range(_ATTEMPTS):
            state = parse_state(self.lab.exec(self.node, _READ).stdout)
            if state is not None:
                return state
        raise AssertionError(f"{self.node}: a check came between any two reads of {_ATTEMPTS}")

    def get(self, name: str) -> str:
        """What a file holds."""
        return self.lab.exec(self.node, f"cat {DIRECTORY}/{name}").stdout.strip()

    def write(self, name: str, value: str) -> CommandResult:
        """Try to write a file."""
        return self.lab.exec(self.node, f"echo '{value}' >{DIRECTORY}/{name}", check=False)

    def set(self, **values: object) -> None:
        """Write files, in order; all of them have to take their value."""
        for name, value in values.items():
            done = self.write(name, str(value))
            assert done.status == 0, f"{self.node}: {name} = {value}: {done.stderr}"

    def wait(self, what: str, happened: Callable[[GovernorState], bool], timeout_s: float) -> GovernorState:
        """Wait for a state."""
        deadline = time.monotonic() + timeout_s
        while not happened(state := self.read()):
            assert time.monotonic() < deadline, f"{self.node}: no {what} within {timeout_s} s: {state}"
            time.sleep(0.1)
        return state

    def restore(self) -> None:
        """Off, with the settings that it boots with."""
        self.set(enable=0)
        # The low threshold may be above the high one's default: out of the way first.
        self.set(low_threshold=0)
        self.set(**DEFAULTS)
