# SPDX-License-Identifier: GPL-2.0-only
"""A scenario's pCPUs on another host."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.plan.facts import HostFacts
from lab.plan.remap import PcpuNeeds, Refused, Remapping, remap_pcpus


def host(cores: list[tuple[int, ...]], numa: list[tuple[int, ...]] | None = None) -> HostFacts:
    pcpus = tuple(sorted(pcpu for core in cores for pcpu in core))
    nodes = (pcpus,) if numa is None else tuple(numa)
    return HostFacts("local", pcpus, 4096, emulated=False, cores=tuple(cores), numa_nodes=nodes)


def flat(count: int) -> HostFacts:
    """A host of which nothing but its pCPUs is known."""
    return HostFacts("nested", tuple(range(count)), 3072, emulated=True)


FOUR_CORES = host([(0,), (1,), (2,), (3,)])
TWO_THREADED = host([(0, 1), (2, 3)])
#: As Linux numbers siblings on most machines.
SPLIT_NUMBERS = host([(0, 4), (1, 5), (2, 6), (3, 7)], [(0, 1, 4, 5), (2, 3, 6, 7)])


def remap(
    pcpus: tuple[int, ...], there: HostFacts, here: HostFacts, smt: bool = False, numa: bool = False
) -> Remapping:
    found = remap_pcpus(PcpuNeeds(pcpus, smt, numa), there, here)
    assert isinstance(found, Remapping), found
    return found


def test_pcpus_that_are_there_keep_their_numbers():
    assert remap((0, 1), FOUR_CORES, FOUR_CORES) == Remapping({0: 0, 1: 1})
    assert remap((0, 1), flat(3), flat(2)).is_identity


def test_numbers_that_are_not_there_are_taken_elsewhere():
    found = remap((2, 3), FOUR_CORES, host([(0,), (1,)]))
    assert found == Remapping({2: 0, 3: 1})
    assert found.of([3, 2, 3]) == (0, 1)


def test_siblings_stay_siblings_and_cores_apart():
    assert remap((0, 1), TWO_THREADED, SPLIT_NUMBERS) == Remapping({0: 0, 1: 4})
    assert remap((0, 1), SPLIT_NUMBERS, TWO_THREADED) == Remapping({0: 0, 1: 2})
    both = remap((0, 1, 2, 3), TWO_THREADED, SPLIT_NUMBERS)
    assert both.pcpus == {0: 0, 1: 4, 2: 1, 3: 5} or both.pcpus == {0: 0, 1: 4, 2: 2, 3: 6}
    assert not both.lost


def test_numa_nodes_stay_apart():
    found = remap((0, 2), SPLIT_NUMBERS, host([(0,), (1,), (2,), (3,)], [(0, 1), (2, 3)]), numa=True)
    assert found == Remapping({0: 0, 2: 2})


def test_a_node_with_room_is_found_for_each_where_the_first_choice_of_one_is_the_only_one_of_another():
    """Node 0 would take the large node; node 1 fits nowhere else."""
    there = host([(0,), (1,), (2,), (3,)], [(0,), (1, 2, 3)])
    here = host([(0,), (1,), (2,), (3,), (4,)], [(0, 1, 2), (3, 4)])
    found = remap((0, 1, 2, 3), there, here, numa=True)
    assert found.pcpus[0] in (3, 4)
    assert {found.pcpus[pcpu] for pcpu in (1, 2, 3)} == {0, 1, 2}


def test_layout_that_cannot_be_kept_is_lost_and_told():
    found = remap((0, 1), TWO_THREADED, FOUR_CORES)
    assert found.pcpus == {0: 0, 1: 1}
    assert found.lost == ("the reporter's pCPUs 0 and 1 are siblings of one core, here 0 and 1 are not",)
    apart = remap((0, 1), FOUR_CORES, host([(0, 1)]))
    assert apart.lost == ("the reporter's pCPUs 0 and 1 are not siblings of one core, here 0 and 1 are",)


def test_cores_are_kept_apart_as_far_as_they_go():
    assert not remap((0, 1), FOUR_CORES, TWO_THREADED).lost
    assert remap((0, 1), FOUR_CORES, TWO_THREADED).pcpus == {0: 0, 1: 2}


def test_unknown_siblings_are_told_where_there_are_any():
    assert (
        remap((0, 1), flat(2), TWO_THREADED)
        .lost[0]
        .startswith("it is not known which pCPUs of the reporter's host are siblings of one core")
    )
    assert remap((0, 1), flat(2), flat(2)).lost == ()
    assert remap((0,), flat(2), TWO_THREADED).lost == ()


@pytest.mark.parametrize(
    ("needs", "there", "here", "why"),
    [
        (PcpuNeeds((0, 1, 2)), FOUR_CORES, flat(2), "needs 3 pCPUs, and there are 2 pCPUs (0-1)"),
        (PcpuNeeds((0, 1)), FOUR_CORES, flat(1), "needs 2 pCPUs, and there is 1 pCPU (0)"),
        (PcpuNeeds((0, 1), smt=True), TWO_THREADED, FOUR_CORES, "and this host has no cores with SMT"),
        (PcpuNeeds((0, 1, 2, 3), smt=True), TWO_THREADED, host([(0, 1), (2,), (3,)]), "has 1 core with SMT"),
        (PcpuNeeds((0, 2), numa=True), SPLIT_NUMBERS, FOUR_CORES, "on 2, and this host has 1 NUMA node"),
        (PcpuNeeds((0, 2), numa=True), SPLIT_NUMBERS, flat(4), "this host has no known NUMA nodes"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    needs: PcpuNeeds, there: HostFacts, here: HostFacts, why: str
):
    refused = remap_pcpus(needs, there, here)
    assert isinstance(refused, Refused)
    assert why in refused.reason


# ---- properties


@st.composite
def hosts(draw: st.DrawFn) -> HostFacts:
    """Any shape: cores of one to four siblings, on up to three NUMA nodes, numbered in any order."""
    shape = draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=3))
    numbers = iter(draw(st.permutations(range(sum(map(sum, shape))))))
    nodes = [[tuple(sorted(next(numbers) for _ in range(size))) for size in node] for node in shape]
    cores = sorted(core for node in nodes for core in node)
    return host(cores, sorted(tuple(sorted(pcpu for core in node for pcpu in core)) for node in nodes))


def together(groups: tuple[tuple[int, ...], ...], one: int, other: int) -> bool:
    return any({one, other} <= set(group) for group in groups)


def keeps(found: Remapping, there: HostFacts, here: HostFacts) -> bool:
    """Whether every two pCPUs share here what they share there, and nothing else."""
    return all(
        together(there_groups, one, other) == together(here_groups, found.pcpus[one], found.pcpus[other])
        for one, other in combinations(found.pcpus, 2)
        for there_groups, here_groups in ((there.cores, here.cores), (there.numa_nodes, here.numa_nodes))
    )


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[PcpuNeeds, HostFacts]:
    there = draw(hosts())
    used = draw(st.sets(st.sampled_from(there.pcpus), min_size=1))
    return PcpuNeeds(tuple(sorted(used)), draw(st.booleans()), draw(st.booleans())), there


@settings(deadline=None)
@given(scenarios(), hosts())
def test_each_has_a_pcpu_of_its_own_and_a_loss_is_always_told(
    scenario: tuple[PcpuNeeds, HostFacts], here: HostFacts
):
    needs, there = scenario
    found = remap_pcpus(needs, there, here)
    if isinstance(found, Refused):
        assert len(needs.pcpus) > len(here.pcpus) or needs.smt or needs.numa
        assert found.reason
        return
    assert set(found.pcpus) == set(needs.pcpus)
    assert len(set(found.pcpus.values())) == len(needs.pcpus)
    assert set(found.pcpus.values()) <= set(here.pcpus)
    assert keeps(found, there, here) == (not found.lost)
    for needed, groups_there, groups_here in (
        (needs.smt, there.cores, here.cores),
        (needs.numa, there.numa_nodes, here.numa_nodes),
    ):
        for one, other in combinations(needs.pcpus, 2):
            if needed:
                mapped = found.pcpus[one], found.pcpus[other]
                assert together(groups_there, one, other) == together(groups_here, *mapped)


@settings(deadline=None)
@given(scenarios())
def test_on_the_same_host_nothing_moves(scenario: tuple[PcpuNeeds, HostFacts]):
    needs, there = scenario
    assert remap_pcpus(needs, there, there) == Remapping({pcpu: pcpu for pcpu in needs.pcpus})


@settings(deadline=None)
@given(scenarios(), st.randoms(use_true_random=False))
def test_nothing_is_lost_where_the_same_host_is_numbered_otherwise(
    scenario: tuple[PcpuNeeds, HostFacts], random: object
):
    needs, there = scenario
    numbers = list(there.pcpus)
    random.shuffle(numbers)  # type: ignore[attr-defined]
    renamed = dict(zip(there.pcpus, numbers, strict=True))

    def again(groups: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
        return sorted(tuple(sorted(renamed[pcpu] for pcpu in group)) for group in groups)

    found = remap_pcpus(needs, there, host(again(there.cores), again(there.numa_nodes)))
    assert isinstance(found, Remapping)
    assert found.lost == ()
