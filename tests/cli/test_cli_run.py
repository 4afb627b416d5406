# SPDX-License-Identifier: GPL-2.0-only
"""`lab run`, `lab up` and `lab down` from end to end on a host in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli.driving import ROOT, Driver
from fakehost import FakeHost
from fakeworld import FakeWorld, SaidNothing, make_facts, make_keys, make_launch

from lab.artifacts.catalogue import read_kernel_catalogue
from lab.errors import ExitCode, GuestLost
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan
from lab.recording import Recording
from lab.run.lab import Surroundings
from lab.run.ports import Launch
from lab.run.records import LabRecords, new_lab_id
from lab.topology.model import Topology

QUICKSTART = ROOT / "topologies/quickstart.yaml"


class FakeWiring:
    """Everything real replaced by one world in memory. `losses` is how many openings of the host end in a loss."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self.world = FakeWorld(make_facts())
        self.losses = 0
        self.opened: list[str] = []
        self._directory, self._state_dir = directory, state_dir

    def resolve_where(self, where: str) -> str:
        return "nested" if where == "auto" else where

    @contextmanager
    def open_host(self, where: str) -> Iterator[FakeHost]:
        self.opened.append(where)
        if self.losses:
            self.losses -= 1
            raise GuestLost("guest guest1 died")
        yield FakeHost(self.world)

    @contextmanager
    def reopen_host(self, _record: object) -> Iterator[FakeHost]:
        yield FakeHost(self.world)

    def plan(self, topology: Topology, facts: HostFacts) -> LabPlan:
        return plan_lab(topology, facts, new_lab_id(), read_kernel_catalogue(topology, ROOT / "images"))

    def launch(self, plan: LabPlan) -> Launch:
        launch = make_launch(self._directory)
        (kernel,) = launch.kernels.values()
        return Launch(launch.root_image, {one.name: kernel for one in plan.kernels}, launch.init_binary)

    def surroundings(self, launch: Launch) -> Surroundings:
        return Surroundings(
            LabRecords(self._state_dir),
            self._state_dir,
            launch,
            make_keys,
            SaidNothing(),
            monotonic=self.world.monotonic,
        )


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> FakeWiring:
    lab.wiring = FakeWiring(tmp_path, lab.state_dir)
    return lab.wiring


def test_run_records_and_judges_as_check_does(lab: Driver, wiring: FakeWiring, tmp_path: Path) -> None:
    ran = lab("run", QUICKSTART, "--record", tmp_path / "d", "--json")
    assert ran.code == ExitCode.PASSED, ran.out + ran.err
    checked = lab("check", tmp_path / "d", "--json")
    assert checked.code == ran.code
    assert json.loads(checked.out) == json.loads(ran.out)
    steal_pct = {(one["node"], one["vcpu"], one["phase"]): one for one in json.loads(ran.out)["vcpus"]}
    assert steal_pct["guest1", 0, "contended"]["guest_steal_pct"] == pytest.approx(50, abs=2)
    assert steal_pct["guest1", 0, "folded"]["guest_steal_pct"] == pytest.approx(0, abs=2)
    assert Recording(tmp_path / "d").plan().host.where == "nested"
    assert (wiring.world.guests, LabRecords(lab.state_dir).all()) == ({}, ())


def test_run_prints_the_table_and_the_verdicts(lab: Driver, wiring: FakeWiring, tmp_path: Path) -> None:
    done = lab("run", QUICKSTART, "--record", tmp_path / "d", "--junit", tmp_path / "junit.xml")
    assert "Steal, contended -> folded" in done.out
    assert "PASSED: " in done.out
    assert f"recording: {tmp_path / 'd'}" in done.out
    assert done.out == lab("check", tmp_path / "d").out
    assert (tmp_path / "junit.xml").exists()


def test_an_expectation_that_cannot_hold_fails_run_and_check(
    lab: Driver, wiring: FakeWiring, tmp_path: Path
) -> None:
    text = QUICKSTART.read_text().replace("min: 40%, max: 60%", "min: 90%")
    (tmp_path / "t.yaml").write_text(text)
    assert lab("run", tmp_path / "t.yaml", "--record", tmp_path / "d").code == ExitCode.FAILED
    assert lab("check", tmp_path / "d").code == ExitCode.FAILED


def test_a_lost_environment_is_tried_again_and_the_recording_says_so(
    lab: Driver, wiring: FakeWiring, tmp_path: Path
) -> None:
    wiring.losses = 1
    done = lab("run", QUICKSTART, "--record", tmp_path / "d", "--host", "nested")
    assert done.code == ExitCode.PASSED, done.err
    assert len(wiring.opened) == 2
    assert "! retried: run: guest guest1 died (attempt 1)" in done.out


def test_up_stays_until_down(lab: Driver, wiring: FakeWiring) -> None:
    done = lab("up", QUICKSTART)
    assert done.code == ExitCode.PASSED, done.err
    assert "is up on nested" in done.out
    assert len(wiring.world.guests) == 2
    assert lab("load", "start", "busy").code == ExitCode.PASSED
    assert lab("knob", "set", "guest1", "avoid_cpus", "1").out == "guest1 avoid_cpus: empty -> 1\n"
    assert lab("knob", "get", "guest1", "avoid_cpus").out == "1\n"
    assert lab("down").code == ExitCode.PASSED
    assert wiring.world.guests == {}


def test_next_steps_are_commands_that_exist(lab: Driver, wiring: FakeWiring) -> None:
    out = lab("up", QUICKSTART).out
    steps = [line.split()[1:] for line in out.splitlines() if line.startswith("  lab ")]
    assert {step[0] for step in steps} == {"ssh", "exec", "knob", "load", "top", "down"}
    for step in steps:
        verb = step[:2] if step[0] in ("knob", "load") else step[:1]
        assert lab(*verb, "--help").code == ExitCode.PASSED
    lab("down")


def test_two_labs_do_not_take_the_same_pcpus(lab: Driver, wiring: FakeWiring) -> None:
    assert lab("up", QUICKSTART).code == ExitCode.PASSED
    done = lab("up", QUICKSTART)
    assert done.code == ExitCode.LAB_FAILED
    assert "are leased to lab quickstart" in done.err
    assert lab("down").code == ExitCode.PASSED
