# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are started anew within a lab: another command line, and everything that was there before kept."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from fakeworld import FakeWorld, nested_world
from run.bench import Bench

from lab.errors import GuestLost, LabFailure
from lab.recording import Recording
from lab.run.boot import BOOT_ATTEMPTS, read_guests
from lab.run.events import Journal
from lab.run.experiment import fetch_streams, open_recording
from lab.run.lab import open_lab


def guest(bench: Bench, node: str):
    return next(one for one in bench.world.guests.values() if one.node == node)


def open_both(bench: Bench, stack: ExitStack):
    lab = stack.enter_context(open_lab(bench.host, bench.plan(), bench.around, Journal()))
    writer = stack.enter_context(open_recording(lab, bench.topology.text, bench.recording))
    return lab, writer


def test_a_guest_started_anew_has_the_changed_command_line_and_is_watched(tmp_path):
    bench = Bench(tmp_path)
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        before = guest(bench, "guest1")
        lab.start_anew({"guest1": {"nohz": "off"}})
        after = guest(bench, "guest1")
        assert after is not before and after.cmdline == f"{before.cmdline} nohz=off"
        assert after.domain == before.domain
        assert (lab.boot.parameter("guest1", "nohz"), lab.boot.parameter("guest2", "nohz")) == ("off", "")
        lab.watch.sleep(3)
        lab.start_anew({"guest1": {"nohz": "", "threadirqs": "threadirqs"}})
        assert guest(bench, "guest1").cmdline == f"{before.cmdline} threadirqs"
        assert read_guests(lab.directory) == lab.files
        bench.world.kill_guest(guest(bench, "guest1"))
        with pytest.raises(GuestLost, match="guest1 died"):
            lab.watch.sleep(1)
    assert bench.leftovers() == []


def test_shells_lead_into_the_new_guest(tmp_path):
    bench = Bench(tmp_path)
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        lab.shells.open_all()
        lab.start_anew({"guest1": {"nohz": "off"}})
        assert lab.shells["guest1"].run("echo yes", timeout_s=1).stdout == "yes\n"
    assert bench.leftovers() == []


def test_what_every_start_said_is_kept(tmp_path):
    bench = Bench(tmp_path)
    with ExitStack() as stack:
        lab, writer = open_both(bench, stack)
        lab.watch.sleep(1)
        lab.start_anew({"guest1": {"nohz": "off"}})
        fetch_streams(lab, writer)
        lab.watch.sleep(2)
        lab.start_anew({"guest1": {"nohz": ""}})
        lab.watch.sleep(3)
    recording = Recording(bench.recording)
    streams = (*recording.earlier_guest_streams("guest1"), recording.guest_stream("guest1"))
    assert len(set(streams)) == 3
    assert all(stream.startswith(b"pvprobe 1 guest") and b"\ne " in stream for stream in streams)
    assert recording.earlier_guest_streams("guest2") == ()
    xml = [bench.recording / "guests/guest1" / name / "domain.xml" for name in ("boots/0", "boots/1", "")]
    assert ["nohz=off" in path.read_text() for path in xml] == [False, True, False]
    restarts = [event for event in recording.events() if event.kind == "restart"]
    assert [(event.data["node"], event.data["boot"]) for event in restarts] == [("guest1", 1), ("guest1", 2)]
    assert all(event.t_ns > 0 for event in restarts)


@pytest.mark.parametrize("fate", ["die", "panic"])
def test_a_guest_lost_while_it_is_started_anew_is_booted_again(tmp_path, fate):
    bench = Bench(tmp_path, nested_world(guest1=["ready", fate, fate]))
    journal = Journal()
    with open_lab(bench.host, bench.plan(), bench.around, journal) as lab:
        lab.start_anew({"guest1": {"nohz": "off"}})
        assert guest(bench, "guest1").cmdline.endswith(" nohz=off")
    assert [event.data["attempt"] for event in journal.events if event.kind == "retry"] == [1, 2]


def test_a_guest_that_does_not_come_up_again_is_lost(tmp_path):
    bench = Bench(tmp_path, nested_world(guest1=["ready", *["panic"] * BOOT_ATTEMPTS]))
    with (
        pytest.raises(GuestLost, match=r"(?s)guest1 panicked.*lost 3 times while booting"),
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
    ):
        lab.start_anew({"guest1": {"nohz": "off"}})
    assert bench.leftovers() == []


def test_another_guest_lost_meanwhile_is_noticed_at_once(tmp_path):
    bench = Bench(tmp_path, nested_world(guest1=["ready", "mute"]))
    with (
        pytest.raises(GuestLost, match="guest2 died"),
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
    ):
        started = bench.world.monotonic()
        bench.world.at(500_000_000, lambda: bench.world.kill_guest(guest(bench, "guest2")))
        try:
            lab.start_anew({"guest1": {"nohz": "off"}})
        finally:
            assert bench.world.monotonic() - started < 5
    assert bench.leftovers() == []


def test_a_domain_that_cannot_be_started_again_leaves_nothing(tmp_path):
    class Refuses(FakeWorld):
        def start_guest(self, xml: str) -> None:
            if "nohz=off" in xml:
                raise LabFailure("starting a domain: refused")
            super().start_guest(xml)

    bench = Bench(tmp_path, Refuses())
    with (
        pytest.raises(LabFailure, match="refused"),
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
    ):
        lab.start_anew({"guest1": {"nohz": "off"}})
    assert bench.leftovers() == []
    assert bench.records.all() == ()
