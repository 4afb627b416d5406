# SPDX-License-Identifier: GPL-2.0-only
"""The host hint: who sees the host's contention tells each guest which vCPUs to use.

Every guest gets as many vCPUs as it can make use of and its fair share allows, each on a pCPU of its own where that
can be. It is computed as if every guest followed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.govern.cores import Core, vcpus_of

#: A vCPU that wants to run for this part of the time is busy; a guest whose vCPUs all are can use one more.
BUSY_SHARE = 0.85
#: A guest that wants less than this part of one vCPU is idle: nothing is kept for it.
IDLE_SHARE = 0.1


@dataclass(frozen=True)
class HintGuest:
    """One guest as its host sees it.

    `pcpus` are where each vCPU may run; `busy` how much of the time each wanted to run (run + run delay, over
    elapsed time, 0..1). At least `min_vcpus` vCPUs stay; with `keep_first` always the first core.
    """

    cores: tuple[Core, ...]
    pcpus: Mapping[int, tuple[int, ...]]
    busy: Mapping[int, float]
    weight: int = 100
    min_vcpus: int = 1
    keep_first: bool = False


def plan_hint(guests: Mapping[str, HintGuest]) -> dict[str, frozenset[int]]:
    """The vCPUs that each guest should use; by its name, in the order of `guests`.

    An idle guest is told what it would get if it woke up, and takes nothing from the others meanwhile.
    """
    wanted = {name: wanted_vcpus(guest) for name, guest in guests.items()}
    awake = _Placing(guests, wanted).place()
    if all(wanted.values()):
        return awake
    ready = {name: many or len(guests[name].pcpus) for name, many in wanted.items()}
    woken = _Placing(guests, ready).place()
    return {name: awake[name] if wanted[name] else woken[name] for name in guests}


def wanted_vcpus(guest: HintGuest) -> int:
    """The fewest vCPUs that would not all be busy with what the guest does now; 0 for an idle guest.

    A guest whose vCPUs are all busy thus wants one more: what it could do with more than that, nobody knows yet.
    """
    busy = sum(min(1.0, share) for share in guest.busy.values())
    if busy < IDLE_SHARE:
        return 0
    return min(len(guest.pcpus), int(busy / BUSY_SHARE) + 1)


@dataclass(frozen=True)
class _Vcpu:
    """A vCPU of a guest, by the guest's name."""

    guest: str
    vcpu: int


class _Placing:
    """Cores given out one at a time, in turn, each vCPU on a pCPU of its own.

    Giving one out may move others to another pCPU, or a guest from one vCPU to another: an augmenting path, so
    that what fits is found.
    """

    def __init__(self, guests: Mapping[str, HintGuest], wanted: Mapping[str, int]) -> None:
        self._guests = guests
        self._wanted = dict(wanted)
        self._used: dict[str, set[int]] = {name: set() for name in guests}
        self._owner: dict[int, _Vcpu] = {}

    def place(self) -> dict[str, frozenset[int]]:
        awake = {name: guest for name, guest in self._guests.items() if self._wanted[name] > 0}
        for name, guest in awake.items():
            if guest.keep_first:
                self._add(name, guest.cores[:1])
        growing = set(awake)
        while growing:
            name = min(sorted(growing), key=self._turn)
            if len(self._used[name]) >= self._wanted[name] or not self._add(name, self._unused(name)):
                growing.discard(name)
        for name in awake:
            self._add_minimum(name)
        return {name: frozenset(used) for name, used in self._used.items()}

    def _turn(self, name: str) -> tuple[bool, float]:
        """Everybody has a first vCPU before anybody has a second; then whoever has least for its weight."""
        count = len(self._used[name])
        return count > 0, (count + 1) / self._guests[name].weight

    def _unused(self, name: str) -> list[Core]:
        used = self._used[name]
        return [core for core in self._guests[name].cores if not used.issuperset(core.vcpus)]

    def _add(self, name: str, cores: Sequence[Core]) -> bool:
        """Give `name` the first of `cores` that fits as a whole, rather one for which nobody has to move."""
        return any(self._add_core(name, core, move) for move in (False, True) for core in cores)

    def _add_core(self, name: str, core: Core, move: bool) -> bool:
        if len(core.vcpus) == 1:  # a search that fails has changed nothing
            return self._fit(_Vcpu(name, core.vcpus[0]), set(), move)
        before = dict(self._owner), {guest: set(used) for guest, used in self._used.items()}
        fits = all(self._fit(_Vcpu(name, vcpu), set(), move) for vcpu in core.vcpus)
        if not fits:
            self._owner, self._used = before
        return fits

    def _fit(self, one: _Vcpu, tried: set[int | _Vcpu], move: bool = True) -> bool:
        """Find a pCPU for a vCPU; with `move`, one whose owner can go elsewhere. Nothing is tried twice."""
        tried.add(one)
        pcpus = [pcpu for pcpu in self._guests[one.guest].pcpus[one.vcpu] if pcpu not in tried]
        for pcpu in sorted(pcpus, key=lambda pcpu: pcpu in self._owner):
            if pcpu in tried:
                continue
            tried.add(pcpu)
            owner = self._owner.get(pcpu)
            if owner is None or (move and self._move(owner, tried)):
                self._owner[pcpu] = one
                self._used[one.guest].add(one.vcpu)
                return True
        return False

    def _move(self, owner: _Vcpu, tried: set[int | _Vcpu]) -> bool:
        """Let a vCPU go to another pCPU, or its guest use another vCPU in its place."""
        if self._fit(owner, tried):
            return True
        for other in self._substitutes(owner):
            if other not in tried and self._fit(other, tried):
                self._used[owner.guest].discard(owner.vcpu)
                return True
        return False

    def _substitutes(self, owner: _Vcpu) -> Iterator[_Vcpu]:
        """Siblings stay together, so only a core of one vCPU is exchanged, for another such."""
        guest = self._guests[owner.guest]
        if guest.keep_first and owner.vcpu in guest.cores[0].vcpus:
            return
        if any(owner.vcpu in core.vcpus and len(core.vcpus) > 1 for core in guest.cores):
            return
        for core in self._unused(owner.guest):
            if len(core.vcpus) == 1:
                yield _Vcpu(owner.guest, core.vcpus[0])

    # ---- where pCPUs do not suffice

    def _add_minimum(self, name: str) -> None:
        """What a guest must have at least, on the pCPUs that carry least."""
        guest = self._guests[name]
        least = max(1, min(guest.min_vcpus, len(guest.pcpus)))
        if guest.keep_first:
            self._used[name].update(guest.cores[0].vcpus)
        while len(self._used[name]) < least:
            core = min(self._unused(name), key=lambda core: (self._crowd(guest, core), core.vcpus))
            self._used[name].update(core.vcpus)

    def _crowd(self, guest: HintGuest, core: Core) -> int:
        """How many used vCPUs of anybody share the pCPUs of a core, at best."""
        return sum(min(self._carried(pcpu) for pcpu in guest.pcpus[vcpu]) for vcpu in core.vcpus)

    def _carried(self, pcpu: int) -> int:
        return sum(
            pcpu in guest.pcpus[vcpu] for name, guest in self._guests.items() for vcpu in self._used[name]
        )


def folded_by_hint(guest: HintGuest, used: frozenset[int]) -> frozenset[int]:
    """The vCPUs that a guest should not use."""
    return vcpus_of(guest.cores) - used


def with_busy(guest: HintGuest, busy: Mapping[int, float]) -> HintGuest:
    """The same guest, otherwise busy."""
    return replace(guest, busy=dict(busy))


def busy_shares(
    before: Mapping[int, Sequence[int]], after: Mapping[int, Sequence[int]]
) -> dict[int, float] | None:
    """How much of the time each vCPU's thread wanted to run: (t_ns, run_ns, delay_ns) by vCPU, twice.

    None where no time passed, or a thread was not there before.
    """
    shares: dict[int, float] = {}
    for vcpu, (t_ns, run_ns, delay_ns) in after.items():
        if vcpu not in before or t_ns <= before[vcpu][0]:
            return None
        t0_ns, run0_ns, delay0_ns = before[vcpu]
        shares[vcpu] = min(1.0, max(0.0, (run_ns - run0_ns + delay_ns - delay0_ns) / (t_ns - t0_ns)))
    return shares
