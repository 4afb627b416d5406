# SPDX-License-Identifier: GPL-2.0-only
"""Labs on a fake host: losses in boot and later, labs that are kept, and what is left for gc."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from fakeworld import FakeWorld, nested_world
from run.bench import Bench

from lab.errors import BootTimeout, GuestLost, HostLost, LabFailure
from lab.recording import Recording
from lab.run.boot import BOOT_ATTEMPTS, BOOT_TIMEOUT_S
from lab.run.events import Journal
from lab.run.experiment import RUN_ATTEMPTS
from lab.run.gc import collect_orphans
from lab.run.lab import end_lab, keep_lab, open_lab
from lab.run.records import LabRecord, LabState


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def retries(bench):
    return [event.data for event in Recording(bench.recording).events() if event.kind == "retry"]


# ---- boot


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        ("die", "guest guest1 died"),
        ("panic", "guest guest1 panicked (Kernel panic"),
        ("mute", "did not speak"),
    ],
)
def test_a_guest_lost_in_boot_is_booted_again(tmp_path, fate, reason):
    bench = Bench(tmp_path, nested_world(guest1=[fate, fate]))
    bench.run()
    found = retries(bench)
    assert [one["attempt"] for one in found] == [1, 2]
    assert all(one["what"] == "boot of guest guest1" and reason in one["reason"] for one in found)


def test_a_guest_lost_three_times_in_boot_is_lost(tmp_path):
    bench = Bench(tmp_path, nested_world(guest2=["panic"] * BOOT_ATTEMPTS))
    with (
        pytest.raises(
            GuestLost, match=r"(?s)guest guest2 panicked.*Kernel panic.*lost 3 times while booting"
        ),
        open_lab(bench.host, bench.plan(), bench.around, Journal()),
    ):
        pass
    assert bench.leftovers() == []


def test_a_guest_that_never_speaks_times_out(tmp_path):
    bench = Bench(tmp_path, nested_world(guest1=["mute"] * BOOT_ATTEMPTS))
    started = bench.world.monotonic()
    with (
        pytest.raises(BootTimeout, match=r"(?s)guest1.*120 s; its console ends:\nBooting Linux"),
        open_lab(bench.host, bench.plan(), bench.around, Journal()),
    ):
        pass
    assert bench.world.monotonic() - started == pytest.approx(BOOT_ATTEMPTS * BOOT_TIMEOUT_S, abs=10)


def test_modules_of_a_kernel_follow_in_the_initramfs(tmp_path):
    bench = Bench(tmp_path)
    archive = tmp_path / "modules.cpio"
    archive.write_bytes(b"MODULES")
    with_modules = replace(bench.around.launch, modules={"plain": archive})
    with open_lab(bench.host, bench.plan(), replace(bench.around, launch=with_modules), Journal()) as lab:
        first = bytes(bench.world.files[lab.files["guest1"].paths.initrd])
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        second = bytes(bench.world.files[lab.files["guest1"].paths.initrd])
    assert first.endswith(b"MODULES")
    assert first.removesuffix(b"MODULES") == second


# ---- runs


class LosesGuest(FakeWorld):
    """A world in which guest1 dies when the first load starts, `losses` times."""

    losses = 1

    def watch_guest(self, agent, name, socket, stream):
        super().watch_guest(agent, name, socket, stream)
        if name == "guest1" and self.losses > 0:
            type(self).losses -= 1
            guest = next(one for one in self.guests.values() if one.node == name)
            self.at(3_000_000_000, lambda: self.kill_guest(guest))


def losing(count):
    return type("Loses", (LosesGuest,), {"losses": count})()


def test_a_recording_says_which_entries_of_the_cache_it_was_made_with(tmp_path):
    bench = Bench(tmp_path)
    bench.run()
    about = Recording(bench.recording).about
    assert about["artifacts"] == {"kernels": {"plain": "0123"}, "images": {"guest": "4567"}}


def test_a_guest_lost_in_a_phase_makes_another_run(tmp_path):
    bench = Bench(tmp_path, losing(1))
    bench.run()
    (retry,) = retries(bench)
    assert retry["what"] == "run"
    assert "guest guest1 died" in retry["reason"]
    lost = bench.recording / "lost/1"
    assert (lost / "guests/guest1/probe.stream").stat().st_size > 0
    assert Recording(lost).plan().lab_id != Recording(bench.recording).plan().lab_id
    assert [
        event.data["phase"] for event in Recording(bench.recording).events() if event.kind == "phase"
    ] == [
        "contended",
        "folded",
    ]
    assert bench.leftovers() == []


def test_runs_are_not_tried_for_ever(tmp_path):
    bench = Bench(tmp_path, losing(RUN_ATTEMPTS))
    with pytest.raises(GuestLost, match="guest1 died"):
        bench.run()
    assert sorted(path.name for path in (bench.recording / "lost").iterdir()) == ["1", "2"]
    assert bench.leftovers() == []
    assert bench.records.all() == ()


def test_a_failure_that_is_no_loss_is_not_tried_again(tmp_path):
    text = """\
nodes: [{name: guest, vcpus: 2, memory: 256MiB}]
phases: [{name: one, duration: 1s, set: [{nodes: guest, knob: /sys/kernel/stubborn, value: "1"}]}]
"""
    bench = Bench(tmp_path, text=text)
    with pytest.raises(LabFailure, match="wrote '1' to /sys/kernel/stubborn, read back '0'"):
        bench.run()
    assert not (bench.recording / "lost").exists()


# ---- keeping and ending


def keep(bench: Bench) -> LabRecord:
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        return keep_lab(bench.around, lab)


def test_a_kept_lab_stays_and_is_ended_by_its_record(bench):
    record = keep(bench)
    assert len(bench.world.guests) == 3
    assert bench.records.find(None) == record
    assert end_lab(bench.host, bench.records, record)
    assert bench.leftovers() == []
    assert bench.foreign_is_there()


def test_a_kept_lab_has_secrets_only_for_its_owner(bench):
    directory = bench.records.directory(keep(bench).lab_id)
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
    assert modes["key"] == 0o600
    assert modes["guest1.seed"] == 0o600


def test_a_domain_of_the_same_name_with_another_owner_is_left_alone(bench):
    record = keep(bench)
    bench.world.guests[record.domains[0]].lab_id = "other"
    bench.world.networks[record.network] = None
    end_lab(bench.host, bench.records, record)
    assert record.domains[0] in bench.world.guests
    assert record.domains[1] not in bench.world.guests
    assert record.network in bench.world.networks


# ---- gc


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def abandoned(bench: Bench, state: LabState, **changes: object) -> LabRecord:
    """A lab as a process leaves it that ends in `state` without a word."""
    record = keep(bench)
    changed = replace(record, **changes)  # type: ignore[arg-type]
    return bench.records.update(changed, state)


def collected(bench: Bench) -> list[str]:
    return [record.lab_id for record in collect_orphans(bench.records, bench.reopen, bench.narrator)]


@pytest.mark.parametrize("state", [LabState.STARTING, LabState.RUNNING, LabState.ENDING])
def test_gc_ends_the_lab_of_a_dead_process(bench, state):
    record = abandoned(bench, state, owner_pid=dead_pid())
    assert collected(bench) == [record.lab_id]
    assert bench.leftovers() == []
    assert bench.records.all() == ()
    assert bench.foreign_is_there()


@pytest.mark.parametrize("state", [LabState.STARTING, LabState.RUNNING, LabState.ENDING])
def test_gc_leaves_the_lab_of_a_living_process(bench, state):
    abandoned(bench, state)
    assert collected(bench) == []
    assert len(bench.world.guests) == 3


def test_gc_tells_a_reused_pid_from_the_owner(bench):
    record = abandoned(bench, LabState.RUNNING, owner_pid=os.getpid(), owner_start=1)
    assert collected(bench) == [record.lab_id]


def test_gc_leaves_a_lab_that_is_up(bench):
    abandoned(bench, LabState.UP, owner_pid=dead_pid())
    assert collected(bench) == []
    assert len(bench.world.guests) == 3


def test_gc_ends_a_lab_that_was_up_before_this_boot(bench):
    record = abandoned(bench, LabState.UP, boot_id="another boot")
    assert collected(bench) == [record.lab_id]


def test_gc_of_a_lab_whose_host_is_gone(bench):
    record = abandoned(bench, LabState.RUNNING, owner_pid=dead_pid())
    bench.world.lose_host()
    assert collected(bench) == [record.lab_id]
    assert bench.records.all() == ()


def test_gc_leaves_a_lab_whose_host_cannot_be_reached(bench):
    record = abandoned(bench, LabState.RUNNING, owner_pid=dead_pid())
    bench.world.host_dead = True
    assert collect_orphans(bench.records, lambda record: bench.open_as_it_is(), bench.narrator) == ()
    (kept,) = bench.records.all()
    assert (kept.lab_id, kept.state) == (record.lab_id, LabState.LEFT)
    assert "is not ended" in bench.narrator.said[-1]


def test_what_was_left_on_a_host_is_ended_before_the_next_lab(bench):
    record = abandoned(bench, LabState.LEFT)
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        assert [one.lab_id for one in bench.records.all()] == [lab.plan.lab_id]
        assert not [path for path in bench.world.files if record.lab_id in path]
        assert {guest.lab_id for guest in bench.world.guests.values()} == {lab.plan.lab_id, None}


def test_a_damaged_record_is_no_record(bench):
    record = keep(bench)
    (bench.records.directory(record.lab_id) / "lab.json").write_text('{"lab_id": ')
    assert bench.records.all() == ()


def test_host_lost_in_a_phase_is_host_lost(tmp_path):
    bench = Bench(tmp_path)
    with pytest.raises(HostLost), open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        bench.world.at(1_000_000_000, bench.world.lose_host)
        lab.watch.sleep(5)
