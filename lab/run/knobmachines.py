# SPDX-License-Identifier: GPL-2.0-only
"""Machines that have knobs: a lab's guests and its host, as pvknob is run on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.errors import KnobError
from lab.plan.labplan import HOST_SCOPE
from lab.run.ports import Host, Shell
from lab.run.pvknob import Admission, Answer, parse_answer, render_command

#: A command in a guest may have to wait for its vCPU many times over.
COMMAND_TIMEOUT_S = 120
#: Where guests keep what must not outlive a start of theirs; their init makes it.
_GUEST_FENCE = "/run/lab/knobs.fence"
_GUEST_PROGRAM = "pvknob"


class AnotherBootError(KnobError):
    """The machine was started anew since: nothing was done."""


class TooLateError(KnobError):
    """Somebody else has begun to take back what this process does: nothing was done."""


@dataclass(frozen=True)
class KnobMachine:
    """A guest by its node's name, or the host as HOST_SCOPE; `fence` is a file of the lab there."""

    name: str
    shell: Shell
    program: str
    fence: str

    def admission(self, epoch: int, boot_id: str = "") -> Admission:
        """To write there."""
        return Admission(self.fence, epoch, boot_id)

    def ask(self, words: Sequence[str], admission: Admission | None = None) -> Answer:
        """Run pvknob. Raises AnotherBootError or TooLateError where it was not let in, and as Shell.run."""
        command = render_command(self.program, words, admission)
        done = self.shell.run(command, timeout_s=COMMAND_TIMEOUT_S, check=False)
        answer = parse_answer(done.status, done.stdout, done.stderr, command)
        if answer.lines and answer.lines[0].kind == "other-boot":
            raise AnotherBootError(f"{self.name} was started anew since its knobs were looked at")
        if answer.lines and answer.lines[0].kind == "stale":
            raise TooLateError(
                f"knobs of {self.name} are being put back by somebody else, or its lab has ended"
            )
        return answer


#: Gives a machine by its name.
Machines = Callable[[str], KnobMachine]


def machines_of(host: Host, remote_dir: str, shell: Callable[[str], Shell]) -> Machines:
    """The machines of a lab; `shell` gives a shell in a guest."""

    def find(name: str) -> KnobMachine:
        if name == HOST_SCOPE:
            return host_machine(host, remote_dir)
        return guest_machine(name, shell(name))

    return find


def host_machine(host: Host, remote_dir: str) -> KnobMachine:
    """A lab's host. Its fence goes with the lab's directory there: then nothing of the lab may write any more."""
    return KnobMachine(HOST_SCOPE, host.shell, host.program("pvknob"), f"{remote_dir}/knobs.fence")


def guest_machine(name: str, shell: Shell) -> KnobMachine:
    """One guest."""
    return KnobMachine(name, shell, _GUEST_PROGRAM, _GUEST_FENCE)
