# SPDX-License-Identifier: GPL-2.0-only
"""One number for each metric of a phase, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import make_measurements, make_plan, make_task, with_phase_doubt

from lab.judge.evidence import Evidence
from lab.judge.metrics import MetricValue, collect_metrics, main_metric
from lab.measure.windows import LoadResult, Measurements
from lab.plan.labplan import LabPlan, LoadMetricPlan, LoadPlan, PredictedSteal

TIME = LoadMetricPlan("time", "s", "lower", "mean")
RATE = LoadMetricPlan("rate", "1/s", "higher", "sum")
WORST = LoadMetricPlan("worst", "us", "lower", "max")


def metrics_of(measurements: Measurements, plan: LabPlan | None = None) -> dict[tuple[str, str], MetricValue]:
    values = collect_metrics(Evidence(plan or make_plan(), measurements))
    return {(one.phase, one.metric): one for one in values}


def bench_plan() -> LabPlan:
    loads = tuple(
        LoadPlan("bench", node, "hackbench", 4, (), ("hackbench",), metrics=(TIME, RATE, WORST))
        for node in ("guest1", "guest2")
    )
    return replace(make_plan(), loads=loads)


def result(node: str, time: float, rate: float, worst: float, doubts: tuple[str, ...] = ()) -> LoadResult:
    values = (("time", time), ("rate", rate), ("worst", worst))
    return LoadResult(node, "bench", "contended", 0, 1, 0, values, doubts)


def bench(*results: LoadResult) -> dict[tuple[str, str], MetricValue]:
    return metrics_of(replace(make_measurements(), tasks=(), load_results=results), bench_plan())


def test_work_is_summed_over_guests() -> None:
    one = metrics_of(make_measurements())["contended", "busy.throughput"]
    assert one == MetricValue("contended", "busy.throughput", "work/s", "higher", 1200.0)


def test_fairness_is_over_guests_not_tasks() -> None:
    measurements = make_measurements()
    tasks = tuple(
        make_task(node, task, "contended", work=6000 if (node, task) != ("guest2", 1) else 0)
        for node in ("guest1", "guest2")
        for task in (0, 1)
    )
    one = metrics_of(replace(measurements, tasks=tasks))["contended", "busy.fairness"]
    assert one.value == pytest.approx((600 + 300) ** 2 / (2 * (600**2 + 300**2)))
    assert (one.unit, one.better) == ("", "higher")


def test_one_guest_is_fair_to_itself() -> None:
    measurements = make_measurements()
    tasks = tuple(one for one in measurements.tasks if one.node == "guest1")
    plan = make_plan(nodes=("guest1",))
    assert ("contended", "busy.fairness") not in metrics_of(replace(measurements, tasks=tasks), plan)


def test_steal_is_the_mean_that_guests_counted() -> None:
    found = metrics_of(make_measurements())
    assert found["contended", "steal"].value == pytest.approx(49.8)
    assert found["folded", "steal"].value == pytest.approx(0.3)


def test_steal_is_of_the_vcpus_that_the_phase_keeps_busy() -> None:
    plan = make_plan()
    predicted = tuple(
        PredictedSteal(node, vcpu, 50.0 if vcpu == 0 else None)
        for node in ("guest1", "guest2")
        for vcpu in (0, 1)
    )
    phases = tuple(replace(phase, predicted=predicted) for phase in plan.phases)
    measurements = make_measurements()
    vcpus = tuple(
        replace(one, guest_steal_ns=one.guest_steal_ns if one.vcpu == 0 else 0) for one in measurements.vcpus
    )
    found = metrics_of(replace(measurements, vcpus=vcpus), replace(plan, phases=phases))
    assert found["contended", "steal"].value == pytest.approx(49.8)


def test_no_load_no_metrics() -> None:
    assert metrics_of(replace(make_measurements(), tasks=())) == {}


def test_doubts_about_a_phase_are_doubts_about_all_of_it() -> None:
    found = metrics_of(with_phase_doubt(make_measurements(), "contended", "too short"))
    assert {one.doubts for (phase, _), one in found.items() if phase == "contended"} == {("too short",)}
    assert {one.doubts for (phase, _), one in found.items() if phase == "folded"} == {()}


def test_doubts_about_a_vcpu_are_doubts_about_steal_alone() -> None:
    measurements = make_measurements()
    vcpus = (replace(measurements.vcpus[0], doubts=("guest and host disagree",)), *measurements.vcpus[1:])
    found = metrics_of(replace(measurements, vcpus=vcpus))
    assert found["contended", "steal"].doubts == ("guest and host disagree",)
    assert found["contended", "busy.throughput"].doubts == ()


def test_a_missing_task_is_a_doubt() -> None:
    measurements = make_measurements()
    found = metrics_of(replace(measurements, tasks=measurements.tasks[1:]))
    assert found["contended", "busy.throughput"].doubts == (
        "busy task 0 on guest1 was not seen in phase contended",
    )


def test_a_missing_knob_is_a_doubt() -> None:
    measurements = make_measurements()
    phases = (measurements.phases[0], replace(measurements.phases[1], skipped=("no mask",)))
    found = metrics_of(replace(measurements, phases=phases))
    assert found["folded", "steal"].doubts == ("skipped: no mask",)


def test_what_loads_report_is_put_together_as_the_load_says() -> None:
    found = bench(result("guest1", 10, 100, 7), result("guest2", 12, 300, 9))
    values = {metric: (one.value, one.unit, one.better) for (_, metric), one in found.items()}
    assert values == {
        "bench.time": (11.0, "s", "lower"),
        "bench.rate": (400.0, "1/s", "higher"),
        "bench.rate.fairness": (pytest.approx(0.8), "", "higher"),
        "bench.worst": (9.0, "us", "lower"),
        "steal": (pytest.approx(49.8), "%", "lower"),
    }
    assert all(one.doubts == () for one in found.values())


def test_several_runs_in_a_phase_count_as_their_mean() -> None:
    found = bench(result("guest1", 10, 100, 7), result("guest1", 20, 100, 7), result("guest2", 15, 1, 1))
    assert found["contended", "bench.time"].value == pytest.approx(15)


def test_a_guest_that_reports_nothing_is_a_doubt() -> None:
    found = bench(result("guest1", 10, 100, 7))
    assert "bench on guest2 reported nothing" in found["contended", "bench.time"].doubts


def test_a_metric_that_one_guest_lacks_is_a_doubt() -> None:
    lacking = replace(result("guest2", 1, 1, 1), values=(("rate", 5.0),))
    found = bench(result("guest1", 10, 100, 7), lacking)
    assert found["contended", "bench.time"].doubts == ("time of bench came from 1 of 2 guests",)
    assert found["contended", "bench.rate"].doubts == ()


def test_what_a_load_doubts_of_itself_is_told_with_its_guest() -> None:
    found = bench(result("guest1", 10, 100, 7, ("ended by signal 9",)), result("guest2", 10, 100, 7))
    assert found["contended", "bench.rate"].doubts == ("bench on guest1: ended by signal 9",)


def test_what_a_load_is_mainly_about() -> None:
    assert main_metric(bench_plan(), "bench") == "bench.time"
    assert main_metric(make_plan(), "busy") == "busy.throughput"
