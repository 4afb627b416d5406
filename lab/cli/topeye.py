# SPDX-License-Identifier: GPL-2.0-only
"""How `lab top` sees a lab: one connection to its host that streams what the probes there write.

Where a run is going on, the run's own probes write, and nothing is done but to read along. In a lab that was given
to the user nobody samples: there a probe of our own does, as long as it is looked at, into files that the follower
keeps short.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.cli.desk import Desk
from lab.cli.running import RunningLab, machine_command, open_running_host
from lab.cli.topfollower import NOT_FOUND, Follower
from lab.errors import HostLost, LabError
from lab.plan.labplan import HOST_SCOPE
from lab.run.boot import GuestFiles
from lab.run.lab import top_pid_files
from lab.run.ports import Agent, AgentEvent, Host
from lab.run.records import LabState

#: Files that only the follower reads are emptied when they are this long.
_TRIM = 1 << 20
_FILE_TIMEOUT_S = 30


@dataclass
class Eye:
    """A follower, and the probe that samples for it where it needs one of its own."""

    follower: Follower
    remote_dir: str
    agent: Agent | None = None
    prefix: str = ""

    def look_at(self, name: str, files: GuestFiles) -> None:
        """A guest, as it was last started. Raises HostLost."""
        stream, trim = files.stream, ""
        if self.agent is not None:
            stream, trim = f"{self.prefix}.{name}.stream", f" {_TRIM}"
            self.agent.send(
                f"guest {name} {files.pid_file} {files.paths.probe_socket} {stream} {files.paths.console_log}"
            )
        self.follower.say(f"stream {name} {stream}{trim}")
        self.follower.say(f"text {name} {files.paths.console_log}")

    def look_again(self, name: str, files: GuestFiles) -> None:
        """The same for a guest that was looked at before it was started anew."""
        if self.agent is not None:
            self.agent.send(f"drop {name}")
        self.look_at(name, files)

    def look_at_host(self) -> None:
        """The host's own stream."""
        own = self.agent is not None
        path = f"{self.prefix}.host.stream {_TRIM}" if own else f"{self.remote_dir}/host.stream"
        self.follower.say(f"stream {HOST_SCOPE} {path}")

    def events(self) -> list[AgentEvent]:
        """What the own probe has noticed since the last time. Raises HostLost where it is gone."""
        return [] if self.agent is None else list(self.agent.events(0.001))


@contextmanager
def open_eye(desk: Desk, lab: RunningLab, interval_ms: int) -> Iterator[Eye]:
    """An eye on a lab. Raises HostError and HostLost where its host cannot be reached."""
    if lab.record.state is not LabState.UP:
        program = desk.wiring.staged_probe(lab.record)
        with _follower(desk, lab, program, interval_ms) as follower:
            yield Eye(follower, lab.record.remote_dir)
        return
    prefix = f"{lab.record.remote_dir}/top-{os.getpid()}"
    with open_running_host(desk, lab) as host:
        program = host.stage(desk.wiring.probe_file())
        with (
            host.start_agent(f"{prefix}.host.stream", interval_ms) as agent,
            _removed(host, prefix),
            _follower(desk, lab, program, interval_ms) as follower,
        ):
            yield Eye(follower, lab.record.remote_dir, agent, prefix)


@contextmanager
def _follower(desk: Desk, lab: RunningLab, program: str, interval_ms: int) -> Iterator[Follower]:
    pid, parent = top_pid_files(lab.record.remote_dir)
    words = [program, "follow", "--every", str(interval_ms), "--pid", pid, "--parent-pid", parent]
    # Without a shell in between, its parent is what carries the connection.
    follower = Follower(machine_command(desk, lab, HOST_SCOPE, f"exec {shlex.join(words)}"))
    try:
        yield follower
    except HostLost:
        if follower.status != NOT_FOUND:
            raise
        stage_probe(desk, lab, desk.wiring.probe_file())
        raise HostLost("the host had another version of the probe: this one is there now") from None
    finally:
        follower.stop()


def stage_probe(desk: Desk, lab: RunningLab, probe: Path) -> None:
    """Put the probe on the host, where the run that goes on there brought another version."""
    with open_running_host(desk, lab) as host:
        host.stage(probe)


@contextmanager
def _removed(host: Host, prefix: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(LabError):
            host.shell.run(f"rm -f {shlex.quote(prefix)}.*.stream", timeout_s=_FILE_TIMEOUT_S)
