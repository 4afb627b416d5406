# SPDX-License-Identifier: GPL-2.0-only
"""Names and addresses of a lab."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.plan.network import domain_name, node_address, node_mac, plan_network

lab_ids = st.text("0123456789abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=60)


@given(lab_ids, st.integers(1, 10_000))
def test_every_node_fits_beside_the_host(lab_id: str, nodes: int) -> None:
    network = plan_network(lab_id, nodes)
    subnet = IPv4Interface(f"{network.gateway}/{network.prefix}").network
    last = IPv4Address(node_address(network, nodes - 1))
    assert IPv4Address(network.gateway) < IPv4Address(node_address(network, 0)) <= last
    assert last in subnet and last != subnet.broadcast_address
    assert subnet.subnet_of(IPv4Network("10.0.0.0/8"))
    assert not subnet.overlaps(IPv4Network("10.0.0.0/16")), "QEMU's user-mode network lives there"


@given(lab_ids)
def test_bridge_fits_an_interface_name(lab_id: str) -> None:
    assert len(plan_network(lab_id, 1).bridge) <= 15


@pytest.mark.parametrize(("nodes", "prefix"), [(1, 24), (250, 24), (251, 23), (1000, 22), (10_000, 18)])
def test_prefix_grows_with_the_lab(nodes: int, prefix: int) -> None:
    assert plan_network("abc", nodes).prefix == prefix


def test_too_many_nodes() -> None:
    with pytest.raises(InputError, match="64001 nodes do not fit into one network; the most is 64000"):
        plan_network("abc", 64_001)


def test_names_carry_the_lab_id() -> None:
    assert plan_network("abc", 1).name == "lab-abc"
    assert domain_name("abc", "guest1") == "lab-abc-guest1"


def test_labs_differ() -> None:
    networks = [plan_network(f"lab{number}", 2) for number in range(50)]
    assert len({network.bridge for network in networks}) == 50
    assert len({network.gateway for network in networks}) >= 49


def test_macs_are_distinct_and_of_qemus_range() -> None:
    macs = {node_mac("abc", index) for index in range(10_000)}
    assert len(macs) == 10_000
    assert all(mac.startswith("52:54:00:") and len(mac) == 17 for mac in macs)
