# SPDX-License-Identifier: GPL-2.0-only
"""KTAP, read back by the kernel's own parser where a kernel source is at hand; and JUnit against a schema."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli.recordings import plan_of
from lxml import etree

from lab.judge.junit import render_junit, render_junit_unjudged
from lab.judge.ktap import render_ktap, render_ktap_unjudged
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.places import find_places

PLAN = plan_of()
PASSED = Verdict(
    Outcome.PASSED, "steal of every vCPU: 40 % .. 60 %", "one vcpu 0", "contended", "guest 50.1 %"
)
FAILED = Verdict(
    Outcome.FAILED, PASSED.expectation, "two vcpu 0", "contended", "guest 70 %", "more than 60 %"
)
UNDECIDED = Verdict(Outcome.UNDECIDED, "work of busy: >= 0.95", "load busy", "folded", "0.96", "too short")
SKIPPED = Verdict(Outcome.SKIPPED, "task #1 stays", "load busy", "", "nothing", "no such knob")
ALL = Judgement((PASSED, FAILED, UNDECIDED, SKIPPED))

EXPECTED = """\
KTAP version 1
# pair, lab cafe01 on local
1..3
  KTAP version 1
  # Subtest: steal of every vCPU: 40 % .. 60 %
  1..2
  ok 1 one vcpu 0, contended # observed: guest 50.1 %
  not ok 2 two vcpu 0, contended # observed: guest 70 %; more than 60 %
not ok 1 steal of every vCPU: 40 % .. 60 %
  KTAP version 1
  # Subtest: work of busy: >= 0.95
  1..1
  not ok 1 load busy, folded # ERROR undecided: too short
not ok 2 work of busy: >= 0.95 # ERROR undecided: a check was not decided
  KTAP version 1
  # Subtest: task ?1 stays
  1..1
  ok 1 load busy # SKIP no such knob
ok 3 task ?1 stays # SKIP every check was skipped
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:1
"""


def test_every_expectation_is_a_test_and_every_check_a_subtest() -> None:
    assert render_ktap(PLAN, ALL) == EXPECTED


def test_nothing_expected_is_a_plan_of_no_tests() -> None:
    assert render_ktap(PLAN, Judgement(())).splitlines()[2:] == [
        "1..0",
        "# Totals: pass:0 fail:0 xfail:0 xpass:0 skip:0 error:0",
    ]


def test_a_run_without_a_verdict_is_one_test_in_error() -> None:
    text = render_ktap_unjudged(
        "pair", "lab failed", "kernel mine: compiling failed:\nmain.c:1: error: #oops"
    )
    assert text.splitlines() == [
        "KTAP version 1",
        "1..1",
        "# main.c:1: error: #oops",
        "not ok 1 pair # ERROR lab failed: kernel mine: compiling failed:",
    ]


# The kernel's parser


def kernel_parser_file() -> Path | None:
    """tools/testing/kunit/kunit_parser.py of a kernel source that the cache has."""
    sources = find_places(os.environ).cache_dir / "source"
    return next(iter(sorted(sources.glob("*/tree/tools/testing/kunit/kunit_parser.py"))), None)


@pytest.fixture(scope="module")
def kunit() -> ModuleType:
    path = kernel_parser_file()
    if path is None:
        pytest.skip("no kernel source in the cache: `lab kernel build` fetches one")
    sys.path.insert(0, str(path.parent))
    try:
        spec = importlib.util.spec_from_file_location("kunit_parser", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["kunit_parser"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def parsed(kunit: ModuleType, text: str) -> Any:
    return kunit.parse_run_tests(text.splitlines(True))


def test_the_kernels_parser_reads_it_without_a_complaint(kunit: ModuleType) -> None:
    run = parsed(kunit, EXPECTED)
    assert (run.counts.passed, run.counts.failed, run.counts.skipped) == (1, 2, 1)
    assert (run.counts.crashed, run.counts.errors) == (0, 0)
    assert [(test.name, test.status.name) for test in run.subtests] == [
        ("steal of every vCPU: 40 % .. 60 %", "FAILURE"),
        ("work of busy: >= 0.95", "FAILURE"),
        ("task ?1 stays", "SKIPPED"),
    ]
    assert [test.name for test in run.subtests[0].subtests] == [
        "one vcpu 0, contended",
        "two vcpu 0, contended",
    ]


def test_the_kernels_parser_does_not_take_undecided_for_a_pass_or_a_skip(kunit: ModuleType) -> None:
    run = parsed(kunit, render_ktap(PLAN, Judgement((UNDECIDED,))))
    assert (run.status.name, run.counts.failed, run.counts.total()) == ("FAILURE", 1, 1)


def test_the_kernels_parser_reads_a_run_without_a_verdict(kunit: ModuleType) -> None:
    run = parsed(kunit, render_ktap_unjudged("pair", "lab failed", "no\nok 1 this is not a result\n1..7"))
    assert (run.status.name, run.counts.failed, run.counts.total(), run.counts.errors) == ("FAILURE", 1, 1, 0)


# JUnit

SCHEMA = Path(__file__).parents[2] / "data/junit.xsd"


def assert_junit(text: str) -> etree._Element:
    document = etree.fromstring(text.encode())
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(document)
    suite = document[0]
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{element}"))
    assert int(suite.get("tests")) == len(suite.findall("testcase"))
    return suite


def test_junit_of_verdicts_is_valid() -> None:
    assert_junit(render_junit(PLAN, ALL))
    assert_junit(render_junit(PLAN, Judgement(())))


def test_junit_of_a_run_without_a_verdict_is_valid_and_has_the_whole_message() -> None:
    suite = assert_junit(render_junit_unjudged("pair", "lab failed", "it broke:\n<main.c> & more\x07"))
    (error,) = suite.findall("testcase/error")
    assert (error.get("type"), error.get("message")) == ("lab failed", "it broke:")
    assert error.text == "it broke:\n<main.c> & more?"
