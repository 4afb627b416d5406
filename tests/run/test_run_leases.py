# SPDX-License-Identifier: GPL-2.0-only
"""Two labs never share pCPUs by accident."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from fakeworld import make_facts, make_plan, make_topology
from run.test_run_lab import dead_pid

from lab.errors import LeaseTaken
from lab.plan.labplan import ChangePlan, HogPlan, LabPlan, PhasePlan
from lab.run.leases import check_leases, leases_locked
from lab.run.records import LabRecords, LabState

NODES = "nodes: [{{name: guest, vcpus: 2, memory: 256MiB, pinning: [{0}, {1}]}}]\n"


def plan_on(first: int, second: int, lab_id: str, where: str = "local") -> LabPlan:
    """A lab of one guest on two pCPUs."""
    topology = make_topology(NODES.format(f'"{first}"', f'"{second}"'), pcpus="0-3")
    return make_plan(topology, make_facts(where), lab_id)


@pytest.fixture
def records(tmp_path):
    return LabRecords(tmp_path)


def test_overlapping_pcpus_are_refused_with_the_holder(records):
    records.create(plan_on(0, 1, "first"), "/store/labs/first")
    with pytest.raises(LeaseTaken, match=r"pCPUs 1 of local are leased to lab fake \(first") as caught:
        check_leases(records, plan_on(1, 2, "second"))
    assert "lab down first" in str(caught.value.hint)


def test_disjoint_pcpus_are_free(records):
    records.create(plan_on(0, 1, "first"), "/store/labs/first")
    check_leases(records, plan_on(2, 3, "second"))


def test_pcpus_for_housekeeping_are_not_leased(records):
    topology = make_topology(NODES.format('"0"', '"1"'), pcpus="0-1")
    first, second = (make_plan(topology, make_facts("local"), lab_id) for lab_id in ("first", "second"))
    assert first.housekeeping == (3,)
    records.create(first, "/store/labs/first")
    check_leases(records, plan_on(3, 2, "on-it"))
    elsewhere = tuple(
        replace(node, vcpus=tuple(replace(vcpu, pcpus=(2,)) for vcpu in node.vcpus)) for node in second.nodes
    )
    check_leases(records, replace(second, nodes=elsewhere))


def test_pcpus_of_hogs_and_of_later_pins_are_leased(records):
    plan = plan_on(0, 0, "first")
    hog = HogPlan("hog", (1,), 50.0, 100_000_000, 100)
    pin = ChangePlan("pin", "guest", vcpus=(1,), pcpus=(2,))
    phase = PhasePlan("only", 1, 0, (), (), (), contention=(pin,))
    records.create(replace(plan, hogs=(hog,), phases=(phase,)), "/store/labs/first")
    for pcpu in (0, 1, 2):
        with pytest.raises(LeaseTaken, match=f"pCPUs {pcpu} of local"):
            check_leases(records, plan_on(pcpu, pcpu, "second"))
    check_leases(records, plan_on(3, 3, "second"))


def test_the_same_pcpus_of_another_host_are_free(records):
    records.create(plan_on(0, 1, "first"), "/store/labs/first")
    check_leases(records, plan_on(0, 1, "second", where="nested"))


def test_an_orphan_holds_nothing(records):
    record = records.create(plan_on(0, 1, "first"), "/store/labs/first")
    records.update(replace(record, owner_pid=dead_pid()), LabState.RUNNING)
    check_leases(records, plan_on(0, 1, "second"))


def take(state_dir: Path, lab_id: str, start: object, results: object) -> None:
    """What open_lab does first; then stay alive, as an orphan holds no lease."""
    records, plan = LabRecords(state_dir), plan_on(0, 1, lab_id)
    start.wait()  # type: ignore[attr-defined]
    try:
        with leases_locked(state_dir):
            check_leases(records, plan)
            records.create(plan, "/store")
        results.put("won")  # type: ignore[attr-defined]
    except LeaseTaken:
        results.put("refused")  # type: ignore[attr-defined]
    start.wait()  # type: ignore[attr-defined]


def test_of_processes_that_race_exactly_one_wins(tmp_path):
    context, racers = multiprocessing.get_context("fork"), 6
    start, results = context.Barrier(racers + 1), context.Queue()
    children = [
        context.Process(target=take, args=(tmp_path, f"lab{n}", start, results)) for n in range(racers)
    ]
    for child in children:
        child.start()
    start.wait(20)
    outcomes = sorted(results.get(timeout=20) for _ in children)
    start.wait(20)
    for child in children:
        child.join(20)
    assert outcomes == ["refused"] * (racers - 1) + ["won"]
    assert [child.exitcode for child in children] == [0] * racers
