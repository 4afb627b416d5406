# SPDX-License-Identifier: GPL-2.0-only
"""Changes of contention carried out: hogs and loads start and stop, weights, quotas, duties and pins change.

Weights and quotas are knobs, and journalled as such. A pin is libvirt's: it ends with the guest, so nothing has to
be brought back after a crash; a guest that is started anew is pinned as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from lab.plan.changes import change_settings
from lab.plan.labplan import ChangePlan, KnobSetting
from lab.run.hogs import Hogs
from lab.run.lab import Lab
from lab.units import format_cpulist

#: Starts or stops loads by name.
ChangeLoads = Callable[[Sequence[str]], None]


class Contention:
    """What contends in one lab besides what its guests were started with, for one user at a time."""

    def __init__(
        self,
        lab: Lab,
        hogs: Hogs,
        write: Callable[[Sequence[KnobSetting]], None],
        start: ChangeLoads,
        stop: ChangeLoads,
    ) -> None:
        self._lab = lab
        self._hogs = hogs
        self._write = write
        self._start = start
        self._stop = stop
        self._pins: dict[tuple[str, int], tuple[int, ...]] = {}

    def change(self, changes: Iterable[ChangePlan]) -> None:
        """Carry changes out in their order, those of one kind that follow each other together.

        Raises KnobError, Lost, or whatever libvirt refuses.
        """
        for kind, some in groupby(changes, key=lambda one: one.kind):
            alike = list(some)
            if kind == "start":
                self._start([one.target for one in alike])
            elif kind == "stop":
                self._stop([one.target for one in alike])
            elif kind == "duty":
                self._set_duties(alike)
            elif kind == "pin":
                self._pin({(one.target, vcpu): one.pcpus for one in alike for vcpu in one.vcpus})
            else:
                self._write([write for one in alike for write in change_settings(self._lab.plan, one)])

    def reset(self) -> None:
        """Hogs and pins as they were before the first phase; weights and quotas come back as knobs do."""
        self._hogs.reset()
        planned = {(node.name, vcpu.vcpu): vcpu.pcpus for node in self._lab.plan.nodes for vcpu in node.vcpus}
        self._pin({key: planned[key] for key, pcpus in self._pins.items() if pcpus != planned[key]})
        self._pins.clear()

    def nodes_started_anew(self, nodes: Sequence[str]) -> None:
        """Guests that were started anew are pinned as the plan has them: pin them again as they were."""
        self._pin({key: pcpus for key, pcpus in self._pins.items() if key[0] in nodes})

    def _set_duties(self, changes: Sequence[ChangePlan]) -> None:
        for change in changes:
            self._hogs.set_duty(change.target, change.value or 0.0)

    def _pin(self, pins: dict[tuple[str, int], tuple[int, ...]]) -> None:
        if not pins:
            return
        hypervisor = self._lab.host.hypervisor
        domains = {node.name: node.domain for node in self._lab.plan.nodes}
        before = {
            node: hypervisor.vcpu_pins(domains[node]) for node in dict.fromkeys(node for node, _ in pins)
        }
        for (node, vcpu), pcpus in pins.items():
            hypervisor.pin_vcpu(domains[node], vcpu, pcpus)
        now_ns = self._lab.watch.mark("pinned")
        for (node, vcpu), pcpus in pins.items():
            old = before[node].get(vcpu, ())
            self._lab.journal.add(
                now_ns,
                "contention",
                what="pins",
                node=node,
                vcpu=vcpu,
                old=format_cpulist(old),
                new=format_cpulist(pcpus),
            )
        self._pins.update(pins)
