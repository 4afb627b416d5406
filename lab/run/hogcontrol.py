# SPDX-License-Identifier: GPL-2.0-only
"""Commands about hogs on a host, for whoever drives the lab (images/probe/pvspin.c says what they do)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import CommandFailed
from lab.plan.labplan import HogPlan, LabPlan
from lab.run.hogends import HOG_TIMEOUT_S, hog_directory
from lab.run.ports import Host

_SHOWN = re.compile(r"task (\S+) (\d+) tid=\d+ t_ns=(\d+) work=(\d+) run_ns=(\d+) .*")


@dataclass(frozen=True)
class HogWork:
    """What one thread of a hog had done at a moment of the host's clock."""

    hog: str
    thread: int
    t_ns: int
    work: int
    run_ns: int


@dataclass(frozen=True)
class HogControl:
    """The hogs of one lab, by its directory on its host. Every method raises as Shell.run."""

    host: Host
    plan: LabPlan
    remote_dir: str

    def launch(self, hog: HogPlan, duty_pct: float) -> None:
        """Start a hog; returns when it works. CommandFailed where it runs already."""
        self._pvspin(
            "run",
            *("--name", hog.name, "--tasks", str(len(hog.pcpus)), "--daemon"),
            *("--vcpus", ",".join(map(str, hog.pcpus)), "--one-each"),
            *("--duty", f"{duty_pct:g}", "--period", f"{hog.period_ns / 1e6:g}ms"),
            *(("--realtime",) if hog.realtime else ()),
            *("--beside", self.plan.nodes[0].domain, "--weight", str(hog.weight)),
            *("--group", f"lab-{self.plan.lab_id}-hog-{hog.name}"),
        )

    def stop(self, name: str) -> None:
        """End a hog. CommandFailed where it does not run."""
        self._pvspin("stop", "--name", name)

    def show(self) -> Sequence[HogWork]:
        """What every thread of every hog has done so far."""
        return parse_hog_work(self._pvspin("show"))

    def counters(self, name: str) -> str:
        """The file on the host in which a hog that runs counts its work, and has its duty."""
        return f"{hog_directory(self.remote_dir)}/{name}"

    def pid_file(self, name: str) -> str:
        """The file on the host that says which process a hog is."""
        return f"{self.counters(name)}.pid"

    def _pvspin(self, verb: str, *options: str) -> str:
        words = [self.host.program("pvspin"), verb, *options, "--load-dir", hog_directory(self.remote_dir)]
        return self.host.shell.run(shlex.join(words), timeout_s=HOG_TIMEOUT_S).stdout


def parse_hog_work(text: str) -> Sequence[HogWork]:
    """What `pvspin show` prints. Raises CommandFailed on anything else."""
    found = []
    for line in text.splitlines():
        match = _SHOWN.fullmatch(line)
        if match is None:
            raise CommandFailed(f"pvspin said {line!r}, expected what a task has done")
        found.append(HogWork(match[1], *map(int, match.groups()[1:])))
    return found
