# SPDX-License-Identifier: GPL-2.0-only
"""Parsers of what loads print, on what they really printed and on what they might."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.loads.catalogue import shipped_loads
from lab.loads.command import Place, render_load
from lab.loads.values import load_values
from lab.measure.loadparsers import (
    PARSERS,
    OutputError,
    parse_cyclictest_json,
    parse_ping,
    parse_pvlock,
    percentile,
    read_metric,
)
from lab.plan.labplan import LoadMetricPlan
from lab.plan.loads import plan_metric

#: Outputs as they were in recordings of the lab; README.md there says of what, on which kernel.
OUTPUTS = Path(__file__).parents[2] / "data/loads"
PLACE = Place("guest1", 2, 256, "10.0.0.2", "10.0.0.3", {})


def metrics_of(kind: str, **given_values: int) -> dict[str, LoadMetricPlan]:
    entry = shipped_loads()[kind]
    made = render_load(entry, load_values(entry, given_values), PLACE)
    return {one.name: plan_metric(one, made.amounts.get(one.name)) for one in entry.metrics}


def figures(kind: str, text: str, **given_values: int) -> dict[str, float]:
    return {name: read_metric(one, text) for name, one in metrics_of(kind, **given_values).items()}


def output(name: str) -> str:
    return (OUTPUTS / f"{name}.out").read_text()


# ---- what was really printed


def test_hackbench() -> None:
    found = figures("hackbench", output("hackbench"), groups=4, loops=500)
    assert found == {"time": 9.385, "messages": pytest.approx(4 * 20 * 20 * 500 / 9.385)}


def test_ping() -> None:
    text = output("ping")
    times = sorted(float(line.split("time=")[1].split()[0]) for line in text.splitlines() if "time=" in line)
    assert len(times) == 80
    found = figures("ping", text)
    assert found["max"] == pytest.approx(20826) and found["lost"] == 0.0
    assert found["p50"] == pytest.approx(times[39] * 1000) and found["p99"] == pytest.approx(times[79] * 1000)


def test_cyclictest() -> None:
    document = json.JSONDecoder().raw_decode(output("cyclictest"))[0]
    latencies = sorted(
        float(us)
        for thread in document["thread"].values()
        for us, count in thread["histogram"].items()
        for _ in range(count)
    )
    assert len(latencies) == sum(thread["cycles"] for thread in document["thread"].values())
    found = figures("cyclictest", output("cyclictest"))
    assert found["max"] == max(thread["max"] for thread in document["thread"].values()) == latencies[-1]
    assert (
        found["p50"] == latencies[len(latencies) // 2 - 1] or found["p50"] == latencies[len(latencies) // 2]
    )
    assert latencies[-len(latencies) // 50] <= found["p99"] <= latencies[-1]


@pytest.mark.parametrize("mode", ["spinning", "sleeping"])
def test_locks_in_user_space(mode: str) -> None:
    found = figures("lock-holder", output(f"lock-holder-{mode}"))
    assert found["operations"] > 1000 and 19 < found["hold_p50"] < 25
    assert found["wait_p50"] <= found["wait_p99"] <= found["wait_max"]
    assert found["hold_max"] > 10_000


def test_a_lock_in_the_kernel() -> None:
    text = output("lock-holder-in-kernel")
    found = parse_pvlock(text)
    assert found["operations"] == pytest.approx(67045 * 1e9 / 8001758237)
    assert (found["wait_p50"], found["wait_p99"], found["wait_max"]) == (47.104, 2490.368, 50254.445)
    assert "hold_p50" not in found


def test_sysbench() -> None:
    text = output("sysbench")
    found = figures("sysbench-cpu", text)
    assert f"events per second: {found['events']:>8.2f}" in text and found["events"] > 0
    assert found["p95"] > 0


def test_stress_ng() -> None:
    text = output("stress-ng")
    (line,) = [one for one in text.splitlines() if " cpu " in one and "metrc" in one and "bogo" not in one]
    words = line.split()
    assert figures("stress-ng", text) == {"operations": float(words[words.index("cpu") + 5])}


#: Not of a run: written after what schbench.c (show_latencies, main) prints, an interim report first.
SCHBENCH = """\
setting worker threads to 2
Wakeup Latencies percentiles (usec) runtime 10 (s) (200 total samples)
\t  50.0th: 1          (100 samples)
\t  90.0th: 2          (80 samples)
\t* 99.0th: 3          (18 samples)
\t  99.9th: 4          (2 samples)
\t  min=1, max=4
current rps: 17.00
Wakeup Latencies percentiles (usec) runtime 20 (s) (400 total samples)
\t  50.0th: 11         (200 samples)
\t  90.0th: 20         (160 samples)
\t* 99.0th: 33         (36 samples)
\t  99.9th: 40         (4 samples)
\t  min=1, max=4711
Request Latencies percentiles (usec) runtime 20 (s) (400 total samples)
\t  50.0th: 1100       (200 samples)
\t  90.0th: 2000       (160 samples)
\t* 99.0th: 3300       (36 samples)
\t  99.9th: 4000       (4 samples)
\t  min=900, max=47110
RPS percentiles (requests) runtime 20 (s) (21 total samples)
\t  20.0th: 18         (5 samples)
\t* 50.0th: 20         (8 samples)
\t  90.0th: 21         (7 samples)
\t  min=17, max=22
average rps: 20.05
sched delay: message 100 (usec) worker 2000 (usec)
"""


def test_schbench() -> None:
    found = figures("schbench", SCHBENCH)
    assert found == {"requests": 20.05, "wakeup_p50": 11, "wakeup_p99": 33, "request_p99": 3300}


def test_kernel_build() -> None:
    text = "objects 19\nseconds 24.96\nobjects per second 0.76\n"
    assert figures("kernel-build", text) == {"objects": 0.76, "time": 24.96}


# ---- what they might


@pytest.mark.parametrize(
    ("parser", "text", "message"),
    [
        ("ping", "", "no line that says how many packets"),
        ("ping", "5 packets transmitted, 0 packets received, 100% packet loss\n", "no p50 in it"),
        ("pvlock", "", "no line that begins with pvlock"),
        ("pvlock", "pvlock 1 mode=spin operations=5\n", "no line that begins with pvlock"),
        ("cyclictest-json", "WARN: nothing\n", "no whole JSON"),
        ("cyclictest-json", '{\n"thread": {"0": {"max": 3', "no whole JSON"),
        (
            "cyclictest-json",
            '{\n"thread": {"0": {"max": null, "cycles": 1, "histogram": {}}}}',
            "no whole JSON",
        ),
        ("cyclictest-json", '{\n"thread": {"0": {"max": 3, "cycles": 0, "histogram": {}}}}', "no wake-up"),
        ("nobody", "text", "parser nobody is not known"),
    ],
)
def test_output_that_cannot_be_understood_says_why(parser: str, text: str, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        read_metric(LoadMetricPlan("p50", "us", "lower", "mean", parser=parser), text + "\n")


def test_all_echoes_lost_is_a_figure() -> None:
    assert parse_ping("5 packets transmitted, 0 packets received, 100% packet loss\n") == {"lost": 100.0}


def test_wakeups_beyond_the_histogram_count_as_the_latest() -> None:
    thread = {"max": 900, "cycles": 100, "histogram": {"10": 90}}
    found = parse_cyclictest_json("# said before\n" + json.dumps({"thread": {"0": thread}}, indent=2))
    assert found == {"p50": 10.0, "p99": 900.0, "max": 900.0}


@pytest.mark.parametrize(
    ("take", "value"),
    [("first", 3.0), ("last", 1.0), ("sum", 6.0), ("mean", 2.0), ("max", 3.0), ("min", 1.0)],
)
def test_several_matches(take: str, value: float) -> None:
    metric = LoadMetricPlan("x", "", "lower", "sum", pattern=r"^x (\d)$", take=take)  # type: ignore[arg-type]
    assert read_metric(metric, "x 3\nx 2\nx 1\n") == value


def test_scale_and_amount() -> None:
    metric = LoadMetricPlan("x", "", "lower", "sum", pattern=r"^x (\d)$", scale=10, amount=8)
    assert read_metric(metric, "x 4\n") == 20.0
    with pytest.raises(OutputError, match="no rate"):
        read_metric(metric, "x 0\n")


@given(st.lists(st.integers(0, 1000), min_size=1), st.floats(0.01, 1))
def test_percentiles_are_values_that_enough_reach(values: list[int], share: float) -> None:
    found = percentile([(float(value), 1) for value in sorted(values)], share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9


@settings(deadline=None)
@given(st.sampled_from(sorted(PARSERS)), st.text(max_size=300))
def test_no_output_breaks_a_parser(parser: str, text: str) -> None:
    for said in (text, "{\n" + text, f"pvlock 1 {text}", f"3 packets transmitted, {text}"):
        try:
            PARSERS[parser](said)
        except OutputError:
            continue


@settings(deadline=None)
@given(st.sampled_from(["hackbench", "ping", "cyclictest", "lock-holder-spinning"]), st.data())
def test_output_that_is_cut_short_is_told_or_told_right(name: str, data: st.DataObject) -> None:
    """A figure out of half an output would be a wrong one."""
    whole = output(name)
    kind = name.removesuffix("-spinning")
    text = whole[: data.draw(st.integers(0, len(whole) - 2))]
    for metric in metrics_of(kind).values():
        try:
            found = read_metric(metric, text)
        except OutputError:
            continue
        assert found == read_metric(metric, whole)
