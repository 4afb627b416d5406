# SPDX-License-Identifier: GPL-2.0-only
"""Every kind of event that a probe on a host can send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.errors import GuestLost, HostLost, LabFailure
from lab.run.ports import AgentEvent
from lab.run.watch import Watch, tail_or_nothing


class ScriptedAgent:
    """Says what it was given, and answers marks unless told not to. Time passes only in `events`."""

    def __init__(self, *lines: str, answers: bool = True) -> None:
        self.lines = list(lines)
        self.sent: list[str] = []
        self.answers = answers
        self.now_s = 0.0
        self.state: list[str] = []

    def send(self, line: str) -> None:
        self.sent.append(line)
        if line.startswith("mark ") and self.answers:
            self.lines.append(f"marked {1000 + len(self.sent)} {line.removeprefix('mark ')}")

        if line == "state":
            self.lines += self.state

    def events(self, timeout_s: float) -> Iterator[AgentEvent]:
        while self.lines:
            kind, *words = self.lines.pop(0).split()
            yield AgentEvent(kind, tuple(words))
        self.now_s += timeout_s

    def stop(self) -> None:
        pass


def make_watch(agent: ScriptedAgent, outer: ScriptedAgent | None = None) -> Watch:
    return Watch(agent, lambda name: f"the console of {name}", outer, lambda: agent.now_s)


def test_ready():
    watch = make_watch(ScriptedAgent("hello 1", "ready guest1 5"))
    assert not watch.is_ready("guest1")
    watch.next_change(1)
    assert watch.is_ready("guest1")
    assert not watch.is_ready("guest2")


def test_next_change_takes_one_change_at_a_time():
    watch = make_watch(ScriptedAgent("ready guest1 5", "gone guest1 6"))
    watch.next_change(1)
    assert watch.death("guest1") is None
    watch.next_change(1)
    assert watch.death("guest1") == "died (its emulator ended)"


def test_a_death_ends_a_sleep_at_once():
    agent = ScriptedAgent("gone guest1 6")
    watch = make_watch(agent)
    with pytest.raises(GuestLost, match=r"(?s)guest1 died.*console ends:\nthe console of guest1"):
        watch.sleep(60)
    assert agent.now_s < 2


def test_a_panic_is_a_death_with_its_line():
    watch = make_watch(ScriptedAgent("console guest1 Kernel panic - not syncing: oops"))
    with pytest.raises(GuestLost, match=r"panicked \(Kernel panic - not syncing: oops\)"):
        watch.sleep(60)


def test_a_panic_is_not_forgotten_for_the_end_of_the_emulator():
    watch = make_watch(ScriptedAgent("console guest1 Kernel panic - x", "gone guest1 7"))
    watch.next_change(1)
    watch.next_change(1)
    assert "panicked" in str(watch.death("guest1"))


def test_other_findings_are_kept_and_kill_nobody():
    watch = make_watch(ScriptedAgent("console guest1 BUG: soft lockup"))
    watch.sleep(3)
    assert watch.findings == (("guest1", "BUG: soft lockup"),)


def test_an_error_of_the_probe_is_a_failure():
    with pytest.raises(LabFailure, match="samples cannot be written"):
        make_watch(ScriptedAgent("error - samples cannot be written: No space left")).sleep(1)


def test_a_sleep_lasts_as_long_as_asked():
    agent = ScriptedAgent()
    make_watch(agent).sleep(7.5)
    assert agent.now_s == pytest.approx(7.5)


def test_marks_are_told_apart_and_deaths_on_the_way_are_seen():
    agent = ScriptedAgent("marked 5 phase-start other", "gone guest2 6")
    watch = make_watch(agent)
    assert watch.mark("phase-start one") == 1001
    assert watch.death("guest2") is not None


def test_a_mark_without_an_answer_is_a_lost_host():
    with pytest.raises(HostLost, match="did not answer a mark"):
        make_watch(ScriptedAgent(answers=False)).mark("x")


def test_the_state_is_what_was_seen_last_and_deaths_on_the_way_are_seen():
    agent = ScriptedAgent("gone guest2 6")
    agent.state = ["state-vcpu guest1 0 100 60 40", "state-steal guest1 0 99 12 30", "state-end 200"]
    watch = make_watch(agent)
    seen = watch.state()
    assert (seen.t_ns, seen.guests["guest1"].threads[0].run_ns) == (200, 60)
    assert seen.guests["guest1"].steal.steal_ns == {0: 30}
    assert watch.death("guest2") is not None
    assert agent.sent == ["state"]


def test_a_state_without_an_end_is_a_lost_host():
    agent = ScriptedAgent()
    agent.state = ["state-vcpu guest1 0 100 60 40"]
    with pytest.raises(HostLost, match="did not tell its state"):
        make_watch(agent).state()


def test_a_guest_that_is_started_again_is_neither_ready_nor_dead():
    agent = ScriptedAgent("ready guest1 5", "gone guest1 6")
    watch = make_watch(agent)
    watch.sleep(0)
    watch.next_change(1)
    watch.next_change(1)
    watch.drop("guest1")
    assert watch.death("guest1") is None
    watch.guest("guest1", "pid", "socket", "stream", "console")
    assert not watch.is_ready("guest1")
    assert agent.sent == ["drop guest1", "guest guest1 pid socket stream console"]


def test_outside_of_the_host():
    outer = ScriptedAgent()
    watch = make_watch(ScriptedAgent(), outer)
    assert watch.mark_outside("x") == 1001
    assert make_watch(ScriptedAgent()).mark_outside("x") is None
    outer.lines.append("console host-vm WARNING: something")
    watch.check_outside()
    assert watch.findings == (("host-vm", "WARNING: something"),)


@pytest.mark.parametrize("line", ["gone host-vm 5", "console host-vm Kernel panic - not syncing: oops"])
def test_the_end_of_the_host_vm_is_noticed_outside(line):
    with pytest.raises(HostLost, match="the host VM died"):
        make_watch(ScriptedAgent(), ScriptedAgent(line)).sleep(5)


def test_an_outside_that_does_not_answer():
    with pytest.raises(HostLost, match="outside of the host VM"):
        make_watch(ScriptedAgent(), ScriptedAgent(answers=False)).mark_outside("x")


def test_tails():
    assert tail_or_nothing(lambda: "\n".join(map(str, range(100))), lines=2) == "98\n99"

    def lost() -> str:
        raise HostLost("gone")

    assert tail_or_nothing(lost) == ""
