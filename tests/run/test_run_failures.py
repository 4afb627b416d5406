# SPDX-License-Identifier: GPL-2.0-only
"""A failure at every single call of a port: nothing of the lab may be left, and nothing else may be touched."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fakeworld import HOST_KNOB, HOST_VALUE, FakeWorld, Fault, ssh_world
from run.bench import Bench

from lab.errors import HostLost, LabError, LabFailure
from lab.recording import Recording
from lab.run.gc import collect_orphans


def calls_of_a_run() -> list[str]:
    """The names of all calls that an undisturbed run makes."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        bench.run()
        return bench.world.calls


CALLS = calls_of_a_run()
AT_EVERY_CALL = pytest.mark.parametrize("index", range(len(CALLS)))


def run_with(bench: Bench, fault: Fault) -> BaseException | None:
    bench.world.fault = fault
    try:
        bench.run()
    except BaseException as error:
        return error
    return None


def assert_clean(bench: Bench, foreign: bool = True) -> None:
    assert bench.leftovers() == []
    assert bench.records.all() == ()
    assert list((bench.state_dir / "labs").glob("*")) == []
    assert bench.foreign_is_there() or not foreign
    assert bench.world.host_knobs == {HOST_KNOB: HOST_VALUE}


def is_cleanup(name: str) -> bool:
    return name in ("destroy_domain", "destroy_network", "domains", "networks", "fake host: rm")


def test_an_undisturbed_run_leaves_nothing_but_its_recording(tmp_path):
    bench = Bench(tmp_path)
    bench.run()
    assert_clean(bench)
    assert (bench.recording / "guests/guest1/probe.stream").stat().st_size > 0
    kinds = [event.kind for event in Recording(bench.recording).events() if "knob" in event.kind]
    assert kinds == ["knob", "knob", "knob-restored"]


@AT_EVERY_CALL
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_failure_at_every_call(tmp_path, index, after):
    bench = Bench(tmp_path)
    error = run_with(bench, Fault(index, LabFailure("injected"), after))
    assert error is None or isinstance(error, LabError), error
    if is_cleanup(CALLS[index]):  # what could not be ended is known, and ended later
        collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert_clean(bench)


@AT_EVERY_CALL
def test_interrupt_at_every_call(tmp_path, index):
    bench = Bench(tmp_path)
    error = run_with(bench, Fault(index, KeyboardInterrupt()))
    assert isinstance(error, KeyboardInterrupt)
    if is_cleanup(CALLS[index]):
        collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert_clean(bench)


class HostDies(HostLost):
    """Raised as the host dies: from here on nothing answers, and nothing is left on it."""


class DyingWorld(FakeWorld):
    """A world that ends when the fault strikes."""

    def _fail(self, fault: Fault) -> None:  # type: ignore[override]
        self.lose_host()
        super()._fail(fault)


@AT_EVERY_CALL
def test_host_dies_at_every_call(tmp_path, index):
    bench = Bench(tmp_path, DyingWorld())
    error = run_with(bench, Fault(index, HostLost("the host VM died")))
    assert error is None, "a host lost once is survived"
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert_clean(bench, foreign=not bench.world.host_dead)
    assert (bench.recording / "guests/guest1/probe.stream").stat().st_size > 0


@AT_EVERY_CALL
def test_connection_breaks_at_every_call(tmp_path, index):
    """The host lives on, and so does what was on it: it must be ended, by this run or by gc."""
    bench = Bench(tmp_path, ssh_world())
    error = run_with(bench, Fault(index, HostLost("ssh connection lost")))
    assert error is None or isinstance(error, LabError), error
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert_clean(bench)


class GuestDyingWorld(FakeWorld):
    """A world in which a guest of the lab dies just before the call that the fault names."""

    def _fail(self, fault: Fault) -> None:  # type: ignore[override]
        for guest in [one for name, one in self.guests.items() if name != "foreign"][:1]:
            self.kill_guest(guest)
        self.fault = None


@AT_EVERY_CALL
def test_guest_dies_before_every_call(tmp_path, index):
    """What fails then is the environment, whichever call meets it first."""
    bench = Bench(tmp_path, GuestDyingWorld())
    error = run_with(bench, Fault(index, LabFailure("injected")))
    assert error is None, error
    assert_clean(bench)
