# SPDX-License-Identifier: GPL-2.0-only
"""Runs of loads: when they ran by the host's clock, in which phase, and what makes their figures doubtful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.measure.loadresults import load_results, start_skew_ns
from lab.measure.loadruns import LoadOutput, RunStatusError, parse_status
from lab.measure.windows import ClockMatch, LoadResult
from lab.plan.labplan import LoadMetricPlan, LoadPlan

S = 1_000_000_000
MS = 1_000_000
#: host = guest + this, by node.
OFFSETS = {"guest1": 100 * S, "guest2": 200 * S}
TIME = LoadMetricPlan("time", "s", "lower", "mean", pattern=r"^Time: (.*)$")


@dataclass(frozen=True)
class Happened:
    t_ns: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    name: str
    start_ns: int
    end_ns: int


ONE, TWO = Window("one", 1000 * S, 1010 * S), Window("two", 1020 * S, 1030 * S)


def load(node: str, ends: Any = "itself") -> LoadPlan:
    return LoadPlan("work", node, "mine", 1, (), ("work",), ends, metrics=(TIME,))


def status(node: str, begin_ns: int, end_ns: int, **more: int) -> bytes:
    """Times are the host's."""
    offset = OFFSETS[node]
    begin, end = (t - offset if t else 0 for t in (begin_ns, end_ns))
    said = {"at": begin, "begin": begin, "end": end, "status": 0, "stopped": 0, **more}
    said |= {"written": 9, "lost": 0, "user": 1, "system": 1}
    return ("pvload 1\n" + "".join(f"{key} {value}\n" for key, value in said.items())).encode()


def results(
    outputs: Mapping[str, Sequence[LoadOutput]],
    starts: Sequence[tuple[str, int, int]],
    loads: Sequence[LoadPlan] = (load("guest1"), load("guest2")),
    clocks: Mapping[str, int] = OFFSETS,
    stops: Sequence[tuple[str, int]] = (),
) -> tuple[LoadResult, ...]:
    """`starts` are (node, number, host's time), `stops` (node, host's time)."""
    events = [
        *(Happened(t, "load-start", {"load": "work", "node": node, "number": n}) for node, n, t in starts),
        *(Happened(t, "load-stop", {"load": "work", "node": node}) for node, t in stops),
    ]

    def clock_near(node: str, t_ns: int) -> ClockMatch | None:
        return ClockMatch(node, clocks[node], MS) if node in clocks else None

    return load_results(loads, sorted(events, key=lambda one: one.t_ns), outputs, (ONE, TWO), clock_near)


def one_result(status_bytes: bytes, text: str = "Time: 2.5\n", ends: Any = "itself") -> LoadResult:
    outputs = {"guest1": [LoadOutput("work", 0, status_bytes, text.encode())]}
    (found,) = results(outputs, [("guest1", 0, 1001 * S)], [load("guest1", ends)])
    return found


def test_times_are_the_hosts_and_values_by_metric() -> None:
    found = one_result(status("guest1", 1001 * S, 1004 * S))
    assert (found.node, found.load, found.phase, found.status) == ("guest1", "work", "one", 0)
    assert (found.begin_ns, found.end_ns) == (1001 * S, 1004 * S)
    assert found.values == (("time", 2.5),) and found.doubts == ()


@pytest.mark.parametrize(
    ("ends", "more", "doubt"),
    [
        ("itself", {"status": 1}, "it ended with status 1"),
        ("itself", {"status": 139}, "it ended with status 139"),
        ("itself", {"status": 143, "stopped": 1}, "it did not finish: it was stopped after 3.0 s"),
        ("itself", {"stopped": 1}, "it did not finish: it was stopped after 3.0 s"),
        ("stopped", {"status": 3}, "it ended by itself after 3.0 s, with status 3"),
        ("stopped", {"status": 0}, "it ended by itself after 3.0 s, with status 0"),
        ("stopped", {"status": 137, "stopped": 1}, "it ended with status 137"),
    ],
)
def test_a_bad_end_is_doubted(ends: str, more: dict[str, int], doubt: str) -> None:
    assert one_result(status("guest1", 1001 * S, 1004 * S, **more), ends=ends).doubts == (doubt,)


@pytest.mark.parametrize("code", [0, 143])
def test_a_load_that_runs_until_it_is_stopped_ends_well(code: int) -> None:
    found = one_result(status("guest1", 1001 * S, 1004 * S, status=code, stopped=1), ends="stopped")
    assert found.doubts == () and found.status == code


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("Tim", "its output does not tell time: nothing matches"),
        ("Time: fast\n", "its output does not tell time: 'fast' is not a number"),
        ("Time: 1\nTime: 2\n", "its output does not tell time: 2 matches"),
        ("Time: inf\n", "its output does not tell time: inf, which is no figure"),
    ],
)
def test_output_that_is_not_understood_is_doubted_and_no_value(text: str, doubt: str) -> None:
    found = one_result(status("guest1", 1001 * S, 1004 * S), text)
    assert found.values == () and [one.startswith(doubt) for one in found.doubts] == [True]


def test_output_that_never_came_is_a_result_without_values() -> None:
    (found,) = results({}, [("guest1", 0, 1001 * S)], stops=[("guest1", 1005 * S)])
    assert (found.phase, found.status, found.values) == ("one", None, ())
    assert (found.begin_ns, found.end_ns) == (1001 * S, 1005 * S)
    assert found.doubts == ("its output was not brought home",)


def test_a_status_that_is_damaged_is_told() -> None:
    found = one_result(b"pvload 1\nbegin x\n")
    assert found.status is None and "how it ended cannot be read" in found.doubts[0]


def test_what_was_stopped_before_it_began_says_so() -> None:
    found = one_result(status("guest1", 0, 0, status=143, stopped=1), text="")
    assert found.doubts[0] == "it was stopped before it began"


def test_without_a_clock_times_are_those_of_the_events() -> None:
    outputs = {"guest1": [LoadOutput("work", 0, status("guest1", 1001 * S, 1004 * S), b"Time: 1\n")]}
    (found,) = results(outputs, [("guest1", 0, 1002 * S)], clocks={}, stops=[("guest1", 1006 * S)])
    assert (found.begin_ns, found.end_ns) == (1002 * S, 1006 * S)
    assert found.doubts == ("the clock of guest1 is not known, nor when exactly it ran",)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "phase", "doubt"),
    [
        (999, 1011, "one", None),
        (1001, 1028, "one", "it ran through one, two: its figures are of all of them"),
        (1009.9, 1029, "two", None),
        (1012, 1015, "two", "nothing of it was in the window of two"),
        (1040, 1045, "two", "nothing of it was in the window of two"),
        (990, 999, "one", "nothing of it was in the window of one"),
    ],
)
def test_a_run_belongs_to_the_phase_that_has_most_of_it(
    begin_s: float, end_s: float, phase: str, doubt: str | None
) -> None:
    found = one_result(status("guest1", round(begin_s * S), round(end_s * S)))
    assert found.phase == phase and found.doubts == ((doubt,) if doubt else ())


def pair(late_ns: int, length_ns: int = 3 * S) -> tuple[LoadResult, ...]:
    begins = {"guest1": 1001 * S, "guest2": 1001 * S + late_ns}
    outputs = {
        node: [LoadOutput("work", 0, status(node, begin, begin + length_ns), b"Time: 1\n")]
        for node, begin in begins.items()
    }
    return results(outputs, [(node, 0, 1001 * S) for node in begins])


def test_guests_that_begin_together_are_trusted_and_their_skew_is_known() -> None:
    found = pair(2 * MS)
    assert [one.doubts for one in found] == [(), ()] and start_skew_ns(found) == 2 * MS
    assert start_skew_ns(found[:1]) is None


@pytest.mark.parametrize(("late_ns", "length_ns"), [(200 * MS, 3 * S), (60 * MS, S)])
def test_who_begins_late_is_doubted(late_ns: int, length_ns: int) -> None:
    first, late = pair(late_ns, length_ns)
    assert first.doubts == ()
    (doubt,) = late.doubts
    assert doubt.startswith(
        f"it began {late_ns // MS} ms after the first, which ran for {length_ns // S}.0 s"
    )


def test_a_little_later_in_a_long_run_does_not_matter() -> None:
    assert [one.doubts for one in pair(140 * MS, 3 * S)] == [(), ()]


def test_runs_that_follow_each_other_on_one_node_are_not_late() -> None:
    outputs = {
        "guest1": [
            LoadOutput("work", number, status("guest1", begin, begin + S), b"Time: 1\n")
            for number, begin in ((0, 1001 * S), (1, 1005 * S))
        ]
    }
    found = results(outputs, [("guest1", 0, 1001 * S), ("guest1", 1, 1005 * S)])
    assert [(one.begin_ns, one.doubts) for one in found] == [(1001 * S, ()), (1005 * S, ())]


def test_spin_has_no_runs() -> None:
    spin = LoadPlan("work", "guest1", "spin", 2, ())
    events = [("guest1", 0, 1001 * S)]
    assert results({}, events, [spin]) == ()


def test_a_status_is_read_whole() -> None:
    found = parse_status(status("guest1", 1001 * S, 1004 * S, status=3))
    assert (found.begin_ns, found.end_ns, found.status, found.written) == (901 * S, 904 * S, 3, 9)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_status_breaks_the_reader(data: bytes) -> None:
    for text in (data, b"pvload 1\n" + data):
        try:
            parse_status(text)
        except RunStatusError:
            continue


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_output_breaks_a_measurement(text: str) -> None:
    found = one_result(status("guest1", 1001 * S, 1004 * S), text)
    assert len(found.values) + len(found.doubts) == 1


@pytest.mark.parametrize(
    ("what", "first", "kept"),
    [
        ("repeat 2 of arm base", "base.1", [0, 2]),
        ("repeat 2 of arm patched", "base.1", [0, 2]),
        ("repeat 1 of arm base", "base.1", [2]),
        ("repeat 0 of arm base", "base.w1", [2]),
        ("boot of guest guest1", "base.1", [0, 1, 2]),
    ],
)
def test_runs_of_a_repeat_that_was_measured_again_do_not_count(
    what: str, first: str, kept: list[int]
) -> None:
    """Run 0 is in a first window, run 1 between that and the retry, run 2 in a window after it."""
    windows = [Window(f"one.{first}", 1000 * S, 1010 * S), Window("one.base.2", 1040 * S, 1050 * S)]
    events = [
        Happened(1001 * S, "load-start", {"load": "work", "node": "guest1", "number": 0}),
        Happened(1010 * S, "phase", {"phase": f"one.{first}"}),
        Happened(1021 * S, "load-start", {"load": "work", "node": "guest1", "number": 1}),
        Happened(0, "retry", {"what": what}),
        Happened(1041 * S, "load-start", {"load": "work", "node": "guest1", "number": 2}),
    ]
    starts = [event.t_ns for event in events if event.kind == "load-start"]
    outputs = {
        "guest1": [
            LoadOutput("work", n, status("guest1", t, t + 5 * S), b"Time: 2.5\n")
            for n, t in enumerate(starts)
        ]
    }
    found = load_results(
        [load("guest1")], events, outputs, windows, lambda node, _: ClockMatch(node, OFFSETS[node], MS)
    )
    assert [starts.index(one.begin_ns) for one in found] == kept
