# SPDX-License-Identifier: GPL-2.0-only
"""The plan for people."""

from __future__ import annotations

from planning import facts, plan

from lab.plan.text import render_plan_text

LAB = """\
nodes: [{name: g, count: 2, vcpus: 2, quota: 90%}, {name: idle}]
load: [{name: busy, nodes: 'g*', tasks: 2}, {name: pinned, nodes: g1, vcpus: 0-1, tasks: 1}]
knobs: [{nodes: g1, knob: avoid_cpus, value: ""}]
phases:
  - name: one
    start: [busy]
    duration: 1s
    set: [{nodes: g2, knob: avoid_cpus, value: "0"}]
  - {name: two, duration: 2s, stop: [busy]}
expect: [{steal: {phase: one, max: 60%}}]
"""


def test_everything_is_said() -> None:
    text = render_plan_text(plan(LAB, facts(where="nested", emulated=True)))
    rows = [line.split() for line in text.splitlines()]
    assert "lab unit on nested (x86_64, emulated)" in text
    assert ["g2", "1", "50.0", "%", "100", "90", "%", "1"] in rows
    assert ["idle", "0", "idle", "100", "-", "0"] in rows
    for line in (
        "  3 guests, 5 vCPUs, 768 MiB",
        "  pCPUs 0-2, housekeeping 3",
        "  overcommit 1.67 vCPUs for each pCPU",
        "  busy: 2 spin tasks unpinned in 2 guests",
        "  pinned: 1 spin task on vCPU 0-1 in 1 guest",
        "  set avoid_cpus of g1 to nothing",
        "  one: 1.0 s after 2.0 s to settle",
        "    start busy",
        "    set avoid_cpus of g2 to 0",
        "    stop busy",
        "  steal of every vCPU in one: <= 60 %",
        "  plain: debian 6.12",
    ):
        assert line in text.splitlines()


def test_fits_eighty_columns() -> None:
    assert max(map(len, render_plan_text(plan(LAB)).splitlines())) <= 80


def test_nothing_is_said_about_what_is_not_there() -> None:
    text = render_plan_text(plan("nodes: [{name: a}]\n"))
    assert not {"load:", "phases:", "expected:", "knobs before the first phase:"} & set(text.splitlines())


def test_a_guest_whose_command_line_changes_is_started_anew_and_that_is_said() -> None:
    lines = render_plan_text(
        plan(
            "nodes: [{name: g, vcpus: 4}]\n"
            "knobs: [{knob: nohz_full, value: 1}]\n"
            "phases:\n"
            "  - {name: same, duration: 1s, set: [{knob: nohz_full, value: 1}]}\n"
            "  - {name: other, duration: 1s, set: [{knob: nohz_full, value: 2-3}]}\n"
            "  - {name: still, duration: 1s, set: [{knob: avoid_cpus, value: 1}]}\n"
        )
    ).splitlines()
    said = [line for line in lines if "started anew" in line]
    assert said == ["    g is started anew, with another nohz_full on its command line"]
    assert lines.index(said[0]) == lines.index("  other: 1.0 s after 2.0 s to settle") + 2


def test_knobs_of_the_host_of_vcpus_and_optional_ones_are_told() -> None:
    lines = render_plan_text(
        plan(
            "nodes: [{name: g, vcpus: 4}]\n"
            "knobs:\n"
            "  - {knob: vcpu.quota, value: 50%}\n"
            "  - {knob: debooster.enable, value: true, optional: true}\n"
        )
    ).splitlines()
    at = lines.index("knobs before the first phase:")
    assert lines[at + 1 : at + 3] == [
        "  set vcpu.quota of g to 50",
        "  set debooster.enable of the host to 1 if its kernel has it",
    ]
