# SPDX-License-Identifier: GPL-2.0-only
"""Watching a lab through its host's probe: readiness, death, panics, and time by the host's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from lab.errors import GuestLost, GuestPanicked, HostLost, LabFailure, Lost
from lab.govern.seen import Seen, parse_seen
from lab.measure.findings import is_emulators
from lab.run.ports import Agent, AgentEvent

#: A guest's samples leave it up to half a second after they were taken (images/probe/STREAM.md), and the host's
#: side must reach beyond the end of a window to be known at it.
DELIVERY_S = 1.0
#: From the first line of a panic to the end of its call trace, and of the guest.
LAST_WORDS_S = 2.0
_MARK_TIMEOUT_S = 30
_EXPLANATION_S = 2


class Watch:
    """The one consumer of an agent's events.

    A guest that is not watched for, but dies, ends whatever is being waited for with GuestLost at once.
    `console_tail` gives the last lines of a guest's console; `outer` is the agent outside of the host VM. On an
    `emulated` host there are panics that are not the guest's doing (lab.measure.findings): all others are, and are
    raised as GuestPanicked.
    """

    def __init__(
        self,
        agent: Agent,
        console_tail: Callable[[str], str],
        outer: Agent | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        emulated: bool = False,
    ) -> None:
        self._emulated = emulated
        self._agent = agent
        self._monotonic = monotonic
        self._console_tail = console_tail
        self._outer = outer
        self._ready: dict[str, int] = {}
        self._dead: dict[str, str] = {}
        self._findings: list[tuple[str, str]] = []
        self._troubles: dict[str, list[str]] = {}
        self._gone: set[str] = set()

    @property
    def findings(self) -> tuple[tuple[str, str], ...]:
        """(guest, line) of everything in a console that looked like trouble so far."""
        return tuple(self._findings)

    def guest(self, name: str, pid_file: str, socket: str, stream: str, console: str) -> None:
        """Begin to watch a guest that has just been started."""
        self._forget(name)
        self._agent.send(f"guest {name} {pid_file} {socket} {stream} {console}")

    def drop(self, name: str) -> None:
        """Stop watching a guest: its end is no news any more."""
        self._agent.send(f"drop {name}")
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._ready.pop(name, None)
        self._dead.pop(name, None)
        self._troubles.pop(name, None)
        self._gone.discard(name)

    def next_change(self, timeout_s: float) -> None:
        """Take events until one changes who is ready or dead, or until the timeout."""
        self.check_outside()
        for event in self._inside(timeout_s):
            if self._take(event):
                return

    def is_ready(self, name: str) -> bool:
        """Whether the guest's probe has spoken."""
        return name in self._ready

    def ready_ns(self, name: str) -> int | None:
        """When the guest's probe spoke, on the host's clock; None while it has not."""
        return self._ready.get(name)

    def death(self, name: str) -> str | None:
        """Why the guest is dead; None while it lives."""
        return self._dead.get(name)

    def dead(self) -> tuple[str, ...]:
        """The guests that are dead."""
        return tuple(self._dead)

    def now_s(self) -> float:
        """Seconds, by the clock that `sleep` goes by."""
        return self._monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass. Raises GuestLost as soon as any guest dies, HostLost if the host does."""
        deadline = self._monotonic() + seconds
        self.raise_deaths()
        while (left := deadline - self._monotonic()) > 0:
            self.next_change(min(left, 1.0))
            self.raise_deaths()

    def raise_deaths(self, apart_from: Collection[str] = ()) -> None:
        """Raise GuestLost if a guest is dead, other than those that somebody else sees to."""
        for name, reason in tuple(self._dead.items()):
            if name in apart_from:
                continue
            if self._troubles.get(name):
                self.await_end(name)
            raise self.loss_of(name)(f"guest {name} {reason}; its console ends:\n{self._console_tail(name)}")

    def raise_panics(self) -> None:
        """Raise GuestPanicked if a guest is dead that panicked of its own doing."""
        self.raise_deaths(apart_from=[one for one in self._dead if self.loss_of(one) is GuestLost])

    def loss_of(self, name: str) -> type[GuestLost]:
        """GuestPanicked where a dead guest panicked of its own doing."""
        lines = self._troubles.get(name, [])
        panicked = any("Kernel panic" in line for line in lines)
        return GuestPanicked if panicked and not (self._emulated and is_emulators(lines)) else GuestLost

    def await_end(self, name: str, timeout_s: float = LAST_WORDS_S) -> None:
        """Give a guest that panicked the time to say all that it has to say. Raises HostLost if the host dies."""
        deadline = self._monotonic() + timeout_s
        while name not in self._gone and (left := deadline - self._monotonic()) > 0:
            for event in self._inside(left):
                self._take(event)
                if name in self._gone:
                    return

    def mark(self, text: str) -> int:
        """Put a mark into the host's samples and return the host's clock at it, in ns."""
        for event in self._inside(_MARK_TIMEOUT_S, f"mark {text}"):
            self._take(event)
            if event.kind == "marked" and event.text.endswith(text):
                return int(event.words[0])
        raise HostLost(f"the probe on the host did not answer a mark within {_MARK_TIMEOUT_S} s")

    def tasks(self, text: str) -> int:
        """Put a snapshot of everything that runs on the host into its samples; its clock afterwards, in ns.

        What ran between two of them, and whether the lab's threads are bound as they should be, is read out of them
        later (lab.measure.proof).
        """
        for event in self._inside(_MARK_TIMEOUT_S, f"tasks {text}"):
            self._take(event)
            if event.kind == "tasks" and event.text.endswith(text):
                return int(event.words[0])
        raise HostLost(f"the probe on the host took no snapshot within {_MARK_TIMEOUT_S} s")

    def set_duty(self, counters: str, duty_pct: float) -> None:
        """Let the tasks of a hog on the host, by its counter file there, demand this share of a pCPU each.

        It is so when the next mark is made, which tells whether it was refused.
        """
        self._agent.send(f"duty {counters} {round(duty_pct * 10_000)}")

    def own(self, name: str, pid: str) -> None:
        """A process on the host is the lab's own from now on, by its number or by a file that holds it."""
        self._agent.send(f"own {name} {pid}")

    def disown(self, name: str) -> None:
        """It is not any more."""
        self._agent.send(f"disown {name}")

    def state(self) -> Seen:
        """What the probe saw last of every guest. Raises HostLost where it does not answer."""
        lines: list[tuple[str, tuple[str, ...]]] = []
        for event in self._inside(_MARK_TIMEOUT_S, "state"):
            if event.kind in ("state-vcpu", "state-steal"):
                lines.append((event.kind, event.words))
            elif event.kind == "state-end":
                return parse_seen(int(event.words[0]), lines)
            else:
                self._take(event)
        raise HostLost(f"the probe on the host did not tell its state within {_MARK_TIMEOUT_S} s")

    def mark_outside(self, text: str) -> int | None:
        """The same on the clock outside of the host VM; None where there is no outside."""
        if self._outer is None:
            return None
        self._outer.send(f"mark {text}")
        for event in self._outer.events(_MARK_TIMEOUT_S):
            self._take_outside(event)
            if event.kind == "marked" and event.text.endswith(text):
                return int(event.words[0])
        raise HostLost(f"the probe outside of the host VM did not answer a mark within {_MARK_TIMEOUT_S} s")

    def _inside(self, timeout_s: float, command: str | None = None) -> Iterator[AgentEvent]:
        """Events from the host. If its probe is lost, what is seen outside says why."""
        try:
            if command is not None:
                self._agent.send(command)
            yield from self._agent.events(timeout_s)
        except HostLost:
            if self._outer is not None:
                for event in self._outer.events(_EXPLANATION_S):
                    self._take_outside(event)
            raise

    def check_outside(self) -> None:
        """Raise HostLost if the host VM died."""
        if self._outer is not None:
            for event in self._outer.events(0.001):
                self._take_outside(event)

    def _take_outside(self, event: AgentEvent) -> None:
        if event.kind == "gone":
            raise HostLost("the host VM died: its emulator is gone")
        if event.kind == "console":
            self._findings.append((event.words[0], " ".join(event.words[1:])))
            if "panic" in event.text:
                raise HostLost(f"the host VM died: {event.text}")

    def _take(self, event: AgentEvent) -> bool:
        if event.kind == "ready":
            self._ready[event.words[0]] = int(event.words[1])
        elif event.kind == "gone":
            self._dead.setdefault(event.words[0], "died (its emulator ended)")
            self._gone.add(event.words[0])
        elif event.kind == "console":
            return self._take_finding(event.words[0], " ".join(event.words[1:]))
        elif event.kind == "error":
            raise LabFailure(f"the probe on the host: {event.text}")
        return event.kind in ("ready", "gone")

    def _take_finding(self, name: str, line: str) -> bool:
        self._findings.append((name, line))
        self._troubles.setdefault(name, []).append(line)
        if "Kernel panic" not in line:
            return False
        self._dead[name] = f"panicked ({line})"
        return True


def tail_or_nothing(read: Callable[[], str], lines: int = 25) -> str:
    """The last lines of what `read` gives; empty where it cannot be had, as on a host that is gone."""
    with suppress(LabFailure, Lost):
        return "\n".join(read().splitlines()[-lines:])
    return ""
