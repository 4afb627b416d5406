# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob set` of knobs on the kernel's command line, in a lab that is up on a host in memory."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from cli.driving import Driver
from cli.test_cli_run import FakeWiring

from lab.errors import ExitCode

TOPOLOGY = """\
version: 1
name: anew
host: {pcpus: 0-1}
kernels: {plain: {source: {debian: "6.12"}}}
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB}]
knob_definitions:
  boot.nohz:
    type: bool
    doc: The tick.
    backends: [{kind: cmdline, path: nohz, words: ["off", "on"]}]
knobs: [{nodes: guest1, knob: avoid_cpus, value: "1"}]
"""


@pytest.fixture
def up(lab: Driver, tmp_path: Path) -> FakeWiring:
    wiring = lab.wiring = FakeWiring(tmp_path, lab.state_dir)
    (tmp_path / "anew.yaml").write_text(TOPOLOGY)
    done = lab("up", tmp_path / "anew.yaml")
    assert done.code == ExitCode.PASSED, done.err
    return wiring


def guest1(up: FakeWiring):
    return next(one for one in up.world.guests.values() if one.node == "guest1")


def test_the_guest_is_started_anew_and_its_other_knobs_are_set_again(lab: Driver, up: FakeWiring) -> None:
    before = guest1(up)
    done = lab("knob", "set", "guest1", "boot.nohz", "off")
    assert done.code == ExitCode.PASSED, done.err
    after = guest1(up)
    assert after is not before
    assert after.cmdline.endswith(" nohz=off")
    assert "1" in after.knobs.values()
    assert done.out.splitlines() == [
        "guest1 boot.nohz: empty -> off; guest1 was started anew, which ends the loads in it",
        "guest1 avoid_cpus: set again",
    ]
    assert lab("down").code == ExitCode.PASSED
    assert up.world.guests == {}


def test_a_guest_that_has_it_already_is_left_alone(lab: Driver, up: FakeWiring) -> None:
    lab("knob", "set", "guest1", "boot.nohz", "off")
    before = guest1(up)
    assert lab("knob", "set", "guest1", "boot.nohz", "off").out == "guest1 boot.nohz: is off already\n"
    assert guest1(up) is before


def test_a_guest_that_does_not_come_up_says_what_its_console_said(lab: Driver, up: FakeWiring) -> None:
    up.world.fates["guest1"] = deque(["ready", "panic", "panic", "panic"])
    done = lab("knob", "set", "guest1", "boot.nohz", "off")
    assert done.code == ExitCode.LAB_FAILED
    assert "Kernel panic" in done.err


def test_what_was_set_by_hand_stands_as_it_was_last_set(lab: Driver, up: FakeWiring) -> None:
    for value in ("", "0"):
        assert lab("knob", "set", "guest1", "avoid_cpus", value).code == ExitCode.PASSED
    lab("knob", "set", "guest1", "boot.nohz", "off")
    assert lab("knob", "get", "guest1", "avoid_cpus").out == "0\n"
    lab("knob", "set", "guest1", "boot.nohz", "on")
    assert lab("knob", "get", "guest1", "avoid_cpus").out == "0\n"


def test_what_cannot_be_set_again_is_told(lab: Driver, up: FakeWiring) -> None:
    class WithoutMask(dict[str, str]):
        """A kernel that has no knob: whoever asks for one does not find it, and nothing is avoided."""

        def __missing__(self, key: str) -> str:
            return ""

    start_guest = up.world.start_guest

    def start_without(xml: str) -> None:
        start_guest(xml)
        guest1(up).knobs = WithoutMask()

    up.world.start_guest = start_without  # type: ignore[method-assign]
    done = lab("knob", "set", "guest1", "boot.nohz", "off")
    assert done.code == ExitCode.PASSED, done.err
    assert "guest1 avoid_cpus: not set any more: " in done.out
