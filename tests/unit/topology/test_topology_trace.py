# SPDX-License-Identifier: GPL-2.0-only
"""What is traced: said of a file, a phase and an arm, and what of it holds in the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeworld import make_facts, make_plan, make_topology

from lab.plan.arch import trace_clock
from lab.plan.labplan import LabPlan, parse_plan_json, render_plan_json
from lab.plan.text import render_plan_text
from lab.plan.tracing import GUEST_EVENTS, HOST_EVENTS, Traced, plan_trace
from lab.topology.schema import topology_schema
from lab.topology.tracespec import trace_words

HEAD = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
"""


def plan(text: str) -> LabPlan:
    return make_plan(make_topology(HEAD + text), make_facts())


def traced(planned: LabPlan) -> dict[str, tuple[bool, bool]]:
    """By phase whether the host is traced, and the guests."""
    return {
        phase.name: (
            bool(phase.trace and phase.trace.host_events),
            bool(phase.trace and phase.trace.guest_events),
        )
        for phase in planned.phases
    }


def test_a_phase_says_it_for_itself_and_the_file_for_the_rest() -> None:
    planned = plan(
        "trace: sched\n"
        "phases: [{name: one, duration: 5s}, {name: two, duration: 5s, trace: off}, "
        "{name: three, duration: 5s, trace: guest}, {name: four, duration: 5s, trace: [guest, sched]}]\n"
    )
    assert traced(planned) == {
        "one": (True, False),
        "two": (False, False),
        "three": (False, True),
        "four": (True, True),
    }
    assert planned.phases[1].trace is None


def test_an_arm_says_it_for_all_of_its_phases() -> None:
    planned = plan(
        "phases: [{name: one, duration: 5s, trace: sched}, {name: two, duration: 5s}]\n"
        "arms: [{name: as-it-is}, {name: untraced, trace: off}, {name: both, trace: [sched, guest]}]\n"
        "repeats: {count: 2, warmup: 0}\n"
    )
    found = {(name.partition(".")[0], name.split(".")[1]): seen for name, seen in traced(planned).items()}
    assert found == {
        ("one", "as-it-is"): (True, False),
        ("two", "as-it-is"): (False, False),
        ("one", "untraced"): (False, False),
        ("two", "untraced"): (False, False),
        ("one", "both"): (True, True),
        ("two", "both"): (True, True),
    }
    text = render_plan_text(planned)
    assert text.count("trace the host by x86-tsc") == 1, (
        "of the phase that says so, not of what arms make of it"
    )
    assert "  trace nothing\n" in text and "  trace sched, guest\n" in text


def test_what_every_arm_says_for_itself_is_not_said_of_phases() -> None:
    text = render_plan_text(
        plan(
            "phases: [{name: one, duration: 5s}]\n"
            "arms: [{name: traced, trace: sched}, {name: untraced, trace: off}]\n"
        )
    )
    assert "trace the host" not in text and "  trace sched\n" in text


def test_nothing_is_traced_unless_it_is_asked_for() -> None:
    assert traced(plan("phases: [{name: one, duration: 5s}]\n")) == {"one": (False, False)}


@pytest.mark.parametrize("text", ["off", "'off'"])
def test_off_may_stand_without_quotes(text: str) -> None:
    assert plan(f"trace: {text}\nphases: [{{name: one, duration: 5s}}]\n").phases[0].trace is None


def test_the_words() -> None:
    assert trace_words(None) is None
    assert trace_words("off") == ()
    assert trace_words("sched") == ("sched",)
    assert trace_words(("sched", "guest")) == ("sched", "guest")


def test_a_plan_with_traces_survives_json() -> None:
    planned = plan("trace: [sched, guest]\nphases: [{name: one, duration: 5s}]\n")
    assert parse_plan_json(render_plan_json(planned)) == planned


def test_the_schema_takes_what_the_reader_takes() -> None:
    choices, entries, _none = topology_schema()["properties"]["trace"]["anyOf"]
    assert choices["enum"] == ["sched", "guest", "off"]
    assert entries["items"]["enum"] == ["sched", "guest"]


# ---- sizes


def sizes(**changed: int) -> tuple[int, int]:
    about = {"vcpus_on_pcpu": 2, "memory_mib": 256, "vcpus": 2, **changed}
    duration_ns = about.pop("duration_ns", 60_000_000_000)
    made = plan_trace(("sched", "guest"), Traced("x86_64", **about), duration_ns)
    assert made is not None
    return made.buffer_kib, made.guest_buffer_kib


def test_buffers_grow_with_what_runs_on_a_pcpu_and_shrink_with_short_windows() -> None:
    usual, _ = sizes()
    more, _ = sizes(vcpus_on_pcpu=8)
    short, _ = sizes(duration_ns=1_000_000_000)
    most, _ = sizes(vcpus_on_pcpu=1000)
    assert short < usual < more < most == 16 * 1024
    assert usual * 1024 >= 5_000 * 80 * 4, "four seconds of what two vCPUs may do"


def test_buffers_of_a_guest_leave_it_its_memory() -> None:
    for memory_mib in (128, 256, 4096):
        for vcpus in (1, 4, 16):
            _, guest_kib = sizes(memory_mib=memory_mib, vcpus=vcpus)
            assert guest_kib >= 256
            assert guest_kib == 256 or guest_kib * vcpus <= memory_mib * 1024 / 16


def test_what_is_recorded_and_by_which_clock() -> None:
    planned = plan("trace: [sched, guest]\nphases: [{name: one, duration: 5s}]\n").phases[0].trace
    assert planned is not None
    assert planned.host_events == HOST_EVENTS and planned.guest_events == GUEST_EVENTS
    assert planned.clock == "x86-tsc" == trace_clock("x86_64")
    assert trace_clock("riscv64") == "mono"
    assert 0 < planned.guest_limit_mib <= 64


def test_the_plan_says_in_words_what_is_traced_and_in_how_much_room() -> None:
    text = render_plan_text(plan("trace: [sched, guest]\nphases: [{name: one, duration: 5s}]\n"))
    assert "trace the host by x86-tsc: sched_switch, sched_wakeup" in text
    assert "trace every guest by x86-tsc: sched_switch, local_timer_entry" in text
    assert "KiB for each pCPU" in text and "KiB for each vCPU" in text
    assert "events that wait to be read" in text
    assert max(map(len, text.splitlines())) <= 80


def test_events_of_the_reference_kernel_are_those_that_its_series_defines() -> None:
    series = Path(__file__).parents[3] / "images/kernels/paravirt-cpus"
    patches = "".join(path.read_text() for path in series.glob("*.patch"))
    ours = [event.rpartition(":")[2] for event in GUEST_EVENTS if "paravirt" in event]
    assert len(ours) == 3
    for name in ours:
        assert f"+TRACE_EVENT({name}," in patches
