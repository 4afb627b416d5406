# SPDX-License-Identifier: GPL-2.0-only
"""The match of the guest's clock with the host's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import MS, S, World

from lab.measure.clock import Exchange, match_clocks
from lab.measure.probestream import parse_stream
from lab.measure.windows import ClockMatch


def match(world: World, *exchanges: Exchange, between_ns: tuple[int, int] | None = None) -> ClockMatch:
    guest, host = parse_stream(world.guest_bytes()), parse_stream(world.host_bytes())
    found = match_clocks(world.node, guest, host, exchanges, between_ns)
    assert found is not None
    return found


@given(st.integers(-S // 2, 10**15), st.integers(0, 5 * MS))
def test_offset_is_an_upper_bound_off_by_the_quickest_delivery(offset_ns: int, delivery_ns: int) -> None:
    world = World(length_s=5, offset_ns=max(0, offset_ns), delivery_ns=delivery_ns)
    found = match(world)
    assert found.offset_ns == world.offset_ns + delivery_ns


def test_error_covers_the_true_offset_when_deliveries_are_prompt() -> None:
    found = match(World(delivery_ns=500_000))
    assert abs(found.offset_ns - World().offset_ns) <= found.error_ns < 20 * MS


def exchange(world: World, guest_ns: int, before_ns: int, after_ns: int) -> Exchange:
    host_ns = guest_ns + world.offset_ns
    return Exchange(host_ns - before_ns, guest_ns, guest_ns + MS, host_ns + MS + after_ns)


def test_an_exchange_bounds_the_offset_from_both_sides() -> None:
    world = World(delivery_ns=50 * MS)
    found = match(world, exchange(world, 3 * S, 300_000, 200_000))
    assert found.offset_ns == world.offset_ns + 200_000
    assert found.error_ns == 500_000


def test_a_contradicting_exchange_widens_the_error() -> None:
    world = World()
    plain = match(world)
    impossible = Exchange(world.offset_ns + 11 * S, 2 * S, 2 * S, world.offset_ns + 12 * S)
    assert match(world, impossible).error_ns >= plain.error_ns + 8 * S


def test_a_drifting_clock_is_matched_where_it_is_asked_for() -> None:
    world = World(rate=0.999, delivery_ns=0)
    whole = match(world)
    late_ns = world.to_host_ns(26 * S)
    near = match(world, between_ns=(late_ns - 2 * S, late_ns + 2 * S))
    true_offset_ns = late_ns - 26 * S
    assert abs(near.offset_ns - true_offset_ns) < 5 * MS
    assert abs(whole.offset_ns - true_offset_ns) > 20 * MS


def test_arrivals_of_an_earlier_guest_of_the_same_name_do_not_count() -> None:
    world = World()
    earlier = f"a {world.node} 1 0\na {world.node} 2 400\n".encode()
    head, rest = world.host_bytes().split(b"\n", 1)
    guest, host = parse_stream(world.guest_bytes()), parse_stream(head + b"\n" + earlier + rest)
    assert match_clocks(world.node, guest, host) == match(world)


@pytest.mark.parametrize("node", ["guest1", "stranger"])
def test_no_arrival_no_clock(node: str) -> None:
    guest = parse_stream(World().guest_bytes())
    assert match_clocks(node, guest, parse_stream(b"pvprobe 1 host interval_ms=100 boot_ns=1\n")) is None
