# SPDX-License-Identifier: GPL-2.0-only
"""Guests that are started anew within a lab: another command line, and everything that was there before kept."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import replace

import pytest
from fakeworld import MASK, FakeWorld, Fault, nested_world
from run.bench import Bench

from lab.errors import GuestLost, HostLost, KnobError, LabFailure
from lab.measure.derive import measure_recording
from lab.plan.labplan import KnobCandidate, KnobSetting, LabPlan
from lab.recording import Recording
from lab.run.boot import BOOT_ATTEMPTS, read_guests
from lab.run.events import Journal
from lab.run.experiment import fetch_streams, open_recording
from lab.run.kept import kept_parameter, start_kept_anew
from lab.run.lab import end_lab, keep_lab, open_lab
from lab.run.records import LabRecord


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
        lab.watch.sleep(4)
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


# ---- phases


def on_cmdline(node: str, parameter: str, raw: str) -> KnobSetting:
    place = KnobCandidate("g", "cmdline", parameter, raw, "text")
    return KnobSetting(node, f"boot.{parameter}", raw, "text", (place,))


class CmdlineBench(Bench):
    """A bench whose plan has knobs on command lines: one before the first phase, one in the second."""

    def plan(self) -> LabPlan:
        plan = super().plan()
        first, second = plan.phases
        anew = on_cmdline("guest1", "nohz", "off")
        return replace(
            plan,
            knobs=(*plan.knobs, on_cmdline("guest2", "threadirqs", "threadirqs")),
            phases=(first, replace(second, knobs=(*second.knobs, anew), start=("busy",))),
        )


TWO_PHASES = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
knobs: [{nodes: guest1, knob: avoid_cpus, value: "0"}]
load: [{name: busy, tasks: 2}]
phases:
  - {name: before, start: [busy], duration: 6s, settle: 200ms}
  - {name: after, duration: 6s, settle: 200ms, set: [{nodes: guest2, knob: avoid_cpus, value: "1"}]}
"""


def test_a_phase_starts_guests_anew_sets_their_knobs_again_and_both_windows_are_measured(tmp_path):
    bench = CmdlineBench(tmp_path, text=TWO_PHASES)
    bench.run()
    recording = Recording(bench.recording)
    events = recording.events()
    assert [one.data["node"] for one in events if one.kind == "restart"] == ["guest1"]
    knobs = [(one.data["node"], one.data["knob"], one.data["new"]) for one in events if one.kind == "knob"]
    assert knobs == [
        ("guest2", "boot.threadirqs", "threadirqs"),
        ("guest1", "avoid_cpus", "0"),
        ("guest1", "boot.nohz", "off"),
        ("guest1", "avoid_cpus", "0"),
        ("guest2", "avoid_cpus", "1"),
    ]
    loads = [(one.kind, one.data["node"]) for one in events if one.kind.startswith("load-")]
    assert loads == [
        *(("load-start", "guest1"), ("load-start", "guest2")),
        *(("load-stop", "guest1"), ("load-start", "guest1")),
    ]
    measured = measure_recording(recording, recording.plan())
    windows = [one for one in measured.vcpus if one.node == "guest1"]
    assert {one.phase for one in windows} == {"before", "after"}
    assert [one.doubts for one in measured.vcpus] == [()] * 8
    assert all(not one.doubts for one in measured.vcpus)
    assert bench.leftovers() == []


def test_knobs_on_the_command_line_before_the_first_phase_are_there_from_the_first_boot(tmp_path):
    bench = CmdlineBench(tmp_path, text=TWO_PHASES)
    bench.run()
    xml = [bench.recording / f"guests/{node}/domain.xml" for node in ("guest1", "guest2")]
    assert ["threadirqs" in path.read_text() for path in xml] == [False, True]
    assert not (bench.recording / "guests/guest2/boots").exists()


def test_a_knob_that_the_new_start_does_not_have_is_an_error(tmp_path):
    class Forgets(FakeWorld):
        def start_guest(self, xml: str) -> None:
            super().start_guest(xml)
            if "nohz=off" in xml:
                guest = next(one for one in self.guests.values() if "nohz=off" in one.cmdline)
                guest.knobs = dict.fromkeys(guest.knobs.keys() - {MASK}, "")

        def _run(self, step_ns: int) -> None:
            pass

    bench = CmdlineBench(tmp_path, Forgets(), text=TWO_PHASES.replace("start: [busy], ", ""))
    with pytest.raises(KnobError, match="avoid_cpus on guest1"):
        bench.run()
    assert bench.leftovers() == []


SHORT = TWO_PHASES.replace("6s", "1s")


def calls_around_the_restart(tmp_path) -> range:
    """The numbers of the calls from the guest's end to its next being watched, and some more."""
    bench = CmdlineBench(tmp_path / "undisturbed", text=SHORT)
    bench.run()
    calls = bench.world.calls
    end = calls.index("agent.send drop")
    return range(end - 3, end + 25)


@pytest.mark.parametrize("error", [LabFailure, HostLost, KeyboardInterrupt])
def test_whatever_fails_around_a_restart_nothing_is_left(tmp_path, error):
    (tmp_path / "undisturbed").mkdir()
    for index in calls_around_the_restart(tmp_path):
        directory = tmp_path / str(index)
        directory.mkdir()
        bench = CmdlineBench(directory, text=SHORT)
        bench.world.fault = Fault(index, error("injected"))
        if error is HostLost:  # an environment failure: the run is made again, and succeeds
            bench.run()
        else:
            with pytest.raises(error):
                bench.run()
        assert bench.leftovers() == [], index
        assert bench.records.all() == (), index


def test_a_guest_lost_while_it_is_started_anew_three_times_makes_another_run(tmp_path):
    fates = ["ready", *["die"] * BOOT_ATTEMPTS, "ready", "ready"]
    bench = CmdlineBench(tmp_path, nested_world(guest1=fates), text=SHORT)
    bench.run()
    recording = Recording(bench.recording)
    assert "lost 3 times" not in recording.console("guest1")
    assert [one.data["what"] for one in recording.events() if one.kind == "retry"][-1] == "run"
    assert (bench.recording / "lost/1/guests/guest1/boots/0/probe.stream").stat().st_size > 0
    assert len(recording.earlier_guest_streams("guest1")) == 1


# ---- labs that were given to the user


@pytest.fixture
def kept(tmp_path) -> tuple[Bench, LabRecord, LabPlan]:
    bench = Bench(tmp_path)
    plan = bench.plan()
    with open_lab(bench.host, plan, bench.around, Journal()) as lab:
        record = keep_lab(bench.around, lab)
    return bench, record, plan


def start_guest1_anew(bench: Bench, record: LabRecord, plan: LabPlan, raw: str) -> None:
    start_kept_anew(
        bench.host,
        plan,
        bench.records.directory(plan.lab_id),
        record.remote_dir,
        {"guest1": {"nohz": raw}},
        bench.narrator,
        lambda: bench.world.monotonic(),
    )


def test_a_guest_of_a_kept_lab_is_started_anew_again_and_again(kept):
    bench, record, plan = kept
    directory = bench.records.directory(plan.lab_id)
    for raw in ("off", "on", ""):
        before = guest(bench, "guest1")
        start_guest1_anew(bench, record, plan, raw)
        after = guest(bench, "guest1")
        assert after is not before and after.ready
        assert kept_parameter(directory, "guest1", "nohz") == raw
    assert read_guests(directory)["guest1"].boot == 3
    assert bench.world.agents == []
    assert not [path for path in bench.world.files if "restart.stream" in path]
    assert end_lab(bench.host, bench.records, record)
    assert bench.leftovers() == []


def test_a_kept_guest_that_does_not_come_up_says_why_and_the_lab_stays_to_be_ended(kept):
    bench, record, plan = kept
    bench.world.fates["guest1"] = deque(["ready", *["panic"] * BOOT_ATTEMPTS])
    with pytest.raises(GuestLost, match=r"(?s)guest1 panicked.*Kernel panic"):
        start_guest1_anew(bench, record, plan, "off")
    assert [one.lab_id for one in bench.records.all()] == [plan.lab_id]
    assert end_lab(bench.host, bench.records, record)
    assert bench.leftovers() == []


def test_a_kept_lab_of_which_nothing_is_written_down_cannot_be_started_anew(kept):
    bench, record, plan = kept
    (bench.records.directory(plan.lab_id) / "guests.json").unlink()
    with pytest.raises(LabFailure, match=r"guests\.json"):
        start_guest1_anew(bench, record, plan, "off")
