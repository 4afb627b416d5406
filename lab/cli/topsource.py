# SPDX-License-Identifier: GPL-2.0-only
"""News of a real lab, brought by a thread: it looks, loses sight, looks again, and ends with the lab."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.cli.desk import Desk
from lab.cli.running import RunningLab
from lab.cli.topeye import Eye, open_eye
from lab.cli.topfiles import EventsFile, GrowingFile, GuestsFile
from lab.cli.toplabs import title_of
from lab.errors import LabError
from lab.live.state import Happening
from lab.live.step import Restarted, Said, Trouble, Update
from lab.plan.labplan import HOST_SCOPE, LabPlan
from lab.recording import EVENTS_FILE
from lab.run.experiment import RECORDING_POINTER
from lab.run.ports import AgentEvent
from lab.run.records import LabState

#: How often the lab's local files are looked at, and whether looks have come.
_LOOK_S = 0.25
_RETRY_S = 3.0
_CLOSE_S = 15.0
#: What of a long console of the host is shown.
_CONSOLE_BYTES = 8192
#: A guest that is up speaks as soon as somebody listens.
_HEARD_S = 10.0


class LabSource:
    """The Source of a lab. `start` before `news`, `close` at the end; both from the same thread."""

    def __init__(self, desk: Desk, lab: RunningLab, interval_ms: int) -> None:
        self._desk = desk
        self._lab = lab
        self._interval_ms = interval_ms
        self._news: queue.SimpleQueue[Update] = queue.SimpleQueue()
        self._guests = GuestsFile(lab.directory)
        self._events: EventsFile | None = None
        self._host_console: GrowingFile | None = None
        self._unheard: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab-source", daemon=True)

    @property
    def plan(self) -> LabPlan:
        """The lab's plan."""
        return self._lab.plan

    @property
    def title(self) -> str:
        """The lab, where it is, and whose."""
        return title_of(self._lab)

    def news(self) -> Iterator[Update]:
        """Everything since the last time."""
        with suppress(queue.Empty):
            while True:
                yield self._news.get_nowait()

    def tell(self, update: Update) -> None:
        """Something that is news, too."""
        self._news.put(update)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; what was started on the host has ended then."""
        self._over.set()
        self._thread.join(_CLOSE_S)

    # ---- the thread

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with open_eye(self._desk, self._lab, self._interval_ms) as eye:
                    self._watch(eye)
            except LabError as error:
                self.tell(Trouble(f"{error.message.splitlines()[0]}; trying again"))
            except Exception as error:  # a thread has nobody else to tell
                self.tell(Trouble(f"looking at the lab failed: {type(error).__name__}: {error}"))
            if not self._exists():
                self.tell(Trouble("the lab has ended (q quits)"))
                return
            self._over.wait(_RETRY_S)

    def _watch(self, eye: Eye) -> None:
        eye.look_at_host()
        self._guests.changed()
        for name, files in self._guests.guests.items():
            eye.look_at(name, files)
        deadline = time.monotonic() + _HEARD_S
        self._unheard = dict.fromkeys(self._guests.guests if eye.agent is not None else (), deadline)
        while not self._over.is_set() and self._exists():
            looks = eye.follower.looks()
            if looks:
                self.tell(Trouble(""))
            for look in looks:
                self.tell(look)
            for event in eye.events():
                self._take_event(event)
            self._tell_unheard()
            self._read_local(eye)
            self._over.wait(_LOOK_S)

    def _take_event(self, event: AgentEvent) -> None:
        if event.kind in ("ready", "gone"):
            self._unheard.pop(event.words[0], None)
        elif event.kind == "error":
            self.tell(Happening(0, f"the probe on the host: {event.text}", "warn"))

    def _tell_unheard(self) -> None:
        for name in [name for name, deadline in self._unheard.items() if time.monotonic() > deadline]:
            del self._unheard[name]
            text = f"{name} is not heard: somebody else may read its port (`lab govern`, another `lab top`)"
            self.tell(Happening(0, text, "warn"))

    def _read_local(self, eye: Eye) -> None:
        for name in self._guests.changed():
            self.tell(Restarted(name))
            self.tell(Happening(0, f"{name} was started anew", "warn"))
            eye.look_again(name, self._guests.guests[name])
        self._read_host_console()
        if self._events is None:
            self._events = self._find_events()
        if self._events is not None:
            for event in self._events.new():
                self.tell(event)

    def _read_host_console(self) -> None:
        """Of a host VM of the lab's own, which writes it here."""
        if self._host_console is None and self._lab.record.where == "nested":
            self._host_console = GrowingFile(self._desk.wiring.host_vm.console_log, _CONSOLE_BYTES)
        lines = [] if self._host_console is None else self._host_console.new()
        if lines:
            self.tell(Said(HOST_SCOPE, tuple(line.decode(errors="replace").rstrip("\r") for line in lines)))

    def _find_events(self) -> EventsFile | None:
        """Of a run they are in its recording, which the lab's directory points to."""
        directory = self._lab.directory
        if self._lab.record.state is LabState.UP:
            return EventsFile(directory / EVENTS_FILE)
        try:
            return EventsFile(Path((directory / RECORDING_POINTER).read_text().strip()) / EVENTS_FILE)
        except OSError:
            return None

    def _exists(self) -> bool:
        return (self._lab.directory / "lab.json").exists()
