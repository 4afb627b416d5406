# SPDX-License-Identifier: GPL-2.0-only
"""Hogs: busy threads on the host, beside the guests of a lab (images/probe/pvspin.c).

They are the lab's: below its directory on the host stands of each which process it is, its record says that there
may be some, and whoever ends the lab ends them all by that directory (lab.run.hogends).
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.plan.labplan import HogPlan
from lab.run.hogcontrol import HogControl
from lab.run.lab import Lab


class Hogs:
    """The hogs of one lab, for one user at a time. Every method raises as Shell.run does.

    While a window is measured they are not started and stopped, which takes a while, but made to work and to rest.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._control = HogControl(lab.host, lab.plan, lab.record.remote_dir)
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
                self._control.stop(name)
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
            for one in self._control.show():
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
        self._control.launch(hog, duty_pct)
        self._alive.add(hog.name)
        self._lab.watch.own(_owned(hog.name), self._control.pid_file(hog.name))

    def _write_duty(self, name: str, duty_pct: float) -> None:
        """By the probe, which is there: a command would take longer than some schedules have."""
        self._lab.watch.set_duty(self._control.counters(name), duty_pct)

    def _told_to_stop(self, name: str) -> None:
        if name in self._working:
            self._working.discard(name)
            self._tell("hog-stop", hog=name)

    def _tell(self, kind: str, **data: object) -> None:
        self._lab.journal.add(self._lab.watch.mark(kind), kind, **data)


def _owned(name: str) -> str:
    return f"hog-{name}"
