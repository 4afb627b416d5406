# SPDX-License-Identifier: GPL-2.0-only
"""Which pCPUs a lab takes and where its vCPUs go."""

from __future__ import annotations

import pytest
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
