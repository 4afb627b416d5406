# SPDX-License-Identifier: GPL-2.0-only
"""Where in the picture things stand. Perfetto sorts what stands at the top by name, and the rest as it is told to.

lab NAME        phases, contention, host knobs, events
node NAME       knobs, loads, governor, watched files, folds by a mechanism, runs of a load
    vCPU N      what its thread did; below it its guest's tasks and marks, and steal as both sides count it
    locks       a track for each lock: who held it
pCPUs           pCPU N: who ran there; below it the share of others
"""

from __future__ import annotations

from lab.export.packets import Track
from lab.export.tracewriter import TraceWriter

#: How the tracks of a node, and of a vCPU, follow each other.
_OF_NODE = ("knobs", "loads", "governor", "watched files")
_FOLDS, _RUNS, _VCPUS = range(len(_OF_NODE), len(_OF_NODE) + 3)
_LOCKS = 100_000
_OF_LAB = ("phases", "contention", "host knobs", "events")
_TASKS, _MARKS, _GUEST_STEAL, _HOST_STEAL = range(4)
_PERCENT = "%"


class Branches:
    """The tracks of one lab's recording."""

    def __init__(self, writer: TraceWriter, lab: str) -> None:
        self._writer = writer
        self._lab = lab

    def lab(self, what: str) -> Track:
        """A track of the lab as a whole: one of phases, contention, host knobs, events."""
        lab = self._writer.track(None, f"lab {self._lab}")
        return self._writer.track(lab, what, rank=_OF_LAB.index(what))

    def pcpu(self, pcpu: int) -> Track:
        """Who ran on a pCPU."""
        pcpus = self._writer.track(None, "pCPUs")
        return self._writer.track(pcpus, f"pCPU {pcpu}", rank=pcpu)

    def foreign(self, pcpu: int) -> Track:
        """What others than the lab ran on a pCPU."""
        about = "What others than the lab ran here, over each measured window as a whole; told of nothing between."
        return self._writer.track(self.pcpu(pcpu), "foreign", unit=_PERCENT, about=about)

    def node(self, node: str, what: str) -> Track:
        """A track of a node: one of knobs, loads, governor, watched files."""
        return self._writer.track(self._node(node), what, rank=_OF_NODE.index(what))

    def folds(self, node: str, mechanism: str) -> Track:
        """How long folding vCPUs of a node took, by one mechanism: those by different ones may overlap."""
        return self._writer.track(self._node(node), f"folds by {mechanism}", rank=_FOLDS)

    def load_runs(self, node: str, load: str) -> Track:
        """The runs of one load with a command."""
        return self._writer.track(self._node(node), f"runs of {load}", rank=_RUNS)

    def lock(self, node: str, lock: str) -> Track:
        """Who held a lock in a guest."""
        locks = self._writer.track(self._node(node), "locks", rank=_LOCKS)
        about = "Holds that the load marked: those that took long."
        return self._writer.track(locks, f"lock {lock}", about=about)

    def vcpu(self, node: str, vcpu: int) -> Track:
        """What a vCPU's thread did on the host."""
        return self._writer.track(self._node(node), f"vCPU {vcpu}", rank=_VCPUS + vcpu)

    def tasks(self, node: str, vcpu: int) -> Track:
        """Which task of its guest a vCPU was to run."""
        about = "By the guest's own scheduler: it goes on being the current task while the vCPU is preempted."
        return self._writer.track(self.vcpu(node, vcpu), "tasks", rank=_TASKS, about=about)

    def marks(self, node: str, vcpu: int) -> Track:
        """What tasks on a vCPU wrote into the guest's trace."""
        return self._writer.track(self.vcpu(node, vcpu), "marks", rank=_MARKS)

    def notes(self, node: str, vcpu: int) -> Track:
        """What the kernel's tracepoints told on a vCPU."""
        return self._writer.track(self.vcpu(node, vcpu), "kernel", rank=_MARKS)

    def guest_steal(self, node: str, vcpu: int) -> Track:
        """Steal as the guest counts it."""
        about = "Growth of the steal column of /proc/stat, in per cent of elapsed time."
        return self._steal(node, vcpu, "steal, by the guest", _GUEST_STEAL, about)

    def host_steal(self, node: str, vcpu: int) -> Track:
        """The same as the host counts it."""
        about = "Growth of the run delay of the vCPU's thread (schedstat), in per cent of elapsed time."
        return self._steal(node, vcpu, "steal, by the host", _HOST_STEAL, about)

    def _steal(self, node: str, vcpu: int, name: str, rank: int, about: str) -> Track:
        return self._writer.track(self.vcpu(node, vcpu), name, rank=rank, unit=_PERCENT, about=about)

    def _node(self, node: str) -> Track:
        return self._writer.track(None, f"node {node}")
