# SPDX-License-Identifier: GPL-2.0-only
"""Whether a scenario fits another host, what is planned there, and what differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plan.planning import catalogue, facts, topology

from lab.errors import HostError, InputError
from lab.plan.decide import plan_lab
from lab.plan.easing import ease_knobs
from lab.plan.facts import HostFacts
from lab.plan.hostdiff import compare_digests, compare_hosts, compare_packages, parse_packages
from lab.plan.labplan import LabPlan
from lab.plan.replaying import Fitting, fit_scenario, replay_facts, replay_topology
from lab.topology.decode import topology_of
from lab.topology.model import Topology

NODES = "nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB}]\n"
SMT = "nodes: [{name: guest, count: 2, vcpus: 2, pinning: smt-stack}]\n"
NUMA = """\
nodes:
  - name: guest
    vcpus: 2
    pinning: numa-split
    numa: [{vcpus: "0", memory: 128MiB}, {vcpus: "1", memory: 128MiB}]
"""
WITH_SMT = replace(facts(4), cores=((0, 2), (1, 3)), numa_nodes=((0, 2), (1, 3)))


def recorded(asked: Topology, host: HostFacts) -> LabPlan:
    return plan_lab(asked, host, "there0", catalogue(asked))


def fit(text: str, there: HostFacts, here: HostFacts, no_kvm: str = "") -> tuple[Topology, LabPlan, Fitting]:
    asked = topology(text)
    plan = recorded(asked, there)
    return asked, plan, fit_scenario(asked, plan, here, no_kvm)


def replayed(asked: Topology, plan: LabPlan, fitting: Fitting, here: HostFacts) -> LabPlan:
    remapping = fitting.require(here.where)
    moved = topology_of(replay_topology(asked, plan, remapping, here.where), asked.path)
    return plan_lab(moved, replay_facts(here, remapping), "here00", catalogue(moved))


def notes(fitting: Fitting) -> dict[str, str]:
    return {one.what: one.note for one in fitting.checks if one.note}


# ---- what is planned


def test_a_large_host_gets_no_more_contention_and_no_more_help_than_the_small_one_had():
    """Without `host.pcpus` a topology takes all pCPUs there are, and keeps one for housekeeping of three."""
    asked, plan, fitting = fit(NODES, facts(2), facts(8))
    assert plan.housekeeping == plan.pcpus == (0, 1)
    again = replayed(asked, plan, fitting, facts(8))
    assert again.housekeeping == again.pcpus == (0, 1)
    assert [node.vcpus for node in again.nodes] == [node.vcpus for node in plan.nodes]


def test_housekeeping_goes_along():
    asked, plan, fitting = fit(NODES, facts(4), facts(8))
    assert plan.housekeeping == (3,)
    again = replayed(asked, plan, fitting, facts(8))
    assert (again.pcpus, again.housekeeping) == ((0, 1, 2), (3,))


def test_housekeeping_is_given_up_before_the_scenario_is():
    asked, plan, fitting = fit(NODES, facts(4), facts(3))
    assert "no pCPU is left for housekeeping" in notes(fitting)["pCPUs"]
    again = replayed(asked, plan, fitting, facts(3))
    assert again.housekeeping == again.pcpus == (0, 1, 2)


def test_guests_stay_on_siblings_of_a_core_however_they_are_numbered():
    here = replace(facts(4), cores=((0, 1), (2, 3)), numa_nodes=((0, 1, 2, 3),))
    asked = topology(SMT + "host: {pcpus: 0-3}\n")
    plan = recorded(asked, WITH_SMT)
    fitting = fit_scenario(asked, plan, here)
    again = replayed(asked, plan, fitting, here)
    pins = [tuple(vcpu.pcpus[0] for vcpu in node.vcpus) for node in again.nodes]
    assert sorted(map(sorted, pins)) == [[0, 1], [2, 3]]
    assert [tuple(vcpu.pcpus[0] for vcpu in node.vcpus) for node in plan.nodes] == [(0, 2), (1, 3)]


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "there", "here", "no_kvm", "problem"),
    [
        (NODES, facts(2), facts(1), "", "pCPUs: it needs 2 pCPUs, and there is 1 pCPU (0)"),
        (SMT + "host: {pcpus: 0-3}\n", WITH_SMT, facts(4), "", "no cores with SMT"),
        (NUMA + "host: {pcpus: 0-3}\n", WITH_SMT, facts(4), "", "this host has no known NUMA nodes"),
        (NODES, facts(2), replace(facts(2), memory_mib=500), "", "memory: the guests have 512 MiB together"),
        (
            NODES,
            facts(2),
            replace(facts(2), arch="aarch64"),
            "",
            "recorded on x86_64, and this host is aarch64",
        ),
        (NODES, facts(2), facts(2), "it dies", "accelerator: it dies"),
    ],
    ids=["pcpus", "smt", "numa", "memory", "architecture", "kvm"],
)
def test_what_a_host_lacks_is_refused(
    text: str, there: HostFacts, here: HostFacts, no_kvm: str, problem: str
):
    _, _, fitting = fit(text, there, here, no_kvm)
    with pytest.raises(HostError) as refused:
        fitting.require("local")
    assert problem in refused.value.message


def test_all_problems_are_told_at_once():
    _, _, fitting = fit(NODES, facts(2), replace(facts(1), memory_mib=64, arch="riscv64"))
    assert len(fitting.problems) == 3


def test_a_plan_of_another_topology_is_refused():
    plan = recorded(topology(NODES), facts(2))
    other = topology("nodes: [{name: guest, count: 3, vcpus: 2}]\n")
    with pytest.raises(InputError, match="is of another topology"):
        fit_scenario(other, plan, facts(2))


def test_what_is_another_here_is_noted():
    _, _, fitting = fit(NODES, facts(2), replace(facts(2, "nested", emulated=True), memory_mib=600))
    assert "this host is emulated" in notes(fitting)["accelerator"]
    assert "hardly more" in notes(fitting)["memory"]
    assert fitting.problems == ()


# ---- a kernel that may lack things

FOLDS = """\
nodes:
  - {name: mine, vcpus: 2, kernel: plain}
  - {name: other, vcpus: 2, kernel: second}
knobs: [{nodes: "*", knob: avoid_cpus, value: ""}]
phases: [{name: one, duration: 10s, set: [{nodes: "*", knob: avoid_cpus, value: "1"}]}]
arms: [{name: a}, {name: b, set: [{nodes: mine, knob: avoid_cpus, value: "0"}]}]
"""
TWO_KERNELS = """\
version: 1
name: unit
kernels:
  plain: {source: {debian: "6.12"}}
  second: {source: {debian: "6.12"}}
"""


def test_settings_of_guests_with_the_swapped_kernel_are_optional_and_no_others():
    asked = topology(FOLDS, TWO_KERNELS)
    plan = ease_knobs(recorded(asked, facts(2)), "plain")
    settings = [*plan.knobs, *(one for phase in plan.phases for one in phase.knobs)]
    assert {one.node for one in settings} == {"mine", "other"}
    assert all(one.optional == (one.node == "mine") for one in settings)
    assert plan.comparison is not None
    assert all(one.optional for arm in plan.comparison.details for one in arm.knobs)


# ---- what differs


def test_hosts_are_compared_by_what_is_known_of_both():
    there = replace(facts(2), kernel="6.12", cpu="one", qemu="10.0.0")
    here = replace(facts(4, "nested", emulated=True), kernel="6.13", cpu="one")
    rows = {one.what: one for one in compare_hosts(there, here)}
    assert (rows["host kernel"].there, rows["host kernel"].here, rows["host kernel"].differs) == (
        "6.12",
        "6.13",
        True,
    )
    assert rows["CPU model"].differs is False
    assert rows["QEMU"].differs is None
    assert rows["pCPUs"].there == "2 (0-1)"
    assert rows["kind of host"].differs
    assert rows["accelerator"].here == "KVM of an emulated host"


def test_hashes_are_shown_short_and_compared_whole():
    same, other = "a" * 64, "a" * 63 + "b"
    (row,) = compare_digests("kernel", {"mine": same}, {"mine": other})
    assert row.differs
    assert row.there != row.here
    (row,) = compare_digests("kernel", {"mine": same}, {"mine": same})
    assert (row.what, row.there, row.differs) == ("kernel mine", "a" * 12, False)
    (row,) = compare_digests("kernel", {"mine": same}, {})
    assert row.differs is None


def test_packages_are_named_where_they_are_few_and_counted_where_not():
    there = parse_packages("bash 5.2 amd64\nperl 5.40 amd64\n\n")
    assert there == {"bash": "5.2", "perl": "5.40"}
    row = compare_packages("guest", there, {"bash": "5.3", "perl": "5.40"})
    assert row is not None
    assert (row.there, row.here, row.differs) == ("bash 5.2", "bash 5.3", True)
    many = {f"p{number}": "1" for number in range(9)}
    row = compare_packages("guest", many, dict.fromkeys(many, "2"))
    assert row is not None
    assert row.here == "9 of 9 in another version"
    same = compare_packages("guest", there, there)
    assert same is not None
    assert same.differs is False
    assert compare_packages("guest", {}, there) is None
