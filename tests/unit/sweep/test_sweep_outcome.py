# SPDX-License-Identifier: GPL-2.0-only
"""What came out of a grid: which numbers are meant, how they lie over the grid, and which point is a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from unit.judge.judging import make_plan

from lab.errors import InputError, UndecidedError
from lab.judge.metrics import MetricValue
from lab.plan.labplan import PhasePlan
from lab.stats.compare import Change
from lab.sweep.best import find_default, render_default
from lab.sweep.grid import point_key
from lab.sweep.heat import SHADES, plan_tables, render_heat, shade
from lab.sweep.outcome import (
    Measured,
    MetricRow,
    RunOutcome,
    Sought,
    metric_rows,
    parse_sought,
    select_metric,
)
from lab.sweep.spec import Value

GRID: dict[str, tuple[Value, ...]] = {"high": (2, 5, 10), "low": (1, 2)}
Parameters = Mapping[str, Value]


def points() -> list[dict[str, Value]]:
    return [{"high": high, "low": low} for high in GRID["high"] for low in GRID["low"]]


def outcome(parameters: Parameters, rows: list[MetricRow], repeat: int = 1) -> RunOutcome:
    return RunOutcome(point_key(parameters), repeat, parameters, "", "finished", 0, 1.0, "", "", tuple(rows))


def work(
    value: float, *, phase: str = "contended", arm: str | None = None, doubts: tuple[str, ...] = ()
) -> MetricRow:
    return MetricRow(
        phase, arm, 0 if arm is None else 1, "busy.throughput", "work/s", "higher", value, doubts
    )


def outcomes(value: Callable[[Parameters], float], runs: int = 5, noise: float = 1.0) -> list[RunOutcome]:
    """Every point, measured in several runs that differ by a little."""
    return [
        outcome(one, [work(value(one) + noise * (repeat - 3))], repeat)
        for repeat in range(1, runs + 1)
        for one in points()
    ]


def peak(one: Parameters) -> float:
    """Best at high=5, low=2."""
    return 1000 - 300 * abs(int(one["high"]) - 5) - (0 if one["low"] == 2 else 200)


# ---- names


@pytest.mark.parametrize(
    ("text", "sought"),
    [
        ("steal", Sought("steal")),
        ("busy.throughput", Sought("busy.throughput")),
        ("contended:steal", Sought("steal", "contended")),
        ("contended.feature-on:busy.throughput", Sought("busy.throughput", "contended", "feature-on")),
    ],
)
def test_a_metric_is_named_with_where_it_was_measured(text: str, sought: Sought) -> None:
    assert parse_sought(text) == sought
    assert sought.text == text


def test_several_places_have_to_be_told_apart() -> None:
    rows = [work(1.0, phase="one"), work(2.0, phase="two", arm="on")]
    runs = [outcome(points()[0], rows)]
    with pytest.raises(InputError, match=r"say in which: one:busy.throughput, two.on:busy.throughput"):
        select_metric(runs, Sought("busy.throughput"))
    assert select_metric(runs, Sought("busy.throughput", "two")).points["high=2,low=1"].values == (2.0,)
    with pytest.raises(InputError, match=r"no run has the metric 'steal'; there is one:busy.throughput"):
        select_metric(runs, Sought("steal"))


def test_values_of_a_point_are_those_of_all_its_runs_but_for_doubted_ones() -> None:
    here = points()[0]
    runs = [
        outcome(here, [work(1.0, arm="a"), work(2.0, arm="a")], 1),
        outcome(here, [work(3.0, arm="a", doubts=("disturbed",))], 2),
    ]
    measured = select_metric(runs, Sought("busy.throughput"))
    assert measured.points["high=2,low=1"].values == (1.0, 2.0)
    assert measured.points["high=2,low=1"].doubted == 1
    assert measured.sought == Sought("busy.throughput", "contended", "a")


def test_warm_up_is_no_outcome() -> None:
    phases = tuple(PhasePlan(f"p.a.{n}", 1, 1, (), (), (), arm="a", repeat=n, template="p") for n in (0, 1))
    plan = replace(make_plan(), phases=phases)
    values = [MetricValue(f"p.a.{n}", "steal", "%", "lower", 10.0 * n, ("why",)) for n in (0, 1)]
    assert metric_rows(plan, values) == (MetricRow("p", "a", 1, "steal", "%", "lower", 10.0, ("why",)),)
    plain = metric_rows(make_plan(), [MetricValue("contended", "steal", "%", "lower", 5.0)])
    assert plain == (MetricRow("contended", None, 0, "steal", "%", "lower", 5.0),)


# ---- tables


def select(runs: list[RunOutcome]) -> Measured:
    return select_metric(runs, Sought("busy.throughput"))


def test_the_last_parameter_goes_across_and_the_one_before_down() -> None:
    (table,) = plan_tables(GRID, select(outcomes(lambda one: 10 * int(one["high"]) + int(one["low"]))))
    assert (table.down, table.across, table.rows, table.columns) == ("high", "low", (2, 5, 10), (1, 2))
    assert table.means == ((21, 22), (51, 52), (101, 102))


def test_shades_go_from_the_lowest_to_the_highest() -> None:
    text = render_heat(GRID, select(outcomes(lambda one: int(one["high"]) * 1000.0)))
    assert text == (
        "contended:busy.throughput, work/s, mean; higher is better\n"
        "\n"
        "           low=1    low=2\n"
        "high=2    2000 .   2000 .\n"
        "high=5    5000 =   5000 =\n"
        "high=10  10000 @  10000 @\n"
        "\n"
        "N 5 .. 5 at a point\n"
    )
    assert [shade(value, 0, 9) for value in range(10)] == [*SHADES, SHADES[-1]]
    assert shade(1, 1, 1) == SHADES[len(SHADES) // 2]


def test_what_was_not_measured_or_is_doubted_is_no_number() -> None:
    first, second, *_ = points()
    runs = [outcome(first, [work(7.0)]), outcome(second, [work(9.0, doubts=("disturbed",))])]
    text = render_heat(GRID, select(runs))
    assert "high=2     7 +    ?\n" in text
    assert "high=5     -      -\n" in text
    assert text.endswith("N 0 .. 1 at a point; 1 doubted values left out\n")


def test_one_parameter_is_one_line_and_three_are_several_tables() -> None:
    one = {"guests": (1, 2)}
    runs = [outcome({"guests": guests}, [work(float(guests))]) for guests in (1, 2)]
    assert "  guests=1  guests=2\n       1 .       2 @\n" in render_heat(one, select(runs))
    three = {"a": (1, 2), "b": (1, 2), "c": (1, 2)}
    every = [{"a": a, "b": b, "c": c} for a in (1, 2) for b in (1, 2) for c in (1, 2)]
    tables = plan_tables(three, select([outcome(here, [work(float(here["a"]))]) for here in every]))
    assert [table.fixed for table in tables] == [{"a": 1}, {"a": 2}]
    assert [table.means for table in tables] == [((1, 1), (1, 1)), ((2, 2), (2, 2))]


# ---- defaults


def test_the_best_point_stands_out_where_every_neighbour_is_worse() -> None:
    found = find_default(GRID, select(outcomes(peak)))
    assert found.best.parameters == {"high": 5, "low": 2}
    assert [one.point.parameters for one in found.neighbours] == [
        {"high": 2, "low": 2},
        {"high": 10, "low": 2},
        {"high": 5, "low": 1},
    ]
    assert {one.comparison.verdict for one in found.neighbours} == {Change.REGRESSED}
    text = render_default(found)
    assert "best of 6 points by contended:busy.throughput: high=5 low=2" in text
    assert "every neighbour is worse: a default that stands out" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_plateau_is_told() -> None:
    found = find_default(GRID, select(outcomes(lambda one: 1000 + 0.1 * int(one["high"]))))
    assert found.is_sure
    assert "a default on a plateau" in render_default(found)


def test_what_noise_hides_is_not_claimed() -> None:
    found = find_default(GRID, select(outcomes(lambda one: 1000 + 40 * int(one["low"]), noise=80.0)))
    assert not found.is_sure
    assert "not every neighbour can be told apart" in render_default(found)


def test_less_may_be_better() -> None:
    def steal(one: Parameters) -> float:
        return float(one["high"])  # type: ignore[arg-type]

    rows = [
        outcome(one, [MetricRow("p", None, 0, "steal", "%", "lower", steal(one) + repeat / 10)], repeat)
        for repeat in range(1, 6)
        for one in points()
    ]
    found = find_default(GRID, select_metric(rows, Sought("steal")))
    assert found.best.parameters["high"] == 2
    assert {one.comparison.scale for one in found.neighbours} == {"points"}
    assert " points [" in render_default(found)


def test_a_single_run_is_sure_of_nothing() -> None:
    found = find_default(GRID, select(outcomes(peak, runs=1)))
    assert found.best.parameters == {"high": 5, "low": 2}
    assert not found.is_sure


def test_without_a_direction_or_a_value_there_is_no_best() -> None:
    neither = [outcome(points()[0], [MetricRow("p", None, 0, "x", "", "neither", 1.0)])]
    with pytest.raises(InputError, match="neither more nor less"):
        find_default(GRID, select_metric(neither, Sought("x")))
    doubted = [outcome(points()[0], [work(1.0, doubts=("disturbed",))])]
    with pytest.raises(UndecidedError):
        find_default(GRID, select(doubted))
