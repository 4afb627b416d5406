# SPDX-License-Identifier: GPL-2.0-only
"""Governors of phases, what is watched for them, and what is expected of them, as planned."""

from __future__ import annotations

import pytest
from planning import facts, plan, topology

from lab.govern.cores import Core
from lab.knobs.model import Backend
from lab.knobs.watchable import watchable_path
from lab.plan.domainxml import render_guest_cmdline
from lab.plan.governing import hint_guest, node_cores, steal_rule
from lab.plan.labplan import GovernPlan, WatchPlan, parse_plan_json, render_plan_json
from lab.plan.text import render_plan_text

NODES = (
    "nodes: [{name: guest, count: 2, vcpus: 4}, {name: smt, vcpus: 4, topology: {cores: 2, threads: 2}}]\n"
)
PHASE = "phases: [{name: only, duration: 5s, govern: %s}]\n"


def governed(govern: str, more: str = "") -> tuple[GovernPlan, ...]:
    return plan(NODES + PHASE % govern + more).phases[0].govern


def test_every_node_has_its_governor_with_the_kernels_thresholds() -> None:
    assert governed("[{nodes: 'guest*'}]") == (
        GovernPlan("guest1", "steal", 4.0, 1.5, 10**9, "last", "mask", 1),
        GovernPlan("guest2", "steal", 4.0, 1.5, 10**9, "last", "mask", 1),
    )


def test_everything_said() -> None:
    said = "{nodes: smt, high: 20%, low: 0%, period: 500ms, policy: numa, by: hotplug, min_vcpus: 2}"
    assert governed(f"[{said}]") == (
        GovernPlan("smt", "steal", 20.0, 0.0, 500_000_000, "numa", "hotplug", 2),
    )


def test_a_hint_has_no_thresholds() -> None:
    assert governed("[{nodes: smt, source: host}]") == (
        GovernPlan("smt", "host", None, None, 10**9, "last", "mask", 1),
    )


def test_rules_and_hints_know_the_nodes_cores() -> None:
    made = plan(NODES + PHASE % "[{nodes: smt, by: hotplug, min_vcpus: 2}]")
    (govern,), node = made.phases[0].govern, made.node("smt")
    assert node_cores(node) == (Core((0, 1)), Core((2, 3)))
    rule = steal_rule(govern, node)
    assert (rule.high_pct, rule.low_pct, rule.policy, rule.min_vcpus) == (4.0, 1.5, "last", 2)
    hint = hint_guest(node, govern)
    assert (hint.min_vcpus, hint.keep_first) == (2, True)
    assert hint.pcpus == {vcpu.vcpu: vcpu.pcpus for vcpu in node.vcpus}
    assert hint_guest(node, None).keep_first is False


def test_numa_cells_are_those_of_the_node() -> None:
    cells = "numa: [{vcpus: 0-1, memory: 128MiB}, {vcpus: 2-3, memory: 128MiB}]"
    node = plan(f"nodes: [{{name: guest, vcpus: 4, {cells}}}]\n").node("guest")
    assert [core.cell for core in node_cores(node)] == [0, 0, 1, 1]


def test_the_plan_says_so_and_survives_json() -> None:
    made = plan(
        NODES + PHASE % "[{nodes: guest1, policy: numa, min_vcpus: 2}, {nodes: guest2, source: host}]"
    )
    text = render_plan_text(made)
    rule = "by steal, 1.5 % .. 4 %, policy numa, every 1 s, folding by mask, at least 2 vCPUs"
    assert f"    govern guest1 {rule}\n" in text
    assert "    govern guest2 by the host's hint, every 1 s, folding by mask\n" in text
    assert parse_plan_json(render_plan_json(made)) == made


# ---- watched files

MASK = "/sys/devices/system/cpu/paravirt"


def watched(text: str) -> dict[str, WatchPlan]:
    return {one.path: one for one in plan(NODES + text).measure.watch}


def test_where_something_governs_the_mask_is_watched() -> None:
    masks = watched(PHASE % "[{nodes: smt}]")
    assert masks[MASK] == WatchPlan("avoid_cpus", MASK)
    assert any(one.complement for one in masks.values()), "newer kernels keep the preferred ones"
    assert watched("knobs: [{nodes: smt, knob: steal.enable, value: 1}]\n") == masks
    assert watched("phases: [{name: a, duration: 5s, set: [{knob: steal.enable, value: 0}]}]\n") == masks
    assert watched("measure: {watch: [avoid_cpus]}\n") == masks


def test_nothing_is_watched_unasked() -> None:
    assert watched("") == {}
    assert watched(PHASE % "[{nodes: smt}]" + "measure: {watch: []}\n") == {}


def test_paths_and_knobs_of_all_kinds() -> None:
    found = watched("measure: {watch: [/proc/loadavg, steal.high]}\n")
    assert found["/proc/loadavg"] == WatchPlan("/proc/loadavg", "/proc/loadavg")
    assert "/sys/kernel/debug/sched/paravirt_governor/high_threshold" in found
    assert "/sys/module/steal_governor/parameters/high_threshold" in found


@pytest.mark.parametrize(
    ("kind", "path", "file"),
    [
        ("file", "/sys/a", "/sys/a"),
        ("debugfs", "sched/x", "/sys/kernel/debug/sched/x"),
        ("sysctl", "kernel.sched_rt_period_us", "/proc/sys/kernel/sched_rt_period_us"),
        ("module_parameter", "kvm/halt_poll_ns", "/sys/module/kvm/parameters/halt_poll_ns"),
        ("cgroup", "cpu.max", None),
        ("cmdline", "nosmp", None),
    ],
)
def test_places_that_are_files(kind: str, path: str, file: str | None) -> None:
    assert watchable_path(Backend("k", "g", kind, path)) == file  # type: ignore[arg-type]


def test_guests_are_told_on_their_command_line() -> None:
    made = plan(NODES + "measure: {watch: [/proc/loadavg, /sys/b]}\n", facts())
    assert " lab.watch=/proc/loadavg,/sys/b" in render_guest_cmdline(made, made.node("smt"))
    plain = plan(NODES)
    assert "lab.watch" not in render_guest_cmdline(plain, plain.node("smt"))


# ---- expectations


def test_limits_of_a_governor() -> None:
    (made,) = plan(
        NODES
        + PHASE % "[{nodes: 'guest*'}]"
        + "expect: [{governor: {nodes: 'guest*', phase: only, min_steps_down: 1, max_steps_up: 2, "
        + "settles_within: 3s}}]\n"
    ).expectations
    assert made.text == "governor of guest* in only: >= 1 step down, <= 2 steps up, no step after 3 s"
    assert made.targets == (("guest1", -1), ("guest2", -1))
    assert made.limits == (("min_steps_down", 1.0), ("max_steps_up", 2.0), ("settles_within", 3e9))


def test_decisions_in_every_phase() -> None:
    (made,) = plan(NODES + PHASE % "[{}]" + "expect: [{decisions_match: {}}]").expectations
    assert (made.phases, made.maximum, len(made.targets)) == (("only",), 3.0, 3)
    assert made.text == (
        "decisions of the governor of every guest in every phase: on the right side of its thresholds by the "
        "recorded steal, within 3 %"
    )


def test_the_kernels_own_governor_may_be_expected_things_of() -> None:
    text = NODES + "knobs: [{knob: steal.enable, value: 1}]\nphases: [{name: only, duration: 5s}]\n"
    assert topology(text + "expect: [{governor: {phase: only, min_steps_down: 1}}]").expectations
