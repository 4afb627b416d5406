# SPDX-License-Identifier: GPL-2.0-only
"""Names and addresses. All follow from the lab id alone, so that two labs do not meet and a lab's
leftovers can be recognised."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network

from lab.errors import InputError
from lab.plan.labplan import NetworkPlan

#: A /24 holds this many guests beside the network's own three addresses, with some to spare.
_GUESTS_IN_SLASH_24 = 250
#: The shortest prefix: with it every lab's network still starts above 10.0.0.0/16.
_SHORTEST_PREFIX = 16
_MAC_PREFIX = "52:54:00"


def domain_name(lab_id: str, node: str) -> str:
    """libvirt's name of `node`'s domain."""
    return f"lab-{lab_id}-{node}"


def plan_network(lab_id: str, nodes: int) -> NetworkPlan:
    """The lab's network for `nodes` guests; the host has its first address.

    10.0.0.0/16 is left out: QEMU's user-mode network lives there (10.0.2.0/24). A bridge's name may have 15
    characters (IFNAMSIZ), so it carries a digest of the lab id. Raises InputError above 65,000 nodes.
    """
    subnet = _subnet(lab_id, nodes)
    return NetworkPlan(
        name=f"lab-{lab_id}",
        bridge="lab" + _digest(lab_id, "bridge").hex()[:12],
        gateway=str(subnet.network_address + 1),
        prefix=subnet.prefixlen,
    )


def node_address(network: NetworkPlan, index: int) -> str:
    """The static address of node number `index` (from 0): the host's, and then upwards."""
    return str(IPv4Address(network.gateway) + 1 + index)


def node_mac(lab_id: str, index: int) -> str:
    """The MAC address of node number `index`, counted up from a hash: distinct within a lab by construction,
    where hashes of 1,000 nodes into 24 bits would meet in 3 labs out of 100."""
    number = (int.from_bytes(_digest(lab_id, "mac")[:3], "big") + index) % (1 << 24)
    return f"{_MAC_PREFIX}:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"


def _subnet(lab_id: str, nodes: int) -> IPv4Network:
    prefix = 24
    while nodes > (_GUESTS_IN_SLASH_24 << (24 - prefix)):
        prefix -= 1
    if prefix < _SHORTEST_PREFIX:
        raise InputError(f"{nodes} nodes do not fit into one network; the most is {_GUESTS_IN_SLASH_24 << 8}")
    second_and_third = 256 + int.from_bytes(_digest(lab_id, "subnet")[:4], "big") % (65536 - 256)
    return IPv4Network((10 << 24 | second_and_third << 8, prefix), strict=False)


def _digest(lab_id: str, what: str) -> bytes:
    return hashlib.sha256(f"{what}:{lab_id}".encode()).digest()
