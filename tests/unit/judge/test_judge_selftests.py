# SPDX-License-Identifier: GPL-2.0-only
"""Results of selftests from a load's output to verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli.recordings import plan_of

from lab.errors import TopologyError
from lab.judge.evaluate import judge
from lab.judge.verdict import Outcome, Verdict
from lab.loads.model import SELFTEST_IMAGE
from lab.measure.ktap import SelfTest
from lab.measure.loadresults import load_results
from lab.measure.loadruns import LoadOutput
from lab.measure.windows import ClockMatch, LoadResult, Measurements, PhaseWindow
from lab.plan.labplan import LabPlan
from lab.recording import Event
from lab.topology.decode import decode_topology

TOPOLOGY = """\
version: 1
name: pair
host: {where: local, pcpus: "0"}
kernels:
  plain: {source: {debian: "6.12"}}
defaults:
  node: {vcpus: 1, pinning: ["0"]}
nodes:
  - name: one
  - name: two
load:
  - name: kst
    kind: kselftest
    nodes: one
    parameters: {collections: "", tests: "cgroup:test_cpuset cgroup:test_cpu"}
  - {name: busy, nodes: two}
phases:
  - {name: contended, start: [busy, kst], until: [kst], duration: 60s}
expect:
  - selftests: {load: kst, phase: contended}
"""
PLAN = plan_of(TOPOLOGY)
ANYTIME = ClockMatch("one", 0, 1000)
S = 1_000_000_000
STATUS = b"pvload 1\nat 1\nbegin 2\nend 3\nstatus %d\nstopped 0\nwritten 9\nlost 0\nuser 1\nsystem 1\n"


def measured(*results: LoadResult) -> Measurements:
    phase = PhaseWindow("contended", 0, 60 * S, doubts=("the host was disturbed",))
    return Measurements(phases=(phase,), vcpus=(), tasks=(), affinities=(), clocks=(), load_results=results)


def result(*tests: SelfTest, status: int | None = 0, doubts: tuple[str, ...] = ()) -> LoadResult:
    values = () if doubts else (("passed", float(len(tests))),)
    return LoadResult("one", "kst", "contended", 1, 2, status, values, doubts, tests)


def verdicts(plan: LabPlan, *results: LoadResult) -> list[tuple[Outcome, str, str]]:
    return [(one.outcome, one.subject, one.reason) for one in judge(plan, measured(*results)).verdicts]


def may_fail(*globs: str) -> LabPlan:
    (expectation,) = PLAN.expectations
    return replace(PLAN, expectations=(replace(expectation, may_fail=globs),))


GOOD, BAD = SelfTest("cgroup:test_cpuset.a", "pass"), SelfTest("cgroup:test_cpu.b", "fail", "exit=1")
NOT = SelfTest("cgroup:test_cpuset_prs.sh", "skip")


def test_each_test_is_a_check_and_a_disturbed_host_does_not_matter() -> None:
    assert verdicts(PLAN, result(GOOD, BAD, NOT)) == [
        (Outcome.PASSED, "one cgroup:test_cpuset.a", ""),
        (Outcome.FAILED, "one cgroup:test_cpu.b", "exit=1"),
        (Outcome.SKIPPED, "one cgroup:test_cpuset_prs.sh", "it says no more"),
    ]


def test_a_failure_that_is_known_is_skipped() -> None:
    assert verdicts(may_fail("cgroup:test_cpu.*"), result(BAD)) == [
        (Outcome.SKIPPED, "one cgroup:test_cpu.b", "may fail: exit=1")
    ]
    (verdict,) = judge(may_fail("cgroup:*"), measured(result(GOOD))).verdicts
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ((), "no run was seen"),
        ((result(GOOD, status=None),), "its end was not seen"),
        ((result(GOOD, status=143),), "it ended with status 143"),
        (
            (
                result(
                    GOOD, doubts=("its output does not tell passed: 1 of the tests announced has no result",)
                ),
            ),
            "its output does not tell passed: 1 of the tests announced has no result",
        ),
    ],
)
def test_a_run_that_does_not_tell_everything_is_undecided(
    results: tuple[LoadResult, ...], reason: str
) -> None:
    found = verdicts(PLAN, *results)
    assert found[-1] == (Outcome.UNDECIDED, "load kst on one", reason)
    assert len(found) == 1 + len(results)


def test_results_come_out_of_the_output_of_the_load() -> None:
    output = b"TAP version 13\n1..1\n# ok 1 a\nok 1 selftests: cgroup: test_cpuset\n"
    outputs = {"one": (LoadOutput("kst", 0, STATUS % 0, output),)}
    events = [Event(1, "load-start", {"load": "kst", "node": "one", "number": 0})]
    phases = [SimpleNamespace(name="contended", start_ns=0, end_ns=60 * S)]
    (found,) = load_results(PLAN.loads, events, outputs, phases, lambda _node, _t_ns: ANYTIME)
    assert found.tests == (SelfTest("cgroup:test_cpuset.a", "pass"),)
    assert dict(found.values) == {"passed": 1.0, "failed": 0.0, "skipped": 0.0}
    assert verdicts(PLAN, found) == [(Outcome.PASSED, "one cgroup:test_cpuset.a", "")]


def test_the_plan_has_the_image_the_command_and_the_words() -> None:
    (expectation,) = PLAN.expectations
    assert expectation.text == "selftests of kst in contended: none fails"
    load = next(one for one in PLAN.loads if one.name == "kst")
    assert load.command == ("run-kselftest", "300", "", "cgroup:test_cpuset cgroup:test_cpu")
    assert [node.image for node in PLAN.nodes] == [SELFTEST_IMAGE, "guest"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("selftests: {load: kst", "selftests: {load: kts", "kst"),
        ("selftests: {load: kst", "selftests: {load: busy", "of which a spin reports none"),
        ("phase: contended}", "phase: folded}", "folded"),
    ],
)
def test_expectations_that_cannot_be(before: str, after: str, said: str) -> None:
    with pytest.raises(TopologyError, match=said):
        decode_topology(TOPOLOGY.replace(before, after), Path("/lab/pair.yaml"))
