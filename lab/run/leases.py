# SPDX-License-Identifier: GPL-2.0-only
"""pCPUs are leased: two labs of one state directory never contend on the same ones by accident."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LeaseTaken
from lab.plan.labplan import LabPlan
from lab.plan.leasing import leased_pcpus
from lab.run.records import LabRecord, LabRecords
from lab.units import format_cpulist


@contextmanager
def leases_locked(state_dir: Path) -> Iterator[None]:
    """While this is held, no other process takes leases. The record is the lease: write it inside."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "leases.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_leases(records: LabRecords, plan: LabPlan) -> None:
    """Raise LeaseTaken if a live lab on the same host holds one of the plan's pCPUs."""
    wanted = set(leased_pcpus(plan))
    for record in records.all():
        shared = wanted & set(record.pcpus)
        if record.where == plan.host.where and shared and not record.is_orphan():
            raise _taken(record, shared)


def _taken(record: LabRecord, shared: set[int]) -> LeaseTaken:
    return LeaseTaken(
        f"pCPUs {format_cpulist(shared)} of {record.where} are leased to lab {record.name} ({record.lab_id}, "
        f"{record.state.value}, process {record.owner_pid})",
        f"`lab down {record.lab_id}` ends it; or give this topology other host.pcpus",
    )
