# SPDX-License-Identifier: GPL-2.0-only
"""What a run starts anew, and how long it is said to take."""

from __future__ import annotations

from unit.plan.planning import catalogue, facts, topology

from lab.plan.decide import plan_lab
from lab.plan.labplan import LabPlan
from lab.plan.restarts import Restart, plan_restarts, render_restart
from lab.plan.runtime import estimate_run_ns
from lab.plan.text import render_plan_text

HEAD = """\
version: 1
name: unit
kernels:
  plain: {source: {debian: "6.12"}}
  patched: {source: {debian: "6.12"}, patches: [paravirt-cpus]}
knob_definitions:
  boot.test: {type: text, backends: [{kind: cmdline, path: test}]}
nodes:
  - {name: guest, count: 2, vcpus: 2, kernel: plain}
knobs: [{nodes: guest1, knob: boot.test, value: usual}]
"""
PHASES = "phases: [{name: one, duration: 3s}, {name: two, duration: 3s}]\n"


def planned(rest: str, where: str = "local") -> LabPlan:
    asked = topology(rest, HEAD)
    return plan_lab(asked, facts(where=where, emulated=where == "nested"), "unit0", catalogue(asked))


def restarts(plan: LabPlan) -> dict[str, tuple[Restart, ...]]:
    return {phase.name: each for phase, each in zip(plan.phases, plan_restarts(plan), strict=True) if each}


def test_a_guest_is_started_anew_only_where_its_kernel_differs_from_the_one_that_runs() -> None:
    third = "{name: c, kernel: [{nodes: guest2, kernel: patched}]}"
    arms = f"arms: [{{name: a, kernel: plain}}, {{name: b, kernel: patched}}, {third}]\n"
    plan = planned(PHASES + arms + "repeats: {count: 2, warmup: 0, order: abba}\n")
    both = ("guest1", "guest2")
    assert restarts(plan) == {
        "one.b.1": tuple(Restart(node, "patched", ()) for node in both),
        "one.c.1": (Restart("guest1", "plain", ()),),
        "one.b.2": (Restart("guest1", "patched", ()),),
        "one.a.2": tuple(Restart(node, "plain", ()) for node in both),
    }


def test_command_lines_go_back_to_what_they_were_before_the_first_phase() -> None:
    second = "{name: b, set: [{nodes: guest1, knob: boot.test, value: other}]}"
    arms = f"arms: [{{name: a}}, {second}, {{name: c, kernel: patched}}]\n"
    plan = planned(PHASES + arms + "repeats: {count: 2, warmup: 0, order: abba}\n")
    assert restarts(plan) == {
        "one.b.1": (Restart("guest1", None, ("test",)),),
        "one.c.1": (Restart("guest1", "patched", ("test",)), Restart("guest2", "patched", ())),
        "one.b.2": (Restart("guest1", "plain", ("test",)), Restart("guest2", "plain", ())),
        "one.a.2": (Restart("guest1", None, ("test",)),),
    }


def test_without_arms_command_lines_stay_as_phases_set_them() -> None:
    one = "{name: one, duration: 3s, set: [{nodes: 'guest*', knob: boot.test, value: usual}]}"
    two = "{name: two, duration: 3s, set: [{nodes: guest2, knob: boot.test, value: usual}]}"
    assert restarts(planned(f"phases: [{one}, {two}]\n")) == {"one": (Restart("guest2", None, ("test",)),)}


def test_a_restart_is_told_with_its_reason() -> None:
    assert render_restart(Restart("guest1", "patched", ())) == "guest1 is started anew, with kernel patched"
    told = render_restart(Restart("guest1", "patched", ("a", "b")))
    assert told == "guest1 is started anew, with kernel patched and with another a, b on its command line"


def test_time_grows_with_windows_and_restarts_and_is_longer_under_emulation() -> None:
    same, other = (
        PHASES + f"arms: [{{name: a}}, {{name: b, kernel: {one}}}]\n" for one in ("plain", "patched")
    )
    few, many = (planned(same + f"repeats: {{count: {count}}}\n") for count in (2, 4))
    certain_s = sum(phase.duration_ns + phase.settle_ns for phase in many.phases) / 1e9
    assert certain_s == 5 * 2 * 2 * 5
    assert certain_s < estimate_run_ns(many) / 1e9 < 2 * certain_s
    assert (
        estimate_run_ns(few)
        < estimate_run_ns(many)
        < estimate_run_ns(planned(other + "repeats: {count: 4}\n"))
    )
    assert estimate_run_ns(many) < estimate_run_ns(planned(same + "repeats: {count: 4}\n", where="nested"))


def test_the_text_shows_arms_order_and_time() -> None:
    arms = "arms: [{name: a}, {name: b, kernel: patched, set: [{knob: steal.high, value: 5%}]}]\n"
    text = render_plan_text(
        planned(PHASES + arms + "repeats: {count: 2, warmup: 1, aa: true, order: abba}\n")
    )
    for part in (
        "  a: the baseline\n",
        "  b: compared with a\n    kernel patched in every guest\n    set steal.high of guest1 to 500\n",
        "  aa: the same as a, to see how much two equal arms differ\n",
        "  1 of warm-up (w), 2 counted; ABBA\n  w1  aa, b, a\n   1  a, b, aa\n   2  aa, b, a\n",
        "  18 windows and settling before them: 90 s\n",
        "  guests started anew 12 times\n",
        "  one: 3.0 s after 2.0 s to settle\n",
    ):
        assert part in text, part
    assert "once everything is built" in text
    assert max(map(len, text.splitlines())) <= 80
