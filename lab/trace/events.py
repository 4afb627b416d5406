# SPDX-License-Identifier: GPL-2.0-only
"""Which events of a trace are read, and which columns their fields become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.trace.fields import is_readable
from lab.trace.formats import EventFormat
from lab.trace.model import Marks, Migrations, Notes, Switches, Ticks, Wakeups
from lab.trace.notes import fields_in

#: Fields by the kernel's name of them. Each pair: a thread, and the field that has its name.
Named = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wanted:
    """An event that is read: the table it goes into, columns of that by fields, and fields that name threads.
    `said` is the template of an event that is told in words (lab.trace.notes)."""

    event: str
    table: type
    columns: Mapping[str, str]
    names: Named = ()
    said: str = ""

    def missing(self, event: EventFormat) -> list[str]:
        """Fields that `event` does not have as numbers, or not at all where they are only told."""
        untold = [name for name in fields_in(self.said) if name not in event.fields]
        return [name for name in self.columns.values() if not _is_number(event, name)] + untold

    def known_names(self, event: EventFormat) -> Named:
        """Those of `names` that `event` has."""
        return tuple(
            (tid, comm) for tid, comm in self.names if _is_number(event, tid) and comm in event.fields
        )


def _is_number(event: EventFormat, name: str) -> bool:
    field = event.fields.get(name)
    return field is not None and is_readable(field)


_COMM: Named = (("pid", "comm"),)
_WAKEUP = {"tid": "pid", "target_cpu": "target_cpu"}

WANTED: tuple[Wanted, ...] = (
    Wanted(
        "sched:sched_switch",
        Switches,
        {"prev_tid": "prev_pid", "prev_state": "prev_state", "next_tid": "next_pid"},
        (("prev_pid", "prev_comm"), ("next_pid", "next_comm")),
    ),
    Wanted("sched:sched_wakeup", Wakeups, _WAKEUP, _COMM),
    Wanted("sched:sched_wakeup_new", Wakeups, _WAKEUP, _COMM),
    Wanted(
        "sched:sched_migrate_task",
        Migrations,
        {"tid": "pid", "from_cpu": "orig_cpu", "to_cpu": "dest_cpu"},
        _COMM,
    ),
    Wanted(
        "irq_vectors:local_timer_entry", Ticks, {"tid": "common_pid", "preempt_depth": "common_preempt_count"}
    ),
    # The reference series' own: images/kernels/paravirt-cpus, include/trace/events/paravirt_cpus.h.
    Wanted(
        "paravirt_cpus:paravirt_cpus_mask", Notes, {}, said="avoids {mask:cpus}, asked for {request:cpus}"
    ),
    Wanted(
        "paravirt_cpus:paravirt_cpus_push",
        Notes,
        {},
        _COMM,
        said="pushes {comm}:{pid} from {orig_cpu} to {dest_cpu}",
    ),
    Wanted(
        "paravirt_cpus:paravirt_cpus_governor",
        Notes,
        {},
        said="steal governor: {decision}, core {core}, at {ratio} of {nr_cpus}",
    ),
    Wanted("ftrace:print", Marks, {"tid": "common_pid"}),
    Wanted("ftrace:raw_data", Marks, {"tid": "common_pid"}),
)
