# SPDX-License-Identifier: GPL-2.0-only
"""Looks and events become rows: rates, guests that vanish, fall silent, are started anew."""

from __future__ import annotations

import pytest
from faketop import SECOND_NS, FakeFollower, looks, make_top_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.live.feed import LookParser
from lab.live.knobrows import written_knobs
from lab.live.rows import load_rows, pcpu_rows, vcpu_rows
from lab.live.state import KEPT_HAPPENINGS, KEPT_LINES, Happening, LiveState
from lab.live.step import Restarted, Trouble, advance
from lab.recording import Event


class Watching:
    """A state that follows a fake follower."""

    def __init__(self, **about: float) -> None:
        self.follower = FakeFollower(make_top_plan(), **about)  # type: ignore[arg-type]
        self._parser = LookParser()
        looks(self.follower.hello(), self._parser)
        self.state = LiveState(self.follower.plan)

    def seconds(self, count: int) -> LiveState:
        for _ in range(count):
            for look in looks(self.follower.speak(), self._parser):
                self.state = advance(self.state, look)
        return self.state

    def greet(self, boot_ns: int, node: str) -> None:
        """A new probe speaks in a guest."""
        self._parser.take(f"h {node} pvprobe 1 guest interval_ms=100 boot_ns={boot_ns} user_hz=100")


def test_nothing_is_known_before_two_samples() -> None:
    watching = Watching()
    for state in (watching.state, watching.seconds(1)):
        assert all(row.runs_pct is None and row.steal_pct is None for row in vcpu_rows(state))
        assert all(row.busy_pct is None and row.others_pct is None for row in pcpu_rows(state))
        assert all(row.per_s is None for row in load_rows(state))


@pytest.mark.parametrize("runs", [0.0, 0.25, 0.5, 1.0])
def test_rates_are_what_happened_per_second(runs: float) -> None:
    state = Watching(runs=runs, preempted=33).seconds(4)
    for row in vcpu_rows(state):
        assert row.state == "up"
        assert row.runs_pct == pytest.approx(100 * runs)
        assert row.host_steal_pct == pytest.approx(100 - 100 * runs)
        assert row.guest_steal_pct == pytest.approx(100 - 100 * runs)
        assert row.preempted_per_s == pytest.approx(33)
    for pcpu in pcpu_rows(state):
        assert pcpu.busy_pct == 100
        assert [(one.node, one.alone) for one in pcpu.shares] == [("guest1", True), ("guest2", True)]
        assert pcpu.others_pct == pytest.approx(max(0, 100 - 200 * runs))
    assert [(one.load, one.node, one.tasks, one.per_s) for one in load_rows(state)] == [
        ("busy", "guest1", 2, 2000),
        ("busy", "guest2", 2, 2000),
    ]


def test_a_guest_that_is_gone_has_no_figures_and_the_others_go_on() -> None:
    watching = Watching()
    watching.seconds(4)
    watching.follower.gone = {"guest2"}
    state = watching.seconds(2)
    rows = vcpu_rows(state)
    assert [row.state for row in rows] == ["up", "up", "gone", "gone"]
    assert rows[2].steal_pct is None and rows[0].steal_pct == pytest.approx(50)
    assert [one.tasks for one in load_rows(state)] == [2, 0]
    assert any("guest2 is gone" in one.text and one.tone == "bad" for one in state.happenings)


def test_a_guest_that_falls_silent_keeps_its_hosts_side() -> None:
    watching = Watching()
    watching.seconds(4)
    watching.follower.silent = {"guest1"}
    state = watching.seconds(7)
    row = vcpu_rows(state)[0]
    assert row.state == "silent" and row.guest_steal_pct is None
    assert row.host_steal_pct == pytest.approx(50) and row.steal_pct == pytest.approx(50)


def test_a_guest_that_is_started_anew_begins_anew() -> None:
    watching = Watching()
    watching.seconds(4)
    watching.state = advance(watching.state, Restarted("guest1"))
    assert vcpu_rows(watching.state)[0].state == "silent"
    watching.greet(99, "guest1")
    state = watching.seconds(1)
    assert vcpu_rows(state)[0].guest_steal_pct is None
    assert vcpu_rows(watching.seconds(2))[0].guest_steal_pct == pytest.approx(50)


def test_an_offline_vcpu() -> None:
    watching = Watching()
    watching.follower.offline = {("guest1", 1)}
    rows = vcpu_rows(watching.seconds(3))
    assert [row.state for row in rows] == ["up", "offline", "up", "up"]


def test_phases_and_loads_are_told() -> None:
    watching = Watching()
    watching.follower.loads = set()
    watching.seconds(2)
    watching.follower.marks = ["phase-begin a", "phase-start a", "kvm-stats"]
    watching.follower.loads = {"busy"}
    state = watching.seconds(1)
    assert state.phase is not None and (state.phase.name, state.phase.stage) == ("a", "measured")
    watching.follower.marks = ["phase-end a"]
    watching.follower.loads = set()
    state = watching.seconds(1)
    assert state.phase is not None and state.phase.stage == "over"
    assert [one.text for one in state.happenings] == [
        "phase a begins",
        "phase a is measured",
        "load busy runs on guest1",
        "load busy runs on guest2",
        "phase a has been measured",
        "load busy has ended on guest1",
        "load busy has ended on guest2",
    ]


def test_events_of_a_run_are_told_and_move_vcpus() -> None:
    watching = Watching()
    watching.seconds(2)
    pins = {"what": "pins", "node": "guest1", "vcpu": 1, "old": "1", "new": "0-1"}
    watching.state = advance(watching.state, Event(2 * SECOND_NS, "contention", pins))
    state = watching.seconds(2)
    assert vcpu_rows(state)[1].pcpus == (0, 1)
    shares = pcpu_rows(state)[0].shares
    assert [(one.node, one.vcpu, one.alone) for one in shares] == [
        ("guest1", 0, True),
        ("guest1", 1, False),
        ("guest2", 0, True),
    ]
    assert pcpu_rows(state)[0].others_pct is None
    assert any(one.text.startswith("pins guest1") for one in state.happenings)


def test_reports_of_a_kernel_are_told_as_they_come() -> None:
    watching = Watching()
    watching.seconds(1)
    watching.follower.console = {
        "guest1": ["[    1.500000] all well", "[    2.000000] kernel BUG at mm/slub.c:1!"]
    }
    happenings = watching.seconds(1).happenings
    assert [one.tone for one in happenings] == ["bad"]
    assert happenings[0].text.startswith("guest1: ") and "kernel BUG at mm/slub.c:1!" in happenings[0].text


def test_trouble_is_told_once_and_so_is_its_end() -> None:
    state = LiveState(make_top_plan())
    for text in ("", "gone", "gone", "", ""):
        state = advance(state, Trouble(text))
    assert [one.text for one in state.happenings] == ["gone", "the lab is seen again"]
    assert state.trouble == ""


def test_what_happened_before_the_first_look_is_not_hours_ago() -> None:
    watching = Watching()
    watching.state = advance(watching.state, Happening(0, "early"))
    assert watching.seconds(1).happenings[0].t_ns == watching.state.t_ns


def test_what_is_kept_is_bounded() -> None:
    watching = Watching()
    for number in range(KEPT_HAPPENINGS + 50):
        watching.state = advance(watching.state, Happening(number + 1, str(number)))
    watching.follower.console = {"guest1": [str(one) for one in range(KEPT_LINES + 7)]}
    state = watching.seconds(2)
    assert len(state.happenings) == KEPT_HAPPENINGS and state.happenings[-1].text == str(KEPT_HAPPENINGS + 49)
    assert len(state.consoles["guest1"]) == KEPT_LINES and state.console_totals["guest1"] == KEPT_LINES + 7


def test_knobs_that_a_run_wrote() -> None:
    about = {"node": "guest1", "knob": "avoid_cpus", "old": ""}
    events = [
        Event(1, "knob", {**about, "new": "1"}),
        Event(2, "knob", {**about, "node": "guest2", "new": "0"}),
        Event(3, "knob-restored", {**about, "new": ""}),
        Event(4, "load-start", {"node": "guest1", "load": "busy"}),
    ]
    assert [(one.name, one.value) for one in written_knobs(events, "guest1")] == [("avoid_cpus", "")]
    assert [(one.name, one.value) for one in written_knobs(events, "guest2")] == [("avoid_cpus", "0")]
    (row,) = written_knobs([*events, Event(5, "restart", {"node": "guest1"})], "guest1")
    assert row.value is None and "started anew" in row.why


_STEPS = st.lists(
    st.sampled_from(["second", "gone", "back", "silent", "anew", "trouble", "load", "offline"]), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_whatever_happens_shares_are_shares(steps: list[str]) -> None:
    watching = Watching()
    follower = watching.follower
    for step in steps:
        match step:
            case "gone":
                follower.gone = {"guest1"}
            case "back":
                follower.gone, follower.silent = set(), set()
            case "silent":
                follower.silent = {"guest2"}
            case "anew":
                watching.state = advance(watching.state, Restarted("guest1"))
            case "trouble":
                watching.state = advance(watching.state, Trouble("lost"))
            case "load":
                follower.loads ^= {"busy"}
            case "offline":
                follower.offline ^= {("guest2", 0)}
        state = watching.seconds(1)
        for row in vcpu_rows(state):
            for pct in (row.runs_pct, row.host_steal_pct, row.guest_steal_pct):
                assert pct is None or 0 <= pct <= 100.001
        assert all(row.busy_pct is None or 0 <= row.busy_pct <= 100 for row in pcpu_rows(state))
