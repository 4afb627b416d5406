# SPDX-License-Identifier: GPL-2.0-only
"""A scenario's pCPUs on another host: which of its own take their places.

What shares a core there shares one here, what does not does not, and the same of NUMA nodes: that is what
contends, and how far memory is. Where no choice of pCPUs keeps all of it, as much is kept as can be, and what is
lost is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lab.plan.facts import HostFacts
from lab.units import format_cpulist

_Core = tuple[int, ...]
#: Cores of a NUMA node.
_Cores = list[_Core]


@dataclass(frozen=True)
class PcpuNeeds:
    """pCPUs by their numbers on the host where a scenario was recorded. `smt` and `numa` say that a guest is pinned
    by what shares a core or a NUMA node (lab.plan.pinning), so that the scenario makes no sense without it."""

    pcpus: tuple[int, ...]
    smt: bool = False
    numa: bool = False


@dataclass(frozen=True)
class Remapping:
    """`pcpus` maps numbers there to numbers here; `lost` says what of the hardware's layout is another here."""

    pcpus: Mapping[int, int]
    lost: tuple[str, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether every pCPU keeps its number."""
        return all(there == here for there, here in self.pcpus.items())

    def of(self, pcpus: Iterable[int]) -> tuple[int, ...]:
        """Those here that stand for `pcpus` there, sorted. KeyError for one that the scenario does not need."""
        return tuple(sorted({self.pcpus[pcpu] for pcpu in pcpus}))


@dataclass(frozen=True)
class Refused:
    """Why no pCPUs here can take the places of those there."""

    reason: str


def remap_pcpus(needs: PcpuNeeds, there: HostFacts, here: HostFacts) -> Remapping | Refused:
    """The pCPUs of `here` that stand for those of `there`; each keeps its number unless something is against it."""
    if len(needs.pcpus) > len(here.pcpus):
        return Refused(
            f"it needs {_count(len(needs.pcpus))}, and there {'is' if len(here.pcpus) == 1 else 'are'} "
            f"{_count(len(here.pcpus))} ({format_cpulist(here.pcpus) or 'none'})"
        )
    for smt, numa in ((True, True), (True, False), (False, True), (False, False)):
        if smt >= needs.smt and numa >= needs.numa:
            found = _place(_tree(needs.pcpus, there, smt, numa), _tree(here.pcpus, here, smt, numa), here)
            if found is not None:
                return Remapping(dict(sorted(found.items())), tuple(_lost(found, there, here)))
    return Refused(_why_not(needs, there, here))


def _count(pcpus: int) -> str:
    return f"{pcpus} pCPU" if pcpus == 1 else f"{pcpus} pCPUs"


def _tree(pcpus: Collection[int], facts: HostFacts, smt: bool, numa: bool) -> list[_Cores]:
    """`pcpus` by core by NUMA node, as far as that is to be kept; what is not known counts as no group at all."""
    nodes = _groups(pcpus, facts.numa_nodes) if numa and facts.numa_nodes else [tuple(pcpus)]
    return [_groups(node, facts.cores if smt else ()) for node in nodes]


def _groups(pcpus: Collection[int], known: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """`pcpus` in their groups; those of no known group each alone."""
    inside = [tuple(pcpu for pcpu in group if pcpu in pcpus) for group in known]
    grouped = {pcpu for group in inside for pcpu in group}
    return [*filter(None, inside), *((pcpu,) for pcpu in sorted(pcpus) if pcpu not in grouped)]


def _place(there: Sequence[_Cores], here: Sequence[_Cores], facts: HostFacts) -> dict[int, int] | None:
    """Each NUMA node of `there` on one of its own of `here`; None where that cannot be."""
    chosen = _match_nodes(there, here)
    if chosen is None:
        return None
    rank = {pcpu: place for core in facts.cores for place, pcpu in enumerate(core)}
    mapping: dict[int, int] = {}
    for cores, number in zip(there, chosen, strict=True):
        mapping |= _place_cores(cores, here[number], rank)
    return mapping


def _match_nodes(there: Sequence[_Cores], here: Sequence[_Cores]) -> list[int] | None:
    """For each node of `there` the number of one of `here` of its own that has room for it (by augmenting paths);
    those that hold the same numbers are tried first."""
    owner: dict[int, int] = {}

    def settle(node: int, seen: set[int]) -> bool:
        wanted = {pcpu for core in there[node] for pcpu in core}
        order = sorted(
            range(len(here)), key=lambda number: -len(wanted & {p for c in here[number] for p in c})
        )
        for number in order:
            if number in seen or not _has_room(there[node], here[number]):
                continue
            seen.add(number)
            if number not in owner or settle(owner[number], seen):
                owner[number] = node
                return True
        return False

    if not all(settle(node, set()) for node in range(len(there))):
        return None
    by_node = {node: number for number, node in owner.items()}
    return [by_node[node] for node in range(len(there))]


def _has_room(wanted: _Cores, cores: _Cores) -> bool:
    sizes, room = (sorted(map(len, some), reverse=True) for some in (wanted, cores))
    return len(sizes) <= len(room) and all(size <= has for size, has in zip(sizes, room, strict=False))


def _place_cores(wanted: _Cores, cores: _Cores, rank: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Each core on one of its own that has room for it: large ones first, which leaves room for every smaller one
    whichever is taken. The same numbers are preferred, then the smallest core, then first siblings."""
    free = list(cores)
    for core in sorted(wanted, key=lambda one: (-len(one), one)):

        def fitness(candidate: _Core, core: _Core = core) -> tuple[int, int, int, _Core]:
            same = len(set(core) & set(candidate))
            return -same, len(candidate), min(rank.get(pcpu, 0) for pcpu in candidate), candidate

        taken = min((one for one in free if len(one) >= len(core)), key=fitness)
        free.remove(taken)
        yield from _place_siblings(core, taken)


def _place_siblings(core: _Core, taken: _Core) -> Iterator[tuple[int, int]]:
    stays = [pcpu for pcpu in core if pcpu in taken]
    yield from ((pcpu, pcpu) for pcpu in stays)
    rest = (pcpu for pcpu in taken if pcpu not in stays)
    yield from zip((pcpu for pcpu in core if pcpu not in stays), rest, strict=False)


def _lost(mapping: Mapping[int, int], there: HostFacts, here: HostFacts) -> Iterator[str]:
    """What holds between two pCPUs there and not between those here, or the other way round: one pair of each."""
    relations = (
        ("siblings of one core", there.cores, here.cores),
        ("on one NUMA node", there.numa_nodes, here.numa_nodes),
    )
    for what, groups_there, groups_here in relations:
        if not groups_there or not groups_here:
            if len(mapping) > 1 and any(len(group) > 1 for group in (*groups_there, *groups_here)):
                whose = "the reporter's host" if not groups_there else "this host"
                yield f"it is not known which pCPUs of {whose} are {what}"
            continue
        for together in (True, False):
            pair = _first_lost(mapping, groups_there, groups_here, together)
            if pair is not None:
                yield _tell_lost(mapping, pair, what, together)


def _first_lost(
    mapping: Mapping[int, int],
    there: Sequence[tuple[int, ...]],
    here: Sequence[tuple[int, ...]],
    together: bool,
) -> tuple[int, int] | None:
    of_there, of_here = ({pcpu: group for group in groups for pcpu in group} for groups in (there, here))

    def are_together(groups: Mapping[int, tuple[int, ...]], one: int, other: int) -> bool:
        return one in groups and other in groups[one]

    for one, other in combinations(sorted(mapping), 2):
        were = are_together(of_there, one, other)
        if were is together and are_together(of_here, mapping[one], mapping[other]) is not were:
            return one, other
    return None


def _tell_lost(mapping: Mapping[int, int], pair: tuple[int, int], what: str, together: bool) -> str:
    stand_ins = " and ".join(str(mapping[pcpu]) for pcpu in pair)
    were, are = ("are", "are not") if together else ("are not", "are")
    return f"the reporter's pCPUs {pair[0]} and {pair[1]} {were} {what}, here {stand_ins} {are}"


def _why_not(needs: PcpuNeeds, there: HostFacts, here: HostFacts) -> str:
    reasons = []
    if needs.smt:
        groups = [core for core in _groups(needs.pcpus, there.cores) if len(core) > 1]
        has = sum(len(core) > 1 for core in here.cores)
        reasons.append(
            f"it pins guests onto the siblings of a core: {len(groups)} of its cores have more than one of its "
            f"pCPUs, and this host has {has or 'no'} core{'' if has == 1 else 's'} with SMT"
        )
    if needs.numa:
        nodes = _groups(needs.pcpus, there.numa_nodes)
        reasons.append(
            f"it splits guests over NUMA nodes: its pCPUs are on {len(nodes)}, and this host has "
            f"{len(here.numa_nodes) or 'no known'} NUMA node{'' if len(here.numa_nodes) == 1 else 's'}"
        )
    return "; ".join(reasons)
