# SPDX-License-Identifier: GPL-2.0-only
"""Knobs of a lab that is driven step by step: the host's, and what is put back between two users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from fakehost import FakeGuestShell, FakeHost
from fakeworld import HOST_KNOB, HOST_VALUE, MASK, FakeGuest, FakeWorld
from run.bench import Bench

from lab.errors import GuestLost, InputError, KnobError
from lab.recording import Recording
from lab.run.events import Journal
from lab.run.interactive import LabSession, open_session
from lab.run.lab import open_lab
from lab.run.ports import CommandResult, Shell

TEXT = """\
nodes: [{name: guest, count: 2, vcpus: 4, memory: 256MiB, pinning: spread}]
knobs:
  - {nodes: guest1, knob: avoid_cpus, value: "3"}
  - {knob: kvm.halt_poll, value: 1ms}
  - {nodes: "*", knob: steal.enable, value: 1, optional: true}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, text=TEXT)


@contextmanager
def session_of(bench: Bench) -> Iterator[LabSession]:
    with (
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
        open_session(lab, bench.topology.text, bench.recording, bench.narrator) as session,
    ):
        session.keep_recording = True
        yield session


def mask(bench: Bench, node: str) -> str:
    return next(one for one in bench.world.guests.values() if one.node == node).knobs[MASK]


def kinds(bench: Bench) -> list[str]:
    return [event.kind for event in Recording(bench.recording).events() if event.kind.startswith("knob")]


def test_a_knob_of_the_host_is_set_told_and_put_back_at_the_end(bench: Bench) -> None:
    with session_of(bench) as session:
        assert bench.world.host_knobs[HOST_KNOB] == "1000000"
        knob = session.host_knob("kvm.halt_poll")
        knob.set("2ms")
        assert knob.get() == "2000000"
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE
    events = [one for one in Recording(bench.recording).events() if one.kind.startswith("knob")]
    host = [one.data for one in events if one.data["node"] == "@host"]
    assert [(one["old"], one["new"]) for one in host] == [
        ("200000", "1000000"),
        ("1000000", "2000000"),
        ("2000000", HOST_VALUE),
    ]
    assert [one.kind for one in events if one.data["node"] == "@host"] == ["knob", "knob", "knob-restored"]
    assert host[0]["path"] == HOST_KNOB and host[0]["backend"] == "module_parameter"
    assert host[0]["host_t0_ns"] < host[0]["host_t1_ns"] and "guest_t0_ns" not in host[0]


def test_an_event_has_both_clocks_and_where_the_knob_is(bench: Bench) -> None:
    with session_of(bench):
        pass
    events = Recording(bench.recording).events()
    (data,) = (one.data for one in events if one.kind == "knob" and one.data["node"] == "guest1")
    assert {key: data[key] for key in ("generation", "backend", "path", "old", "new", "raw_new")} == {
        "generation": "reference",
        "backend": "file",
        "path": MASK,
        "old": "",
        "new": "3",
        "raw_new": "3",
    }
    assert data["host_t0_ns"] < data["host_t1_ns"] and data["guest_t0_ns"] < data["guest_t1_ns"]
    skipped = [one.data for one in events if one.kind == "knob-skipped"]
    assert {one["node"] for one in skipped} == {"guest1", "guest2"}
    assert all("steal.enable" in one["reason"] and one["value"] == "1" for one in skipped)


def test_between_two_users_knobs_go_back_to_what_the_topology_set(bench: Bench) -> None:
    with session_of(bench) as session:
        session.knob("guest1", "avoid_cpus").set("1-2")
        session.knob("guest2", "avoid_cpus").set("2")
        session.host_knob("kvm.halt_poll").set("5")
        session.reset()
        assert (mask(bench, "guest1"), mask(bench, "guest2")) == ("3", "")
        assert bench.world.host_knobs[HOST_KNOB] == "1000000"
        assert session.is_usable()
        session.knob("guest1", "avoid_cpus").set("0")
        session.reset()
        assert mask(bench, "guest1") == "3"
    assert bench.world.host_knobs[HOST_KNOB] == HOST_VALUE


def test_a_guest_that_was_started_anew_gets_back_what_the_topology_set(bench: Bench) -> None:
    with session_of(bench) as session:
        session.knob("guest1", "nohz_full").set("1")
        assert mask(bench, "guest1") == "3", "it is set again in the new start"
        session.knob("guest1", "avoid_cpus").set("0")
        session.reset()
        guest = next(one for one in bench.world.guests.values() if one.node == "guest1")
        assert "nohz_full" not in guest.cmdline
        assert guest.knobs[MASK] == "3"
        assert session.is_usable()
        session.knob("guest1", "avoid_cpus").set("2")
        session.reset()
        assert guest.knobs[MASK] == "3"


def test_a_refusal_by_the_kernel_leaves_the_lab_usable(bench: Bench) -> None:
    with session_of(bench) as session:
        with pytest.raises(KnobError, match="Invalid argument"):
            session.knob("guest1", MASK).set("9")
        with pytest.raises(InputError):
            session.host_knob("avoid_cpus")
        with pytest.raises(KnobError, match="does not have it"):
            session.host_knob("debooster.enable").get()
        assert session.is_usable()
        assert mask(bench, "guest1") == "3"


class DeafGuest(FakeGuestShell):
    """A guest whose emulator ends as it is told to hush; nobody ever answers that."""

    def __init__(self, world: FakeWorld, guest: FakeGuest) -> None:
        super().__init__(world, guest)
        self._given_up = Event()

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        if command != "hush":
            return super().run(command, timeout_s=timeout_s, check=check)
        self.world.kill_guest(self.guest)
        assert self._given_up.wait(timeout_s), "nobody noticed that the guest is dead"
        raise GuestLost("the connection was closed")

    def close(self) -> None:
        self._given_up.set()


class DeafHost(FakeHost):
    """A host of such guests."""

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> Shell:
        return DeafGuest(
            self.world, next(one for one in self.world.guests.values() if one.address == address)
        )


def test_who_dies_during_a_command_is_lost_at_once_and_not_at_the_deadline(bench: Bench) -> None:
    bench.host = DeafHost(bench.world)
    with pytest.raises(GuestLost, match="guest1 died"), session_of(bench) as session:
        session.exec("guest1", "hush", timeout_s=20)
