# SPDX-License-Identifier: GPL-2.0-only
"""What an Agent promises: kept by the real probe in a process, and by the fake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakehost import FakeAgent
from fakeworld import FakeWorld

from lab.adapters.agent import ProcessAgent
from lab.errors import HostLost
from lab.measure.probestream import parse_stream
from lab.run.ports import Agent, AgentEvent


@dataclass(frozen=True)
class Subject:
    """An agent, the bytes of its stream so far, and a way to kill it."""

    agent: Agent
    read_stream: Callable[[], bytes]
    kill: Callable[[], None]

    def wait_for(self, kind: str, timeout_s: float = 10) -> AgentEvent:
        """The next event of a kind; others are passed over."""
        for event in self.agent.events(timeout_s):
            if event.kind == kind:
                return event
        raise AssertionError(f"no event {kind!r} within {timeout_s} s")


@pytest.fixture(params=["fake", "process"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param == "fake":
        world = FakeWorld()
        agent = FakeAgent(world, "/store/stream")
        world.agents.append(agent)
        yield Subject(
            agent, lambda: bytes(world.files["/store/stream"]), lambda: setattr(world, "host_dead", True)
        )
    else:
        stream = tmp_path / "stream"
        probe = str(request.getfixturevalue("pvprobe"))
        real = ProcessAgent([probe, "host", "--out", str(stream), "--interval", "100"], "the probe")
        yield Subject(real, stream.read_bytes, real._child.kill)
        real.stop()


def test_it_says_hello_with_its_clock(subject):
    event = next(iter(subject.agent.events(10)))
    assert event.kind == "hello"
    assert int(event.words[0]) > 0


def test_marks_are_answered_with_growing_times_and_stand_in_the_stream(subject):
    times = []
    for text in ("phase-start one", "phase-end one"):
        subject.agent.send(f"mark {text}")
        event = subject.wait_for("marked")
        assert event.text == f"{event.words[0]} {text}"
        times.append(int(event.words[0]))
    assert times == sorted(times)
    marks = parse_stream(subject.read_stream()).marks
    assert [(mark.t_ns, mark.text) for mark in marks] == [
        (times[0], "phase-start one"),
        (times[1], "phase-end one"),
    ]


def test_it_samples_as_time_passes(subject):
    list(subject.agent.events(0.55))
    subject.agent.send("mark end")
    subject.wait_for("marked")
    stream = parse_stream(subject.read_stream())
    assert stream.hello is not None
    assert (stream.hello.side, stream.hello.interval_ms) == ("host", 100)
    assert 3 <= len(stream.samples) <= 8
    assert [sample.seq for sample in stream.samples] == list(range(len(stream.samples)))


def test_it_tells_its_clock(subject):
    subject.agent.send("now")
    assert int(subject.wait_for("now").words[0]) > 0


def test_it_tells_what_it_saw_last_and_ends_its_answer(subject):
    subject.agent.send("state")
    event = subject.wait_for("state-end")
    assert len(event.words) == 1 and int(event.words[0]) > 0


def test_it_complains_of_what_it_does_not_know(subject):
    subject.agent.send("dance")
    assert "unknown command: dance" in subject.wait_for("error").text
    subject.agent.send("drop nobody")
    assert "nobody is not watched" in subject.wait_for("error").text


def test_waiting_ends_without_events(subject):
    list(subject.agent.events(0.3))
    assert list(subject.agent.events(0.05)) == []


def test_a_dead_agent_is_a_lost_host(subject):
    subject.wait_for("hello")
    subject.kill()
    with pytest.raises(HostLost):
        list(subject.agent.events(10))
    with pytest.raises(HostLost):
        list(subject.agent.events(0.1))
    with pytest.raises(HostLost):
        for _ in range(2):
            subject.agent.send("mark x")


def test_stopping_twice(subject):
    subject.agent.stop()
    subject.agent.stop()


def test_stopping_a_dead_agent(subject):
    subject.kill()
    subject.agent.stop()


# ---- the real one alone


def test_a_program_that_ends_at_once_is_lost_with_what_it_said():
    agent = ProcessAgent(["/bin/sh", "-c", "echo 'no such host' >&2; exit 255"], "probe on host")
    with pytest.raises(HostLost, match=r"probe on host.*status 255.*no such host"):
        list(agent.events(10))
    agent.stop()


def test_one_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr("lab.adapters.agent._STOP_TIMEOUT_S", 0.2)
    agent = ProcessAgent(["/bin/sh", "-c", "trap '' TERM HUP; exec sleep 60"], "stubborn")
    started = time.monotonic()
    agent.stop()
    assert time.monotonic() - started < 5
    assert agent._child.poll() is not None


def test_a_reader_that_never_comes_does_not_stop_it():
    agent = ProcessAgent(
        ["/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo event $i; i=$((i+1)); done"], "x"
    )
    assert agent._child.wait(20) == 0
    agent.stop()


def test_snapshots_are_answered_when_they_stand_in_the_stream(subject):
    for text in ("phase-start one", "phase-end one"):
        subject.agent.send(f"tasks {text}")
        event = subject.wait_for("tasks")
        assert event.text == f"{event.words[0]} {text}"
        last = parse_stream(subject.read_stream()).snapshots[-1]
        assert last.name == text
        assert last.t0_ns <= last.t1_ns <= int(event.words[0])
        assert {times.cpu for times in last.cpus} >= {0}
    hello = parse_stream(subject.read_stream()).hello
    assert hello is not None and hello.keys["tasks"] == "1"


def test_processes_can_be_owned_and_disowned(subject):
    for command in ("own hog /nonexistent.pid", "own hog /another.pid", "disown hog", "disown hog"):
        subject.agent.send(command)
    subject.agent.send("mark alive")
    assert subject.wait_for("marked").words[1:] == ("alive",), "none of it is an error"
