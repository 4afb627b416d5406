# SPDX-License-Identifier: GPL-2.0-only
"""What is seen again and again, and when it becomes a decision."""

from __future__ import annotations

import pytest

from lab.govern.cores import make_cores
from lab.govern.hint import HintGuest
from lab.govern.loops import EFFECT_NS, HintLoop, StealLoop
from lab.govern.policy import StealRule
from lab.govern.seen import GuestSeen, Seen, StealSeen, ThreadSeen, parse_seen

MS = 1_000_000
S = 1_000_000_000
#: The host's clock is this far ahead of the guest's.
OFFSET_NS = 70 * S


def steal(guest_ms: int, each_ms: int, late_ms: int = 2, vcpus: int = 4) -> StealSeen:
    return StealSeen(
        OFFSET_NS + (guest_ms + late_ms) * MS, guest_ms * MS, dict.fromkeys(range(vcpus), each_ms * MS)
    )


def make_loop(folded: frozenset[int] = frozenset()) -> StealLoop:
    return StealLoop(StealRule(make_cores(4, 1), 20, 5), S, 100 * MS, folded)


def test_an_answer_becomes_data() -> None:
    lines = [
        ("state-vcpu", ("g", "0", "100", "60", "40")),
        ("state-vcpu", ("g", "1", "101", "61", "41")),
        ("state-steal", ("g", "0", "99", "12", "30")),
        ("state-vcpu", ("mute", "0", "102", "1", "2")),
    ]
    assert parse_seen(200, lines) == Seen(
        200,
        {
            "g": GuestSeen(
                {0: ThreadSeen(100, 60, 40), 1: ThreadSeen(101, 61, 41)}, StealSeen(99, 12, {0: 30})
            ),
            "mute": GuestSeen({0: ThreadSeen(102, 1, 2)}),
        },
    )
    assert parse_seen(5, []) == Seen(5, {})
    with pytest.raises(ValueError):
        parse_seen(5, [("state-vcpu", ("g", "zero", "1", "2", "3"))])


def test_a_decision_needs_a_whole_period() -> None:
    loop = make_loop()
    assert loop.see(steal(1000, 0)) is None
    assert loop.see(steal(1500, 250)) is None
    decided = loop.see(steal(1995, 500))
    assert decided is not None
    assert (decided.decision.action, sorted(decided.decision.folded)) == ("step-down", [3])
    assert decided.seen_pct == pytest.approx(50.25, abs=0.01)
    assert (decided.from_ns, decided.to_ns) == (1000 * MS, 1995 * MS)


def test_the_same_sample_again_decides_nothing() -> None:
    loop = make_loop()
    assert [loop.see(steal(1000, 0)) for _ in range(30)] == [None] * 30


def test_periods_follow_each_other_while_nothing_is_written() -> None:
    loop = make_loop()
    decided = [loop.see(steal(1000 + 500 * n, 50 * n)) for n in range(7)]
    assert [one.from_ns // MS for one in decided if one] == [1000, 2000, 3000]
    assert {one.decision.action for one in decided if one} == {"hold"}


def test_what_was_seen_before_a_write_took_effect_is_not_counted() -> None:
    loop = make_loop()
    loop.see(steal(1000, 0))
    assert loop.see(steal(2000, 900)) is not None
    loop.written(OFFSET_NS + 2300 * MS, frozenset({3}))
    assert loop.see(steal(2350, 1200)) is None
    assert loop.see(steal(2500, 1350)) is None  # the first after the effect: a new period begins
    assert loop.see(steal(3000, 1350)) is None
    decided = loop.see(steal(3500, 1350))
    assert decided is not None and decided.from_ns == 2500 * MS
    assert (decided.decision.action, decided.decision.folded) == ("step-up", frozenset())
    assert loop.folded == {3}


def test_one_late_delivery_does_not_make_an_old_sample_young() -> None:
    loop = make_loop()
    loop.see(steal(1000, 0))
    loop.written(OFFSET_NS + 2300 * MS, frozenset({3}))
    assert loop.see(steal(2200, 0, late_ms=900)) is None
    assert loop.see(steal(3250, 0)) is None, "the period would have begun before the write"
    assert loop.see(steal(4250, 0)) is not None


def test_a_guest_that_was_started_anew_begins_a_new_period() -> None:
    loop = make_loop()
    loop.see(steal(50_000, 9000))
    assert loop.see(steal(1000, 10)) is None
    decided = loop.see(steal(2000, 10))
    assert decided is not None and decided.seen_pct == 0


# ---- hint


def see(t_ms: int, **busy_ms: int) -> Seen:
    """Every vCPU of a guest has wanted to run for so long."""
    guests = {
        name: GuestSeen({vcpu: ThreadSeen(t_ms * MS + vcpu, ms * MS, 0) for vcpu in range(2)})
        for name, ms in busy_ms.items()
    }
    return Seen(t_ms * MS, guests)


def make_hint_loop(*governed: str) -> HintLoop:
    guest = HintGuest(make_cores(2, 1), {0: (0,), 1: (1,)}, {})
    return HintLoop({"a": guest, "b": guest}, governed, S, 100 * MS, {})


def test_a_hint_needs_a_whole_period_and_tells_only_who_is_governed() -> None:
    loop = make_hint_loop("a")
    assert loop.see(see(1000, a=0, b=0)) == {}
    assert loop.see(see(1500, a=500, b=500)) == {}
    decided = loop.see(see(2000, a=1000, b=1000))
    assert set(decided) == {"a"}
    assert decided["a"].decision.action == "step-down" and decided["a"].decision.folded == {1}
    assert decided["a"].seen_pct == pytest.approx(200)


def test_steps_and_moves_of_a_hint() -> None:
    loop = make_hint_loop("a", "b")
    loop.written(0, {"a": frozenset({0}), "b": frozenset({1})})
    loop.see(see(1000, a=0, b=0))
    decided = loop.see(see(2000, a=1000, b=1000))
    assert {name: one.decision.action for name, one in decided.items()} == {"a": "move", "b": "move"}
    loop.written(2_000 * MS, {"a": frozenset({1}), "b": frozenset({0})})
    loop.see(see(2000 + EFFECT_NS // MS, a=2000, b=2000))
    decided = loop.see(see(3100, a=3000, b=3000))
    assert {one.decision.action for one in decided.values()} == {"hold"}
    decided = loop.see(see(4100, a=4000, b=3000))
    assert decided["a"].decision.action == "step-up"


def test_before_anything_is_seen_no_hint() -> None:
    loop = make_hint_loop("a")
    assert loop.see(Seen(5, {})) == {}
    assert loop.see(see(1000, a=0, b=0)) == {}
