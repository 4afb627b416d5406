# SPDX-License-Identifier: GPL-2.0-only
"""Hogs: busy threads on the host, beside the guests of a lab (images/probe/pvspin.c).

They are the lab's: below its directory on the host stands of each which process it is, its record says that there
may be some, and whoever ends the lab ends them all by that directory (lab.run.hogends).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.errors import CommandFailed
from lab.plan.labplan import HogPlan
from lab.run.hogends import HOG_TIMEOUT_S, hog_directory
from lab.run.lab import Lab

_SHOWN = re.compile(r"task (\S+) (\d+) tid=\d+ t_ns=(\d+) work=(\d+) run_ns=(\d+) .*")


@dataclass(frozen=True)
class HogWork:
    """What one thread of a hog had done at a moment of the host's clock."""

    hog: str
    thread: int
    t_ns: int
    work: int
    run_ns: int


class Hogs:
    """The hogs of one lab, for one user at a time. Every method raises as Shell.run does.

    While a window is measured they are not started and stopped, which takes a while, but made to work and to rest.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._plans = {hog.name: hog for hog in lab.plan.hogs}
        self._duties = {hog.name: hog.duty_pct for hog in lab.plan.hogs}
        self._alive: set[str] = set()
        self._working: set[str] = set()

    def start(self, names: Iterable[str]) -> None:
        """Let hogs work that do not, with the duty that was set last; other names are left alone."""
        for name in names:
            if name not in self._plans or name in self._working:
                continue
            if name in self._alive:
                self._write_duty(name, self._duties[name])
            else:
                self._launch(self._plans[name], self._duties[name])
            self._working.add(name)
            pcpus = list(self._plans[name].pcpus)
            self._tell("hog-start", hog=name, pcpus=pcpus, duty_pct=self._duties[name])

    def stop(self, names: Iterable[str]) -> None:
        """End hogs that are there."""
        for name in names:
            if name in self._alive:
                self._pvspin("stop", "--name", name)
                self._alive.discard(name)
                self._lab.watch.disown(_owned(name))
                self._told_to_stop(name)

    def prepare(self, names: Iterable[str]) -> None:
        """Have hogs there that are going to work soon, resting."""
        for name in names:
            if name in self._plans and name not in self._alive:
                self._launch(self._plans[name], 0.0)

    def rest(self, names: Iterable[str]) -> None:
        """Let hogs rest that work."""
        for name in names:
            if name in self._working:
                self._write_duty(name, 0.0)
                self._told_to_stop(name)

    def end_resting(self) -> None:
        """End those that do not work."""
        self.stop(sorted(self._alive - self._working))

    def end_all(self) -> None:
        """End every one."""
        self.stop(sorted(self._alive))

    def set_duty(self, name: str, duty_pct: float) -> None:
        """Let each thread of a hog demand this share of its pCPU, now or when it works."""
        before, self._duties[name] = self._duties[name], duty_pct
        if name in self._working:
            self._write_duty(name, duty_pct)
        self._tell("contention", what="duty", hog=name, old=before, new=duty_pct)

    def reset(self) -> None:
        """None is there, and all have the duty that they began with."""
        self.end_all()
        for name, hog in self._plans.items():
            if self._duties[name] != hog.duty_pct:
                self.set_duty(name, hog.duty_pct)

    def tell_work(self, edge: str) -> None:
        """Write down what every thread has done so far; costs nothing where no hog is."""
        if self._alive:
            for one in parse_hog_work(self._pvspin("show")):
                self._lab.journal.add(
                    one.t_ns,
                    "hog-work",
                    edge=edge,
                    hog=one.hog,
                    thread=one.thread,
                    work=one.work,
                    run_ns=one.run_ns,
                )

    def _launch(self, hog: HogPlan, duty_pct: float) -> None:
        lab = self._lab
        self._pvspin(
            "run",
            *("--name", hog.name, "--tasks", str(len(hog.pcpus)), "--daemon"),
            *("--vcpus", ",".join(map(str, hog.pcpus)), "--one-each"),
            *("--duty", f"{duty_pct:g}", "--period", f"{hog.period_ns / 1e6:g}ms"),
            *("--beside", lab.plan.nodes[0].domain, "--weight", str(hog.weight)),
            *("--group", f"lab-{lab.plan.lab_id}-hog-{hog.name}"),
        )
        self._alive.add(hog.name)
        lab.watch.own(_owned(hog.name), f"{hog_directory(lab.record.remote_dir)}/{hog.name}.pid")

    def _write_duty(self, name: str, duty_pct: float) -> None:
        self._pvspin("duty", "--name", name, "--duty", f"{duty_pct:g}")

    def _told_to_stop(self, name: str) -> None:
        if name in self._working:
            self._working.discard(name)
            self._tell("hog-stop", hog=name)

    def _pvspin(self, verb: str, *options: str) -> str:
        host, directory = self._lab.host, hog_directory(self._lab.record.remote_dir)
        words = [host.program("pvspin"), verb, *options, "--load-dir", directory]
        return host.shell.run(shlex.join(words), timeout_s=HOG_TIMEOUT_S).stdout

    def _tell(self, kind: str, **data: object) -> None:
        self._lab.journal.add(self._lab.watch.mark(kind), kind, **data)


def _owned(name: str) -> str:
    return f"hog-{name}"


def parse_hog_work(text: str) -> Sequence[HogWork]:
    """What `pvspin show` prints. Raises CommandFailed on anything else."""
    found = []
    for line in text.splitlines():
        match = _SHOWN.fullmatch(line)
        if match is None:
            raise CommandFailed(f"pvspin said {line!r}, expected what a task has done")
        found.append(HogWork(match[1], *map(int, match.groups()[1:])))
    return found
