# SPDX-License-Identifier: GPL-2.0-only
"""Weighted max-min fair shares of pCPUs among claims with arbitrary pin sets.

A claim runs on at most one pCPU at a time, on any of its own. Time can be split in any proportion: by
Birkhoff's theorem every division that gives no claim more than 1 and no pCPU more than 1 has a schedule in
which no claim runs in two places at once. The feasible divisions form a polymatroid, for which the weighted
max-min fair point is unique, is work-conserving, and is found by Fujishige's and Groenevelt's decomposition:
share as if all pCPUs were one pool; where a maximum flow shows that some claims cannot reach that much, those
claims fill exactly the pCPUs they reach, and both sides of the cut are solved alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.plan.flow import maximum_flow

#: Flow that may be missing from rounding before a cut counts as real.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Claim:
    """What one vCPU wants: at most `limit` (0..1) of a pCPU out of `pcpus`, by its `weight` (> 0)."""

    pcpus: frozenset[int]
    weight: float
    limit: float


def fair_shares(claims: Sequence[Claim]) -> tuple[float, ...]:
    """The share of a pCPU (0..1) that each claim gets. Raises ValueError where a claim cannot be one."""
    counts: dict[Claim, int] = defaultdict(int)
    for claim in claims:
        counts[claim] += 1
    for claim in counts:
        if not claim.pcpus or claim.weight <= 0 or not 0 <= claim.limit <= 1:
            raise ValueError(f"{claim}: needs a pCPU, a weight above 0 and a limit within 0..1")
    shares = {claim: 0.0 for claim in counts if claim.limit == 0}
    for part in _components([claim for claim in counts if claim.limit > 0]):
        shares |= _solve_component({claim: counts[claim] for claim in part})
    return tuple(shares[claim] for claim in claims)


def water_level(claims: Mapping[Claim, int], capacity: float) -> float:
    """The level L at which `sum(count * min(limit, L * weight))` is `capacity`; inf if it never is."""
    ordered = sorted(claims.items(), key=lambda item: item[0].limit / item[0].weight)
    weight_left = sum(count * claim.weight for claim, count in ordered)
    capacity_left = capacity
    for claim, count in ordered:
        if capacity_left * claim.weight < claim.limit * weight_left:
            return capacity_left / weight_left
        capacity_left -= count * claim.limit
        weight_left -= count * claim.weight
    return float("inf")


def _components(claims: Iterable[Claim]) -> Iterable[list[Claim]]:
    """Claims grouped so that claims in different groups can never meet on a pCPU (union-find over pCPUs)."""
    parent: dict[int, int] = {}

    def root(pcpu: int) -> int:
        while parent.setdefault(pcpu, pcpu) != pcpu:
            parent[pcpu] = parent[parent[pcpu]]
            pcpu = parent[pcpu]
        return pcpu

    by_set: dict[frozenset[int], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_set[claim.pcpus].append(claim)
    for pcpus in by_set:
        first, *others = map(root, pcpus)
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[int, list[Claim]] = defaultdict(list)
    for pcpus, members in by_set.items():
        groups[root(next(iter(pcpus)))].extend(members)
    return groups.values()


def _solve_component(claims: dict[Claim, int]) -> dict[Claim, float]:
    """Shares of claims that may meet. One common pin set is a pool: it has no bottleneck inside."""
    pin_sets = {claim.pcpus for claim in claims}
    if len(pin_sets) == 1:
        return _fill(claims, len(next(iter(pin_sets))))
    return _decompose({pcpus: pcpus for pcpus in pin_sets}, claims)


def _fill(claims: Mapping[Claim, int], capacity: float) -> dict[Claim, float]:
    level = water_level(claims, capacity)
    return {claim: min(claim.limit, level * claim.weight) for claim in claims}


def _decompose(reach: dict[frozenset[int], frozenset[int]], claims: dict[Claim, int]) -> dict[Claim, float]:
    """Split at bottlenecks until every part is fair as a pool.

    `reach` says which pCPUs are still open to each pin set: those that a tighter set fills are gone.
    """
    shares: dict[Claim, float] = {}
    work = [reach]
    while work:
        part = work.pop()
        members = {claim: count for claim, count in claims.items() if claim.pcpus in part}
        passing, _ = _flow(part, {claim: claim.limit for claim in members}, members)
        wanted = _fill(members, passing)
        passed, cut = _flow(part, wanted, members)
        if passed >= passing - TOLERANCE * len(members) or not 0 < len(cut) < len(part):
            shares |= wanted
            continue
        filled = frozenset().union(*(part[pins] for pins in cut))
        work.append({pins: part[pins] for pins in cut})
        work.append({pins: open_ - filled for pins, open_ in part.items() if pins not in cut})
    return shares


def _flow(
    part: Mapping[frozenset[int], frozenset[int]], wanted: Mapping[Claim, float], counts: Mapping[Claim, int]
) -> tuple[float, frozenset[frozenset[int]]]:
    """How much of `wanted` passes through the pCPUs of `part`, and the pin sets that want too much."""
    supply = dict.fromkeys(part, 0.0)
    for claim, amount in wanted.items():
        supply[claim.pcpus] += amount * counts[claim]
    places = _alike_pcpus(part)
    order = list(part)
    reach: list[list[int]] = [[] for _ in order]
    for place, users in enumerate(places):
        for left in users:
            reach[left].append(place)
    sizes = [float(size) for size in places.values()]
    total, cut = maximum_flow([supply[pins] for pins in order], reach, sizes)
    return total, frozenset(order[left] for left in cut)


def _alike_pcpus(part: Mapping[frozenset[int], frozenset[int]]) -> dict[frozenset[int], int]:
    """pCPUs counted by the pin sets (numbered in order) that reach them: equal ones are one place."""
    users: dict[int, list[int]] = defaultdict(list)
    for number, open_ in enumerate(part.values()):
        for pcpu in open_:
            users[pcpu].append(number)
    places: dict[frozenset[int], int] = defaultdict(int)
    for numbers in users.values():
        places[frozenset(numbers)] += 1
    return places
