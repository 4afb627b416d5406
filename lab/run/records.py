# SPDX-License-Identifier: GPL-2.0-only
"""What a lab owns, written down before it is made: cleanup after a crash works from this and nothing else.

STATE/labs/ID/lab.json     the record
STATE/labs/ID/...          keys, initramfs images, the plan: gone with the lab
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from lab.errors import InputError
from lab.plan.labplan import LabPlan
from lab.plan.leasing import leased_pcpus


class LabState(StrEnum):
    """`starting` and `running` belong to a process; `up` belongs to the user until `lab down`. `left` belongs to
    nobody: its host could not be reached when it was to be ended."""

    STARTING = "starting"
    RUNNING = "running"
    UP = "up"
    ENDING = "ending"
    LEFT = "left"


@dataclass(frozen=True)
class LabRecord:
    """One lab. `owner_start` is the owner's start time in clock ticks since boot (proc(5), stat field 22), with
    which a reused pid is told from the owner. `remote_dir` is its directory on the host, `hogs` are those that may
    run there (lab.run.hogs), and `traced` says that something may record traces there (lab.run.traces)."""

    lab_id: str
    name: str
    where: str
    state: LabState
    owner_pid: int
    owner_start: int
    boot_id: str
    domains: tuple[str, ...]
    network: str
    pcpus: tuple[int, ...]
    remote_dir: str
    hogs: tuple[str, ...] = ()
    traced: bool = False

    def is_orphan(self) -> bool:
        """Whether nobody will end this lab: its process is gone and the user was never given it."""
        if self.state is LabState.LEFT:
            return True
        if self.state is LabState.UP:
            return self.boot_id != read_boot_id()
        return not _is_alive(self.owner_pid, self.owner_start, self.boot_id)


class LabRecords:
    """All records under one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "labs"

    def directory(self, lab_id: str) -> Path:
        """The lab's own directory."""
        return self._root / lab_id

    def create(self, plan: LabPlan, remote_dir: str) -> LabRecord:
        """Write the record of a lab that this process is about to make."""
        record = LabRecord(
            lab_id=plan.lab_id,
            name=plan.name,
            where=plan.host.where,
            state=LabState.STARTING,
            owner_pid=os.getpid(),
            owner_start=_start_time(os.getpid()),
            boot_id=read_boot_id(),
            domains=tuple(node.domain for node in plan.nodes),
            network=plan.network.name,
            pcpus=leased_pcpus(plan),
            remote_dir=remote_dir,
            hogs=tuple(hog.name for hog in plan.hogs),
            traced=plan.trace is not None or any(phase.trace is not None for phase in plan.phases),
        )
        directory = self.directory(plan.lab_id)
        directory.mkdir(parents=True, mode=0o711)
        self._write(record)
        return record

    def update(self, record: LabRecord, state: LabState) -> LabRecord:
        """Write the record again with another state."""
        changed = replace(record, state=state)
        self._write(changed)
        return changed

    def remove(self, record: LabRecord) -> None:
        """Forget a lab of which nothing is left."""
        shutil.rmtree(self.directory(record.lab_id), ignore_errors=True)

    def all(self) -> tuple[LabRecord, ...]:
        """Every record, oldest first; damaged ones are left out, as they name nothing that could be ended."""
        paths = sorted(self._root.glob("*/lab.json"), key=lambda path: path.stat().st_mtime_ns)
        return tuple(record for record in map(_read_record, paths) if record is not None)

    def find(self, name: str | None) -> LabRecord:
        """The running lab called `name` (or with that id), or the only one. Raises InputError."""
        running = [record for record in self.all() if record.state is LabState.UP and not record.is_orphan()]
        chosen = [record for record in running if name in (None, record.name, record.lab_id)]
        if len(chosen) == 1:
            return chosen[0]
        raise InputError(_not_one(name, running, chosen), "`lab status` lists the labs that are up")

    def _write(self, record: LabRecord) -> None:
        path = self.directory(record.lab_id) / "lab.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(record), indent=2) + "\n")
        part.replace(path)


def new_lab_id(taken: Iterable[str] = ()) -> str:
    """A short random id that is not in `taken`."""
    used = set(taken)
    while (lab_id := secrets.token_hex(3)) in used:
        pass
    return lab_id


def read_boot_id() -> str:
    """The id of this boot of this machine: pids and start times mean nothing across boots."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class ProcessName:
    """A process of this machine, told from one that has its number later."""

    pid: int
    start: int
    boot_id: str

    def lives(self) -> bool:
        """Whether it still runs."""
        return _is_alive(self.pid, self.start, self.boot_id)


def this_process() -> ProcessName:
    """The name of this one."""
    return ProcessName(os.getpid(), _start_time(os.getpid()), read_boot_id())


def _start_time(pid: int) -> int:
    # The name in parentheses may itself hold spaces and parentheses.
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _is_alive(pid: int, start: int, boot_id: str) -> bool:
    try:
        return boot_id == read_boot_id() and _start_time(pid) == start
    except (OSError, ValueError, IndexError):
        return False


def _read_record(path: Path) -> LabRecord | None:
    try:
        fields = json.loads(path.read_text())
        lists = {key: tuple(fields[key]) for key in ("domains", "pcpus", "hogs") if key in fields}
        return LabRecord(**{**fields, **lists, "state": LabState(fields["state"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _not_one(name: str | None, running: list[LabRecord], chosen: list[LabRecord]) -> str:
    names = ", ".join(f"{record.name} ({record.lab_id})" for record in running) or "none"
    if not chosen:
        return f"no lab {name or ''} is up (up: {names})".replace("  ", " ")
    return f"several labs fit (up: {names}); say which"
