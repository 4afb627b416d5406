# SPDX-License-Identifier: GPL-2.0-only
"""Which pCPUs a lab takes and where its vCPUs go."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import facts, topology

from lab.errors import HostError
from lab.plan.placement import Placement, plan_placement


def place(nodes: str, host: str = "", pcpus: int = 4) -> Placement:
    return plan_placement(topology(f"host: {{{host}}}\nnodes: [{nodes}]\n"), facts(pcpus))


@pytest.mark.parametrize(
    ("online", "host", "pcpus", "housekeeping"),
    [
        (1, "", (0,), (0,)),
        (2, "", (0, 1), (0, 1)),
        (3, "", (0, 1), (2,)),
        (4, "", (0, 1, 2), (3,)),
        (4, "pcpus: 0-1", (0, 1), (3,)),
        (4, "pcpus: 2-3", (2, 3), (1,)),
        (4, "pcpus: 0-3", (0, 1, 2, 3), (0, 1, 2, 3)),
        (2, "pcpus: 0", (0,), (0,)),
        (4, "housekeeping: 0", (1, 2, 3), (0,)),
        (4, "pcpus: 3, housekeeping: 0-1", (3,), (0, 1)),
    ],
)
def test_defaults(online: int, host: str, pcpus: tuple[int, ...], housekeeping: tuple[int, ...]) -> None:
    placed = place("{name: a}", host, online)
    assert (placed.pcpus, placed.housekeeping) == (pcpus, housekeeping)


def test_spread_wraps_and_starts_alike_in_every_guest() -> None:
    assert place("{name: a, count: 2, vcpus: 4}").pins == (((0,), (1,), (2,), (0,)),) * 2


def test_stacked_guests_take_turns() -> None:
    pins = place("{name: a, count: 3, vcpus: 2, pinning: stack}", "pcpus: 1-2").pins
    assert pins == (((1,), (1,)), ((2,), (2,)), ((1,), (1,)))


def test_a_spread_guest_between_takes_no_turn() -> None:
    pins = place("{name: a, pinning: stack}, {name: b}, {name: c, pinning: stack}").pins
    assert pins == (((0,),), ((0,),), ((1,),))


def test_lists_are_kept_and_win_over_default_housekeeping() -> None:
    placed = place('{name: a, vcpus: 2, pinning: ["0-1", 3]}')
    assert placed.pins == (((0, 1), (3,)),)
    assert (placed.pcpus, placed.housekeeping) == ((0, 1, 3), (2,))


@pytest.mark.parametrize(
    ("nodes", "host", "message"),
    [
        ("{name: a}", "pcpus: 0-5", "host.pcpus names pCPU 4-5"),
        ("{name: a}", "housekeeping: 7", "host.housekeeping names pCPU 7"),
        ("{name: a, pinning: [9]}", "", "a node's pinning names pCPU 9"),
        ("{name: a}", "housekeeping: 0-3", "nothing is left for vCPUs"),
    ],
)
def test_a_host_without_the_pcpus(nodes: str, host: str, message: str) -> None:
    with pytest.raises(HostError) as caught:
        place(nodes, host)
    assert message in caught.value.message
    assert "/lab/topologies/unit.yaml" in caught.value.message
    assert "has pCPUs 0-3" in caught.value.message
    assert caught.value.hint


def test_shifted_guests_begin_one_pcpu_further() -> None:
    pins = place("{name: a, count: 3, vcpus: 2, pinning: shift}, {name: b, vcpus: 2}", "pcpus: 0-2").pins
    assert pins == (((0,), (1,)), ((1,), (2,)), ((2,), (0,)), ((0,), (1,)))


CORES = ((0, 4), (1, 5), (2, 6), (3, 7))
NUMA = ((0, 1, 4, 5), (2, 3, 6, 7))


def place_on_cores(
    nodes: str,
    host: str = "pcpus: 0-7",
    cores: tuple[tuple[int, ...], ...] = CORES,
    numa: tuple[tuple[int, ...], ...] = NUMA,
) -> Placement:
    known = replace(facts(8), cores=cores, numa_nodes=numa)
    return plan_placement(topology(f"host: {{{host}}}\nnodes: [{nodes}]\n"), known)


def test_smt_stacked_guests_take_all_siblings_of_a_core_in_turn() -> None:
    pins = place_on_cores("{name: a, count: 2, vcpus: 3, pinning: smt-stack}").pins
    assert pins == (((0,), (4,), (0,)), ((1,), (5,), (1,)))


def test_only_whole_cores_are_taken_for_smt_stacking() -> None:
    pins = place_on_cores("{name: a, count: 3, vcpus: 2, pinning: smt-stack}", 'pcpus: "0,1,5,3,7"').pins
    assert pins == (((1,), (5,)), ((3,), (7,)), ((1,), (5,)))


SPLIT = (
    "{name: a, vcpus: 4, pinning: numa-split, "
    'numa: [{vcpus: "0,3", memory: 64MiB}, {vcpus: "1-2", memory: 64MiB}]}'
)


def test_numa_cells_go_to_numa_nodes() -> None:
    assert place_on_cores(SPLIT).pins == (((0,), (2,), (3,), (1,)),)
    assert place_on_cores(SPLIT, 'pcpus: "5,6"').pins == (((5,), (6,), (6,), (5,)),)


@pytest.mark.parametrize(
    ("nodes", "host", "cores", "numa", "message"),
    [
        ("{name: a, pinning: smt-stack}", "pcpus: 0-7", (), NUMA, "is not known which pCPUs of host local"),
        (
            "{name: a, pinning: smt-stack}",
            "pcpus: 0-1",
            ((0,), (1,)),
            NUMA,
            "has no SMT: each of its 2 cores",
        ),
        (
            "{name: a, pinning: smt-stack}",
            "pcpus: 0-1",
            CORES,
            NUMA,
            "no core of host local has all its siblings",
        ),
        (
            SPLIT,
            "pcpus: 0-7",
            CORES,
            (),
            "it has 2 NUMA cells, but host local has 0 NUMA nodes, as far as is",
        ),
        (SPLIT, "pcpus: 0-7", CORES, (tuple(range(8)),), "but host local has 1 NUMA nodes, 1 of them"),
        (SPLIT, "pcpus: 0-1", CORES, NUMA, "but host local has 2 NUMA nodes, 1 of them with contended pCPUs"),
    ],
)
def test_a_host_without_what_a_policy_needs(
    nodes: str,
    host: str,
    cores: tuple[tuple[int, ...], ...],
    numa: tuple[tuple[int, ...], ...],
    message: str,
) -> None:
    with pytest.raises(HostError) as caught:
        place_on_cores(nodes, host, cores, numa)
    assert message in caught.value.message and "node a: pinning" in caught.value.message
    assert caught.value.hint


@given(
    vcpus=st.integers(1, 9),
    count=st.integers(1, 7),
    policy=st.sampled_from(["spread", "shift", "stack", "smt-stack"]),
    pcpus=st.sampled_from(["0-7", "0,4", "1-3,5-7"]),
)
def test_every_policy_pins_each_vcpu_to_one_contended_pcpu(
    vcpus: int, count: int, policy: str, pcpus: str
) -> None:
    placed = place_on_cores(
        f"{{name: a, count: {count}, vcpus: {vcpus}, pinning: {policy}}}", f'pcpus: "{pcpus}"'
    )
    assert [len(pins) for pins in placed.pins] == [vcpus] * count
    assert all(len(pin) == 1 and pin[0] in placed.pcpus for pins in placed.pins for pin in pins)
    used = Counter(pin[0] for pins in placed.pins for pin in pins)
    if policy in ("shift", "spread"):  # nobody takes a pCPU twice while another has none of his
        assert all(len(set(pins)) == min(vcpus, len(placed.pcpus)) for pins in placed.pins)
    if policy == "shift" and count % len(placed.pcpus) == 0:  # a full turn loads all alike
        assert len(set(used.values())) == 1
    if policy == "smt-stack":
        assert all({pin[0] for pin in pins} <= set(core_of(pins[0][0])) for pins in placed.pins)


def core_of(pcpu: int) -> tuple[int, ...]:
    return next(core for core in CORES if pcpu in core)
