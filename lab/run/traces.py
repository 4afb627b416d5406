# SPDX-License-Identifier: GPL-2.0-only
"""Traces of measured windows: recorders on the host and in guests, started just before and stopped just after.

What they wrote is brought home when the window is over, off the measured time. A recorder on the host is known by
its directory below the lab's, and whoever ends the lab ends it (lab.run.tracectl); one in a guest ends with that.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from lab.errors import CommandFailed, GuestLost, LabError
from lab.measure.snapshots import TRACER
from lab.plan.labplan import HOST_SCOPE, TracePlan
from lab.run.hogcontrol import HogControl
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.lab import Lab
from lab.run.ports import Shell
from lab.run.tracectl import (
    GUEST_TRACES_DIR,
    Recorder,
    start_recorder,
    stop_recorder,
    traces_directory,
    write_threads,
)

#: Says into which directory the trace of a machine (HOST_SCOPE or a node) in a phase goes, empty.
KeepTrace = Callable[[str, str], Path]

#: What the host's directory has besides its recorder's files.
HOST_FILES = ("threads", "offsets")
_CHECK = "check"

_Result = TypeVar("_Result")


class Traces:
    """The traces of one lab, for one user at a time. Every method raises Lost as soon as something dies.

    Without `keep` nothing is traced.
    """

    def __init__(self, lab: Lab, keep: KeepTrace | None) -> None:
        self._lab = lab
        self._keep = keep
        self._hogs = HogControl(lab.host, lab.plan, lab.record.remote_dir)

    def check(self, traces: Iterable[TracePlan | None]) -> None:
        """Trace for a moment what is to be traced, before anything is measured.

        Raises LabFailure where a kernel cannot.
        """
        wanted = () if self._keep is None else traces
        for trace in dict.fromkeys(one for one in wanted if one is not None):
            with self.recording(_CHECK, trace):
                pass
            self._forget(_CHECK, trace)

    @contextmanager
    def recording(self, phase: str, trace: TracePlan | None) -> Iterator[None]:
        """Record while this lasts. Where a guest is lost in it, the recorders of all others end too."""
        if trace is None or self._keep is None:
            yield
            return
        try:
            self._start(phase, trace)
            yield
            self._stop(phase, trace)
        except GuestLost:
            self._abandon(phase, trace)
            raise

    def fetch(self, phase: str, trace: TracePlan | None) -> None:
        """Bring home what was recorded, and remove it there."""
        if trace is None or self._keep is None:
            return
        keep = self._keep
        host, target = self._host_recorder(phase, trace), keep(HOST_SCOPE, phase)
        _fetch(self._lab.host.shell, host.directory, (*host.files, *HOST_FILES), target)
        targets = {node: keep(node, phase) for node in self._traced_nodes(trace)}
        self._in_guests(
            trace,
            lambda node: _fetch(
                self._lab.shells[node],
                _guest_directory(phase),
                self._recorder_of(node, phase, trace).files,
                targets[node],
            ),
        )
        self._forget(phase, trace)

    # ---- recorders

    def _start(self, phase: str, trace: TracePlan) -> None:
        host = self._host_recorder(phase, trace)
        self._lab.host.shell.run(shlex.join(["rm", "-rf", host.directory]), timeout_s=COMMAND_TIMEOUT_S)
        write_threads(self._lab.host.shell, host.directory, self._processes())
        start_recorder(self._lab.host.shell, host, "the host")
        self._lab.watch.own(TRACER, host.pid_file)
        self._in_guests(trace, lambda node: self._start_in(node, phase, trace))

    def _start_in(self, node: str, phase: str, trace: TracePlan) -> None:
        start_recorder(self._lab.shells[node], self._recorder_of(node, phase, trace), f"guest {node}")

    def _stop(self, phase: str, trace: TracePlan) -> None:
        """Guests first: what they say is looked at in the light of what the host says."""
        said = self._in_guests(trace, lambda node: self._stop_in(node, phase))
        directory = self._host_recorder(phase, trace).directory
        said.append(stop_recorder(self._lab.host.shell, directory, "the host"))
        self._lab.watch.disown(TRACER)
        for text in filter(None, said):
            self._lab.journal.add(self._lab.watch.mark("traced"), "note", text=f"phase {phase}: {text}")

    def _stop_in(self, node: str, phase: str) -> str:
        return stop_recorder(self._lab.shells[node], _guest_directory(phase), f"guest {node}")

    def _abandon(self, phase: str, trace: TracePlan) -> None:
        """End what still records, wherever it answers: the window may be measured again."""
        dead = self._lab.watch.dead()
        with suppress(LabError):
            self._lab.watch.disown(TRACER)
            stop_recorder(self._lab.host.shell, self._host_recorder(phase, trace).directory, "the host")
        for node in self._traced_nodes(trace):
            if node not in dead:
                with suppress(LabError):
                    stop_recorder(self._lab.shells[node], _guest_directory(phase), node)
                    _remove(self._lab.shells[node], _guest_directory(phase))

    # ---- where and what

    def _host_recorder(self, phase: str, trace: TracePlan) -> Recorder:
        directory = f"{traces_directory(self._lab.record.remote_dir)}/{phase}"
        return Recorder(
            program=self._lab.host.program("pvtrace"),
            directory=directory,
            clock=trace.clock,
            buffer_kib=trace.buffer_kib,
            limit_mib=trace.limit_mib,
            cpus=self._lab.plan.host.pcpus,
            events=trace.host_events,
            pids=f"{directory}/pids",
        )

    def _recorder_of(self, node: str, phase: str, trace: TracePlan) -> Recorder:
        return Recorder(
            program="pvtrace",
            directory=_guest_directory(phase),
            clock=trace.clock,
            buffer_kib=trace.guest_buffer_kib,
            limit_mib=trace.guest_limit_mib,
            cpus=tuple(one.vcpu for one in self._lab.plan.node(node).vcpus),
            events=trace.guest_events,
        )

    def _processes(self) -> list[tuple[str, str, str]]:
        guests = [("guest", name, files.pid_file) for name, files in self._lab.files.items()]
        hogs = [("hog", hog.name, self._hogs.pid_file(hog.name)) for hog in self._lab.plan.hogs]
        return guests + hogs

    def _traced_nodes(self, trace: TracePlan) -> list[str]:
        return [node.name for node in self._lab.plan.nodes] if trace.guest_events else []

    def _in_guests(self, trace: TracePlan, work: Callable[[str], _Result]) -> list[_Result]:
        nodes = self._traced_nodes(trace)
        return self._lab.everywhere(nodes, work) if nodes else []

    def _forget(self, phase: str, trace: TracePlan) -> None:
        _remove(self._lab.host.shell, self._host_recorder(phase, trace).directory)
        self._in_guests(trace, lambda node: _remove(self._lab.shells[node], _guest_directory(phase)))


def _guest_directory(phase: str) -> str:
    return f"{GUEST_TRACES_DIR}/{phase}"


def _remove(shell: Shell, directory: str) -> None:
    shell.run(shlex.join(["rm", "-rf", directory]), timeout_s=COMMAND_TIMEOUT_S)


def _fetch(shell: Shell, directory: str, names: tuple[str, ...], target: Path) -> None:
    """File by file: a guest has no room for them twice. What is not there is left out; whoever reads tells it."""
    for name in names:
        with suppress(CommandFailed):
            shell.fetch(f"{directory}/{name}", target / name)
