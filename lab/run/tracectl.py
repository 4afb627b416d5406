# SPDX-License-Identifier: GPL-2.0-only
"""Commands about traces on one machine, a host or a guest (images/probe/pvtrace.c says what it does)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lab.errors import LabFailure
from lab.run.knobmachines import COMMAND_TIMEOUT_S
from lab.run.ports import Host, Shell
from lab.run.records import LabRecord
from lab.units import format_cpulist

#: In guests, whose init makes the directory above.
GUEST_TRACES_DIR = "/run/lab/traces"
#: What trace_start.sh ends with where the kernel has no tracepoints.
_NO_EVENTS = 3
#: What to write may take long where memory or a pCPU is short.
_STOP_TIMEOUT_S = 300
_HINT = (
    "its kernel needs CONFIG_ENABLE_DEFAULT_TRACERS (or any tracer) and root must be able to mount tracefs; "
    "`trace: off` goes without"
)


def traces_directory(remote_dir: str) -> str:
    """Below the lab's directory on its host."""
    return f"{remote_dir}/traces"


@dataclass(frozen=True)
class Recorder:
    """One recording of a trace on one machine. `limit_mib` is what is kept of it; `pids` a file of the threads that
    are traced, all where there is none."""

    program: str
    directory: str
    clock: str
    buffer_kib: int
    limit_mib: int
    cpus: tuple[int, ...]
    events: tuple[str, ...]
    pids: str | None = None

    @property
    def pid_file(self) -> str:
        """Says which process it is."""
        return f"{self.directory}/pid"

    @property
    def words(self) -> list[str]:
        """Its command."""
        return [
            self.program,
            self.directory,
            f"clock={self.clock}",
            f"buffer_kib={self.buffer_kib}",
            f"limit_mib={self.limit_mib}",
            f"cpus={format_cpulist(self.cpus)}",
            *([f"pids={self.pids}"] if self.pids else []),
            *self.events,
        ]

    @property
    def files(self) -> tuple[str, ...]:
        """What it leaves behind, by name: without `about` and `formats` the rest cannot be read."""
        return ("about", "formats", *(f"cpu{number}.raw" for number in self.cpus))


def start_recorder(shell: Shell, recorder: Recorder, where: str) -> None:
    """Returns when it records. Raises LabFailure where the kernel of `where` cannot trace."""
    done = shell.run(_scripted("trace_start.sh", recorder.words), timeout_s=COMMAND_TIMEOUT_S, check=False)
    if done.status == _NO_EVENTS:
        raise LabFailure(f"tracing {where}: its kernel has no tracepoint sched:sched_switch", _HINT)
    if done.status != 0:
        said = (done.stderr or done.stdout).strip() or f"pvtrace did not start (status {done.status})"
        raise LabFailure(f"tracing {where}: {said}", _HINT)


def stop_recorder(shell: Shell, directory: str, where: str) -> str:
    """Returns when it has written everything, with what is to be told of it besides.

    Raises LabFailure where it ended before it was told to, or could not write everything.
    """
    done = shell.run(_scripted("trace_stop.sh", [directory]), timeout_s=_STOP_TIMEOUT_S, check=False)
    said = "; ".join((done.stdout + done.stderr).split("\n")).strip("; ")
    if done.status != 0:
        raise LabFailure(
            f"tracing {where}: the recorder did not end as it should: {said or 'it said nothing'}"
        )
    return said and f"tracing {where}: {said}"


def write_threads(shell: Shell, directory: str, processes: Sequence[tuple[str, str, str]]) -> str:
    """Write whose threads there are on a host: `processes` are (guest or hog, name, pid file). Returns the file of
    their numbers."""
    words = [directory, *(word for one in processes for word in one)]
    shell.run(_scripted("trace_threads.sh", words), timeout_s=COMMAND_TIMEOUT_S)
    return f"{directory}/pids"


def end_recorders(host: Host, record: LabRecord) -> None:
    """End what records for a lab on its host, whoever started it, with what it made in the kernel."""
    if not record.traced:
        return
    root = shlex.quote(traces_directory(record.remote_dir))
    # The pattern stands for itself where nothing is, and a directory that is not there is left alone.
    host.shell.run(f"set -- {root}/*\n{_script('trace_stop.sh')}", timeout_s=_STOP_TIMEOUT_S, check=False)
    host.shell.run(shlex.join([host.program("pvtrace"), "clean"]), timeout_s=COMMAND_TIMEOUT_S)


def _scripted(name: str, words: Sequence[str]) -> str:
    """A script with its words, as one command: nothing has to be put in place first."""
    return f"{shlex.join(['set', '--', *words])}\n{_script(name)}"


@cache
def _script(name: str) -> str:
    return files("lab.run").joinpath(name).read_text()
