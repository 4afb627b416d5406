# SPDX-License-Identifier: GPL-2.0-only
"""The loads of a lab while its phases run: begun in lockstep, waited for, ended, their output brought home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from lab.errors import CommandFailed, LabError
from lab.govern.seen import Seen
from lab.plan.labplan import LoadPlan
from lab.run.bynode import by_node
from lab.run.guestctl import (
    LoadRun,
    arm_run,
    release_runs,
    start_load,
    stop_load,
    stop_run,
    wait_run,
)
from lab.run.lab import Lab
from lab.run.lockstep import clock_offsets, guest_time
from lab.run.ports import Shell

#: What is kept of a run, as images/probe/pvload.c has it.
OUTPUT_FILES = ("out", "status")
#: Until a release has reached every guest: some times what it took to arm them all, within these bounds.
_RELEASE_TIMES = 3.0
_RELEASE_S = (0.3, 5.0)
#: How often it is looked whether loads have ended.
_LOOK_S = 0.1

_Item = TypeVar("_Item")


class KeepOutput(Protocol):
    """Says where a file of a load's run is to go, as RecordingWriter.load_path."""

    def __call__(self, node: str, load: str, number: int, name: str) -> Path: ...


@dataclass(frozen=True)
class Armed:
    """Runs that wait for their beginning; `seen` is what the probes told around arming them, in `took_s`."""

    runs: tuple[LoadRun, ...]
    seen: tuple[Seen, ...]
    took_s: float


class GuestLoads:
    """The loads of one lab, for one user at a time. Every method raises Lost as soon as something dies.

    Without `keep`, what loads say stays in the guests.
    """

    def __init__(self, lab: Lab, keep: KeepOutput | None) -> None:
        self._lab = lab
        self._keep = keep
        self._spinning: set[tuple[str, str]] = set()
        self._runs: dict[tuple[str, str], LoadRun] = {}
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def running(self) -> frozenset[tuple[str, str]]:
        """(load, node) of every load that was started, and neither stopped nor seen to have ended."""
        return frozenset(self._spinning | self._runs.keys())

    def start(self, names: Sequence[str]) -> None:
        """Start loads by name on all their nodes where they do not run; those with a command in lockstep."""
        self._start_spinning(names)
        self.release(self.arm(names))

    def stop(self, names: Sequence[str]) -> None:
        """Stop loads by name on all their nodes where they run."""
        spinning = [one for one in self._named(names) if _key(one) in self._spinning]
        self._on_nodes(spinning, lambda load: load.node, stop_load)
        self._spinning.difference_update(map(_key, spinning))
        self._tell("load-stop", spinning)
        self._end(names)

    def end_all_commands(self) -> None:
        """Stop every load that has a command: its output is complete only when it has ended."""
        self._end(sorted({name for name, _ in self._runs}))

    def nodes_started_anew(self, nodes: Sequence[str]) -> None:
        """Guests that were started anew have no load any more, and no output of those they had."""
        over = sorted(one for one in self.running if one[1] in nodes)
        for key in over:
            self._spinning.discard(key)
            self._runs.pop(key, None)
        self._tell("load-stop", [one for one in self._lab.plan.loads if _key(one) in over])

    # ---- loads with a command

    def arm(self, names: Sequence[str]) -> Armed:
        """Get loads with a command ready to begin, on all their nodes where they do not run."""
        loads = [one for one in self._named(names) if one.command and _key(one) not in self._runs]
        if not loads:
            return Armed((), (), 0.0)
        runs = tuple(LoadRun(one, self._counts.get(_key(one), 0)) for one in loads)
        before, began_s = self._lab.watch.state(), self._lab.watch.now_s()
        self._on_nodes(runs, lambda run: run.load.node, arm_run)
        self._counts.update((_key(run.load), run.number + 1) for run in runs)
        self._runs.update((_key(run.load), run) for run in runs)
        took_s = self._lab.watch.now_s() - began_s
        return Armed(runs, (before, self._lab.watch.state()), took_s)

    def release(self, armed: Armed) -> None:
        """Let armed runs begin, all at one moment; returns when it has come, or passed."""
        if not armed.runs:
            return
        watch = self._lab.watch
        seen = (*armed.seen, watch.state())
        offsets = clock_offsets(seen, {run.load.node for run in armed.runs})
        shortest_s, longest_s = _RELEASE_S
        ahead_s = min(longest_s, max(shortest_s, _RELEASE_TIMES * armed.took_s))
        host_t0_ns = watch.mark("load-release")
        at_ns = host_t0_ns + round(ahead_s * 1e9)
        due_s = watch.now_s() + ahead_s
        guest_ns: dict[str, int] = {}

        def release(node: str) -> None:
            runs = [run for run in armed.runs if run.load.node == node]
            guest_ns[node] = release_runs(self._lab.shells[node], runs, guest_time(offsets, node, at_ns))

        self._lab.everywhere(list(dict.fromkeys(run.load.node for run in armed.runs)), release)
        host_t1_ns = watch.mark("load-released")
        watch.sleep(max(0.0, due_s - watch.now_s()))
        for run in armed.runs:
            now = guest_ns[run.load.node]
            self._lab.journal.add(
                at_ns,
                "load-start",
                load=run.load.name,
                node=run.load.node,
                number=run.number,
                host_t0_ns=host_t0_ns,
                guest_t0_ns=now,
                guest_t1_ns=now,
                host_t1_ns=host_t1_ns,
            )

    def wait(self, names: Sequence[str], seconds: float, sleep: Callable[[float], None]) -> None:
        """Let time pass by `sleep` until the loads have ended, or for `seconds`; of no loads for all of them."""
        runs = [run for (name, _), run in self._runs.items() if name in names]
        watch = self._lab.watch
        deadline_s = watch.now_s() + seconds
        if not runs:
            sleep(seconds)
            return
        with ThreadPoolExecutor(len(runs)) as pool:
            waits = [pool.submit(self._wait_for, run, seconds) for run in runs]
            try:
                while not all(one.done() for one in waits) and (left := deadline_s - watch.now_s()) > 0:
                    sleep(min(left, _LOOK_S))
            except BaseException:
                self._lab.shells.close()  # whoever still waits for an answer gives up
                raise
            for one in waits:
                one.result()

    def _wait_for(self, run: LoadRun, seconds: float) -> bool:
        return wait_run(self._lab.shells[run.load.node], run, seconds)

    def finish(self, names: Sequence[str]) -> None:
        """Bring home what loads said that were waited for."""
        self._end(names)

    def _end(self, names: Sequence[str]) -> None:
        runs = [run for (name, _), run in self._runs.items() if name in names]
        self._on_nodes(runs, lambda run: run.load.node, self._stop_and_fetch)
        for run in runs:
            del self._runs[_key(run.load)]
        self._tell("load-stop", [run.load for run in runs])

    def _stop_and_fetch(self, shell: Shell, run: LoadRun) -> None:
        stop_run(shell, run)
        if self._keep is not None:
            fetch_run(shell, run, self._keep)

    # ---- all of them

    def _start_spinning(self, names: Sequence[str]) -> None:
        loads = [one for one in self._named(names) if not one.command and _key(one) not in self._spinning]
        self._on_nodes(loads, lambda load: load.node, start_load)
        self._spinning.update(map(_key, loads))
        self._tell("load-start", loads)

    def _named(self, names: Sequence[str]) -> list[LoadPlan]:
        return [load for load in self._lab.plan.loads if load.name in names]

    def _tell(self, kind: str, loads: Sequence[LoadPlan]) -> None:
        if not loads:
            return
        now_ns = self._lab.watch.mark(kind)
        for load in loads:
            self._lab.journal.add(now_ns, kind, load=load.name, node=load.node)

    def _on_nodes(
        self, items: Sequence[_Item], node_of: Callable[[_Item], str], work: Callable[[Shell, _Item], None]
    ) -> None:
        """`work` on each item's node: all nodes at the same time, each one's in order."""
        of_node = by_node(items, node_of)

        def work_on(node: str) -> None:
            for item in of_node[node]:
                work(self._lab.shells[node], item)

        if of_node:
            self._lab.everywhere(list(of_node), work_on)


def _key(load: LoadPlan) -> tuple[str, str]:
    return (load.name, load.node)


def fetch_run(shell: Shell, run: LoadRun, keep: KeepOutput) -> None:
    """Bring home what a run left behind; a file that is not there is left out."""
    for name in OUTPUT_FILES:
        with suppress(CommandFailed):
            shell.fetch(f"{run.directory}/{name}", keep(run.load.node, run.load.name, run.number, name))


def fetch_unfinished(lab: Lab, keep: KeepOutput) -> None:
    """After something failed: end what still runs in guests that answer, and bring home what was not yet."""
    for load in lab.plan.loads:
        with suppress(LabError):
            _fetch_unfinished(lab, load, keep)


def _fetch_unfinished(lab: Lab, load: LoadPlan, keep: KeepOutput) -> None:
    started = [
        event.data["number"]
        for event in lab.journal.events
        if event.kind == "load-start" and (event.data["load"], event.data["node"]) == _key(load)
        if "number" in event.data
    ]
    for number in started:
        if not keep(load.node, load.name, number, "status").exists():
            run = LoadRun(load, number)
            stop_run(lab.shells[load.node], run)
            fetch_run(lab.shells[load.node], run, keep)
