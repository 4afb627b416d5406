# SPDX-License-Identifier: GPL-2.0-only
"""Governors over a fake host: what they see, fold, take back and write down."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakeworld import FakeWorld
from run.bench import Bench

from lab.errors import GuestLost
from lab.recording import Recording
from lab.units import parse_cpulist

MASK = "/sys/devices/system/cpu/paravirt"
#: Two guests with four vCPUs each, one-to-one on two pCPUs twice over: 75 % of steal each at first, 25 % of the
#: time of all vCPUs when two are left each.
HEAD = """\
nodes: [{name: guest, count: 2, vcpus: 4, memory: 256MiB, pinning: spread}]
load: [{name: one, nodes: guest1, tasks: 4}, {name: two, nodes: guest2, tasks: 4}]
phases:
"""
STEAL = "govern: [{source: steal, high: 30%, low: 10%, period: 500ms}]"
HOST = "govern: [{source: host, period: 500ms}]"
STEPS = f"""\
  - {{name: free, start: [one, two], duration: 1s, settle: 200ms}}
  - {{name: by-steal, duration: 3s, settle: 1s, {STEAL}}}
  - {{name: alone, stop: [two], duration: 3s, settle: 1s, {STEAL}}}
  - {{name: by-host, start: [two], duration: 3s, settle: 1s, {HOST}}}
  - {{name: after, duration: 1s, settle: 200ms}}
"""


def run(directory: Path, phases: str, world: FakeWorld | None = None) -> tuple[Bench, Recording]:
    bench = Bench(directory, world, HEAD + phases)
    bench.run()
    return bench, Recording(bench.recording)


def events(recording: Recording, kind: str) -> list[dict[str, Any]]:
    return [{"t_ns": one.t_ns, **one.data} for one in recording.events() if one.kind == kind]


def in_phase(recording: Recording, name: str, node: str) -> list[dict[str, Any]]:
    (phase,) = (one for one in events(recording, "phase") if one["phase"] == name)
    return [
        one
        for one in events(recording, "govern")
        if one["node"] == node and phase["begin_ns"] <= one["t_ns"] <= phase["end_ns"]
    ]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return run(tmp_path_factory.mktemp("govern"), STEPS)[1]


def test_under_contention_it_steps_down_and_comes_to_rest_between_the_thresholds(
    recording: Recording,
) -> None:
    for node in ("guest1", "guest2"):
        seen = in_phase(recording, "by-steal", node)
        assert [(one["action"], one["before"], one["after"]) for one in seen][:3] == [
            ("step-down", "", "3"),
            ("step-down", "3", "2-3"),
            ("hold", "2-3", "2-3"),
        ]
        assert {one["action"] for one in seen[2:]} == {"hold"} and len(seen) > 3
        assert seen[0]["seen_pct"] == pytest.approx(75, abs=3)
        assert seen[1]["seen_pct"] == pytest.approx(50, abs=3)
        assert seen[2]["seen_pct"] == pytest.approx(25, abs=3)
        assert {one["clock"] for one in seen} == {"guest"}


def test_when_contention_ends_it_steps_up_as_far_as_the_thresholds_let_it(recording: Recording) -> None:
    seen = in_phase(recording, "alone", "guest1")
    assert [one["action"] for one in seen if one["action"] != "hold"] == ["step-up"]
    assert seen[-1]["after"] == "3"


def test_the_host_gives_each_guest_pcpus_of_its_own(recording: Recording) -> None:
    last = [in_phase(recording, "by-host", node)[-1] for node in ("guest1", "guest2")]
    used = [{0, 1, 2, 3} - set(parse_cpulist(one["after"])) for one in last]
    assert [len(one) for one in used] == [1, 1]
    assert {vcpu % 2 for one in used for vcpu in one} == {0, 1}
    assert {one["action"] for one in last} == {"hold"}
    assert {one["high_pct"] for one in last} == {None} and {one["clock"] for one in last} == {"host"}


def test_a_decision_is_made_from_a_period_in_which_nothing_was_written(recording: Recording) -> None:
    offsets = {one["node"]: one["t_ns"] for one in events(recording, "ready")}
    assert set(offsets) == {"guest1", "guest2"}
    for node in offsets:
        one_after_another = in_phase(recording, "by-steal", node)
        spans = [(one["from_ns"], one["to_ns"]) for one in one_after_another]
        assert all(0.35e9 <= to - start <= 0.7e9 for start, to in spans)
        assert all(after[0] >= before[1] for before, after in pairwise(spans))
    writes = [one for one in events(recording, "govern") if one["write_ns"]]
    assert writes and all(one["before"] != one["after"] for one in writes)
    holds = [one for one in events(recording, "govern") if one["action"] == "hold"]
    assert all(one["write_ns"] == 0 for one in holds)


def test_what_was_folded_is_taken_back_when_nobody_governs_any_more(recording: Recording) -> None:
    (after,) = (one for one in events(recording, "phase") if one["phase"] == "after")
    written = [one for one in events(recording, "knob") if one["knob"] == "avoid_cpus"]
    last = {one["node"]: one for one in written if one["t_ns"] <= after["begin_ns"]}
    assert [last[node]["new"] for node in ("guest1", "guest2")] == ["", ""]


def test_a_governor_goes_on_with_what_it_folded_in_the_phase_before(recording: Recording) -> None:
    assert in_phase(recording, "alone", "guest1")[0]["before"] == "2-3"


def test_the_end_of_the_phases_takes_everything_back(tmp_path: Path) -> None:
    phases = f"  - {{name: only, start: [one, two], duration: 2s, settle: 200ms, {STEAL}}}\n"
    _, recording = run(tmp_path, phases)
    last = {one["node"]: one["new"] for one in events(recording, "knob") if one["knob"] == "avoid_cpus"}
    assert last == {"guest1": "", "guest2": ""}


def test_a_guest_that_dies_while_it_is_governed_is_a_lost_guest(tmp_path: Path) -> None:
    world = FakeWorld()
    bench = Bench(tmp_path, world, HEAD + f"  - {{name: only, start: [one], duration: 60s, {STEAL}}}\n")

    def kill() -> None:
        for guest in list(bench.world.guests.values()):
            if guest.node == "guest2":
                bench.world.kill_guest(guest)

    for seconds in range(5, 200, 5):
        world.at(seconds * 10**9, kill)
    with pytest.raises(GuestLost, match="guest2"):
        bench.run()
