# SPDX-License-Identifier: GPL-2.0-only
"""A running lab, driven step by step: loads, knobs, measured windows. What it sees goes into a recording."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lab.errors import InputError, LabError, Lost
from lab.judge.evidence import Evidence
from lab.judge.measured import MeasuredPhase
from lab.measure.derive import measure_recording
from lab.plan.cmdline import cmdline_candidate
from lab.plan.knobs import plan_knob_in, plan_reading_in
from lab.plan.labplan import HOST_SCOPE, KnobSetting, trace_of
from lab.recording import Event, Recording, RecordingWriter
from lab.run.experiment import fetch_streams, open_recording
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.knobtexts import KnobRefusedError
from lab.run.lab import Lab
from lab.run.labknobs import host_knobs_restored
from lab.run.phases import PhaseRunner
from lab.run.ports import CommandResult, Narrator, Shell
from lab.run.watch import DELIVERY_S

_Result = TypeVar("_Result")

_CONSOLE_LINES = 25
#: Losses of a lab after which it is not brought up again: an environment that loses this many is broken.
MAX_OPENINGS = 3


class LabSession:
    """One lab that is up. Every method raises GuestLost or HostLost when its environment goes away."""

    def __init__(self, lab: Lab, writer: RecordingWriter, runner: PhaseRunner) -> None:
        self._lab = lab
        self._writer = writer
        self._runner = runner
        self._phases: dict[str, MeasuredPhase] = {}
        self._clean_events = len(lab.journal.events)
        self._clean_knobs = runner.clean_point()
        #: Keep the recording when the session ends.
        self.keep_recording = False
        #: Not as it was brought up any more, and not to be mended: something was lost, or half done.
        self.spoiled = False

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(node.name for node in self._lab.plan.nodes)

    @property
    def lab_id(self) -> str:
        """The lab's id."""
        return self._lab.plan.lab_id

    @property
    def recording(self) -> Path:
        """The recording's directory."""
        return self._writer.directory

    @property
    def phases(self) -> tuple[MeasuredPhase, ...]:
        """Everything that was measured, in order."""
        return tuple(self._phases.values())

    def load(self, name: str) -> LoadHandle:
        """A load or a hog of the topology. Raises InputError if there is none of that name."""
        plan = self._lab.plan
        known = sorted({load.name for load in plan.loads} | {hog.name for hog in plan.hogs})
        if name not in known:
            raise InputError(
                f"topology {self._lab.plan.name} has no load {name!r} (it has: {', '.join(known)})"
            )
        return LoadHandle(self, name)

    def knob(self, node: str, name: str) -> KnobHandle:
        """A knob by its name or its path in the guest. Raises InputError for an unknown node or knob."""
        self._check_node(node)
        self.knob_reading(node, name)
        return KnobHandle(self, node, name)

    def host_knob(self, name: str) -> KnobHandle:
        """A knob of the host. Raises InputError for an unknown one."""
        self.knob_reading(HOST_SCOPE, name)
        return KnobHandle(self, HOST_SCOPE, name)

    def knob_reading(self, node: str, name: str) -> KnobSetting:
        """What it takes to read a knob."""
        return plan_reading_in(self._lab.plan, node, name)[0]

    def knob_writes(self, node: str, name: str, value: str) -> tuple[KnobSetting, ...]:
        """What it takes to write a knob. Raises InputError for a value that cannot be."""
        return plan_knob_in(self._lab.plan, node, name, value)

    def measure(
        self, phase: str, seconds: float, settle: float = 2.0, until: Sequence[str] = ()
    ) -> MeasuredPhase:
        """Let `settle` seconds pass, then measure for `seconds`, or until the loads of `until` have ended: those of
        them that do not run begin together with the window.

        A name that was measured before gets a number, so that the recording keeps both. What the topology says of
        traces holds for it: of the phase of that name, or of the file.
        """
        for load in until:
            self.load(load)
        name = self._new_phase_name(phase)
        with self._watched():
            self._lab.watch.sleep(settle)
            self._runner.measure(name, seconds, until=until, trace=trace_of(self._lab.plan, name))
            self._lab.watch.sleep(DELIVERY_S)
            fetch_streams(self._lab, self._writer)
            self._raise_losses()
        recording = Recording(self.recording)
        evidence = Evidence(self._lab.plan, measure_recording(recording, self._lab.plan))
        tails = {node: _tail(recording.console(node)) for node in self.nodes}
        self._phases[name] = MeasuredPhase(name, evidence, tails)
        return self._phases[name]

    def exec(
        self, node: str, command: str, *, timeout_s: float = COMMAND_TIMEOUT_S, check: bool = True
    ) -> CommandResult:
        """Run a shell command in a guest. With `check`, a non-zero status raises CommandFailed."""
        self._check_node(node)
        return self._in_guest(node, lambda shell: shell.run(command, timeout_s=timeout_s, check=check))

    def put(self, node: str, source: Path, target: str, mode: int = 0o644) -> None:
        """Copy a file into a guest; its directory there must exist. Raises CommandFailed where it cannot be."""
        self._check_node(node)
        self._in_guest(node, lambda shell: shell.put(source, target, mode))

    def _in_guest(self, node: str, work: Callable[[Shell], _Result]) -> _Result:
        """Raises GuestLost or HostLost at once where anything of the lab dies meanwhile."""
        with self._watched():
            (result,) = self._lab.everywhere([node], lambda name: work(self._lab.shells[name]))
        return result

    def console(self, node: str) -> str:
        """Everything that the console of `node` has said so far."""
        self._check_node(node)
        with self._watched():
            self._lab.host.shell.fetch(
                self._lab.files[node].paths.console_log, self._writer.guest_path(node, "console.log")
            )
        return Recording(self.recording).console(node)

    def is_usable(self) -> bool:
        """Whether nothing of the lab was lost, also since it was last used."""
        if not self.spoiled:
            try:
                with self._watched():
                    self._raise_losses()
            except Lost:
                pass
        return not self.spoiled

    def _raise_losses(self) -> None:
        self._lab.watch.next_change(0.01)
        self._lab.watch.raise_deaths()

    def reset(self) -> None:
        """Stop the loads that were started and take back what was written to knobs, in reverse order.

        Where that fails the session is spoiled, and the next user needs another lab.
        """
        if self.spoiled:
            return
        try:
            self._runner.stop_loads(sorted(self.running_loads()))
            self._runner.return_to(self._clean_knobs, self._command_lines_before())
        except LabError:
            self.spoiled = True
        self._clean_events = len(self._lab.journal.events)
        self._clean_knobs = self._runner.clean_point()

    def _command_lines_before(self) -> list[KnobSetting]:
        """What brings the parameters of command lines back that were changed, the last first; what they were need
        not be a value of the knob."""
        changed = [one for one in reversed(self._changes()) if one.kind == "knob"]
        readings = [(one, self.knob_reading(one.data["node"], one.data["knob"])) for one in changed]
        places = [(one, reading, cmdline_candidate(reading)) for one, reading in readings]
        return [
            replace(reading, candidates=(replace(place, raw=one.data["raw_old"]),))
            for one, reading, place in places
            if place is not None
        ]

    def running_loads(self) -> set[str]:
        """Names of the loads and hogs that were started and not stopped, on one node at least."""
        return {load for load, _ in self._running()}

    def runs_everywhere(self, load: str) -> bool:
        """Whether a load runs on all its nodes: it ends where a guest is started anew."""
        hogs = {HOST_SCOPE for one in self._lab.plan.hogs if one.name == load}
        nodes = hogs | {one.node for one in self._lab.plan.loads if one.name == load}
        return nodes <= {node for name, node in self._running() if name == load}

    def _running(self) -> set[tuple[str, str]]:
        running: set[tuple[str, str]] = set()
        for event in self._changes():
            if event.kind == "load-start":
                running.add((event.data["load"], event.data["node"]))
            elif event.kind == "load-stop":
                running.discard((event.data["load"], event.data["node"]))
            elif event.kind == "hog-start":
                running.add((event.data["hog"], HOST_SCOPE))
            elif event.kind == "hog-stop":
                running.discard((event.data["hog"], HOST_SCOPE))
        return running

    def _changes(self) -> tuple[Event, ...]:
        return self._lab.journal.events[self._clean_events :]

    def change(self, what: Callable[[PhaseRunner], None]) -> None:
        """Change something. If that fails midway, nobody knows what was done: the session is spoiled.

        A kernel that refuses a knob's value has done nothing.
        """
        try:
            what(self._runner)
        except KnobRefusedError:
            raise
        except BaseException:
            self.spoiled = True
            raise

    def read_knob(self, setting: KnobSetting) -> str:
        """A knob's value, in its own unit."""
        with self._watched():
            return self._lab.knobs.read(setting)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except Lost:
            self.spoiled = True
            raise

    def _check_node(self, node: str) -> None:
        if node not in self.nodes:
            raise InputError(
                f"topology {self._lab.plan.name} has no node {node!r} (it has: {', '.join(self.nodes)})"
            )

    def _new_phase_name(self, phase: str) -> str:
        name, number = phase, 1
        while name in self._phases:
            number += 1
            name = f"{phase}-{number}"
        return name


@dataclass(frozen=True)
class LoadHandle:
    """A load of a running lab, on all nodes that the topology gives it to; or a hog, on the host."""

    session: LabSession
    name: str

    def start(self) -> None:
        """Start it where it does not run; returns when its counters can be read. Raises InputError if it runs."""
        if self.session.runs_everywhere(self.name):
            raise InputError(f"load {self.name} runs already")
        self.session.change(lambda runner: runner.start_loads([self.name]))

    def stop(self) -> None:
        """Stop it. Raises InputError if it does not run."""
        if self.name not in self.session.running_loads():
            raise InputError(f"load {self.name} does not run")
        self.session.change(lambda runner: runner.stop_loads([self.name]))


@dataclass(frozen=True)
class KnobHandle:
    """A knob of one node."""

    session: LabSession
    node: str
    name: str

    def get(self) -> str:
        """Its value. Raises KnobError if this kernel does not have it."""
        setting = self.session.knob_reading(self.node, self.name)
        return self.session.read_knob(setting)

    def set(self, value: str) -> None:
        """Write, read back, compare. Raises KnobError if the kernel refuses, or keeps another value."""
        settings = self.session.knob_writes(self.node, self.name, value)
        self.session.change(lambda runner: runner.set_knobs(settings))


@contextmanager
def open_session(lab: Lab, topology_text: str, directory: Path, narrator: Narrator) -> Iterator[LabSession]:
    """Drive `lab` by hand. The topology's own knobs are set; phases and expectations are left to the caller.

    The recording in `directory` goes away at the end unless the session is told to keep it.
    """
    session = None
    try:
        with open_recording(lab, topology_text, directory) as writer:
            runner = PhaseRunner(lab, narrator, writer.kvm_stats, writer.load_path, writer.trace_directory)
            with host_knobs_restored(lab, narrator):
                runner.check_traces([lab.plan.trace])
                runner.set_knobs(lab.plan.knobs)
                session = LabSession(lab, writer, runner)
                yield session
    finally:
        if session is None or not session.keep_recording:
            shutil.rmtree(directory, ignore_errors=True)


class SessionSlot:
    """One lab for many users, one after the other; opened when it is first needed, and again when it is lost."""

    def __init__(self, open_one: Callable[[], AbstractContextManager[LabSession]]) -> None:
        self._open_one = open_one
        self._context: AbstractContextManager[LabSession] | None = None
        self._session: LabSession | None = None
        self._openings = 0
        self._failure: LabError | None = None

    def get(self) -> LabSession:
        """The session, usable. Raises what opening it raised, and Lost when it was lost too often."""
        if self._session is not None and self._session.is_usable():
            return self._session
        self.close()
        if self._failure is not None:
            raise self._failure
        if self._openings == MAX_OPENINGS:
            raise Lost(f"the lab was brought up {MAX_OPENINGS} times and did not stay usable")
        return self._open()

    def _open(self) -> LabSession:
        self._openings += 1
        context = self._open_one()
        try:
            self._session = context.__enter__()
        except Lost:
            raise  # worth another attempt, of which there are few
        except LabError as error:
            self._failure = error
            raise
        self._context = context
        return self._session

    def close(self) -> None:
        """End the session if there is one."""
        context, self._context, self._session = self._context, None, None
        if context is not None:
            context.__exit__(None, None, None)


def _tail(console: str) -> str:
    return "\n".join(console.splitlines()[-_CONSOLE_LINES:])
