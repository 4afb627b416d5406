# SPDX-License-Identifier: GPL-2.0-only
"""Expansion and cross checks, the sound cases: what is accepted, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.errors import Problem
from lab.topology.model import Topology

Decode = Callable[[str], Topology]
Problems = Callable[[str], list[Problem]]


@pytest.mark.parametrize(
    ("count", "names"), [("", ["a"]), (", count: 1", ["a1"]), (", count: 3", ["a1", "a2", "a3"])]
)
def test_a_count_numbers_and_its_absence_does_not(topology: Decode, count: str, names: list[str]) -> None:
    assert [node.name for node in topology(f"nodes: [{{name: a{count}}}]\n").nodes] == names


def test_defaults_of_the_lab(topology: Decode) -> None:
    (node,) = topology("nodes: [{name: a}]\n").nodes
    assert (node.vcpus, node.memory_mib, node.kernel, node.pinning) == (1, 256, "k", "spread")
    assert (node.weight, node.quota_pct, node.numa) == (100, None, ())
    assert (node.topology.sockets, node.topology.cores, node.topology.threads) == (1, 1, 1)


def test_defaults_of_the_file_yield_to_the_node(topology: Decode) -> None:
    found = topology(
        "defaults: {node: {vcpus: 2, weight: 50, quota: 40%, pinning: stack}}\n"
        "nodes: [{name: a}, {name: b, vcpus: 3, weight: 60, quota: 30%, pinning: spread}]\n"
    )
    seen = [(node.vcpus, node.weight, node.quota_pct, node.pinning) for node in found.nodes]
    assert seen == [(2, 50, 40.0, "stack"), (3, 60, 30.0, "spread")]
    assert [node.topology.cores for node in found.nodes] == [2, 3]


@pytest.mark.parametrize(
    ("memory", "expected"), [("", 384), ("memory: 384MiB, ", 384)], ids=["sum of cells", "stated"]
)
def test_memory_of_numa_cells(topology: Decode, memory: str, expected: int) -> None:
    cells = "[{vcpus: '0,2', memory: 128MiB}, {vcpus: 1, memory: 256MiB}]"
    (node,) = topology(f"nodes: [{{name: a, vcpus: 3, {memory}numa: {cells}}}]\n").nodes
    assert node.memory_mib == expected
    assert [cell.vcpus for cell in node.numa] == [(0, 2), (1,)]


def test_own_numa_cells_outweigh_default_memory(topology: Decode) -> None:
    text = "defaults: {node: {memory: 1GiB}}\nnodes: [{name: a, numa: [{vcpus: 0, memory: 128MiB}]}]\n"
    assert topology(text).nodes[0].memory_mib == 128


def test_cpu_topology(topology: Decode) -> None:
    (node,) = topology("nodes: [{name: a, vcpus: 8, topology: {sockets: 2, cores: 2, threads: 2}}]\n").nodes
    assert (node.topology.sockets, node.topology.cores, node.topology.threads) == (2, 2, 2)


def test_pinning_may_use_any_pcpu_where_host_names_none(topology: Decode) -> None:
    (node,) = topology("nodes: [{name: a, vcpus: 2, pinning: [7, '0-1,9']}]\n").nodes
    assert node.pinning == ((7,), (0, 1, 9))


def test_a_mistake_in_defaults_is_told_there_and_once(problems: Problems) -> None:
    found = problems("defaults:\n  node:\n    quota: 0%\nnodes: [{name: a}, {name: b}]\n")
    assert [(each.line, each.path) for each in found] == [(6, "defaults.node.quota")]


def test_a_load_may_be_stopped_and_started_again(problems: Problems) -> None:
    text = """nodes: [{name: a}]
load: [{name: busy}]
phases:
  - {name: one, duration: 1s, start: [busy]}
  - {name: two, duration: 1s, stop: [busy]}
  - {name: three, duration: 1s, start: [busy]}
expect:
  - throughput: {load: busy, phase: three, baseline: one, min: 0.9}
  - affinity_unchanged: {load: busy}
"""
    assert problems(text) == []
    assert len(problems(text.replace("phase: three,", "phase: two,"))) == 1
    assert len(problems(text.replace("load: busy}\n", "load: bust}\n"))) == 1


def test_affinity_of_a_load_that_never_starts(problems: Problems) -> None:
    text = "nodes: [{name: a}]\nload: [{name: b}]\nphases: [{name: p, duration: 1s}]\n"
    (found,) = problems(text + "expect: [{affinity_unchanged: {load: b}}]\n")
    assert "never started" in found.message


@pytest.mark.parametrize("value", ['""', "0", '"1"', "0-1"])
def test_values_of_a_cpulist_knob(problems: Problems, value: str) -> None:
    assert problems(f"nodes: [{{name: a, vcpus: 3}}]\nknobs: [{{knob: avoid_cpus, value: {value}}}]\n") == []


def test_a_path_is_a_knob(topology: Decode) -> None:
    found = topology("nodes: [{name: a}]\nknobs: [{knob: /proc/sys/kernel/x, value: 3}]\n")
    assert found.knobs[0].value == 3


@pytest.mark.parametrize("kind", ["throughput: {load: b, baseline: q, ", "host_share: {of: a, "])
def test_bounds_of_ratios(problems: Problems, kind: str) -> None:
    text = (
        "nodes: [{name: a}]\nload: [{name: b}]\n"
        "phases: [{name: q, duration: 1s, start: [b]}, {name: p, duration: 1s}]\n"
    )
    assert problems(text + f"expect: [{{{kind}phase: p, max: 1}}}}]\n".replace("}}]", "}}]")) == []
    (none,) = problems(text + f"expect: [{{{kind}phase: p}}}}]\n")
    assert "give min, max or both" in none.message
    (crossed,) = problems(text + f"expect: [{{{kind}phase: p, min: 2, max: 1}}}}]\n")
    assert "min (2) is larger than max (1)" in crossed.message


def test_bounds_and_vcpus_of_preemptions(problems: Problems) -> None:
    text = "nodes: [{name: a}]\nphases: [{name: p, duration: 1s}]\n"
    expect = "expect: [{preemptions: {counter: slices, phase: p, %s}}]\n"
    assert problems(text + expect % "vcpus: 0, min_per_s: 1, max_per_s: 2") == []
    found = problems(text + expect % "vcpus: 1, min_per_s: 3, max_per_s: 2")
    assert sorted(each.path.rpartition(".")[2] for each in found) == ["min_per_s", "vcpus"]


def test_ten_thousand_nodes_are_the_limit(topology: Decode) -> None:
    assert len(topology("nodes: [{name: a, count: 9999}, {name: b}]\n").nodes) == 10_000
