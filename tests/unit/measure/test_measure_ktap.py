# SPDX-License-Identifier: GPL-2.0-only
"""What kselftest prints, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.measure.ktap import SelfTest, SelfTests, parse_ktap
from lab.measure.loadparsers import OutputError, parse_selftests

RUN = """\
TAP version 13
1..3
# timeout set to 45
# selftests: cgroup: test_cpuset
# ok 1 test_cpuset_perms_object_allow
# not ok 2 test_cpuset_perms_object_deny
# ok 3 # SKIP test_cpuset_perms_subtree
not ok 1 selftests: cgroup: test_cpuset # exit=1
# timeout set to 45
# selftests: cgroup: test_cpuset_prs.sh
# Test needs at least 8 cpus available!
# Test SKIPPED
ok 2 selftests: cgroup: test_cpuset_prs.sh # SKIP
# timeout set to 45
# selftests: cgroup: test_cpu
# ok 1 test_cpucg_stats
#
not ok 3 selftests: cgroup: test_cpu # TIMEOUT 45 seconds
TAP version 13
1..1
# selftests: cpu-hotplug: cpu-on-off-test.sh
# Cpus in online state: 0-1
ok 1 selftests: cpu-hotplug: cpu-on-off-test.sh
"""


def test_every_test_and_subtest_has_a_result() -> None:
    assert parse_ktap(RUN) == SelfTests(
        (
            SelfTest("cgroup:test_cpuset.test_cpuset_perms_object_allow", "pass"),
            SelfTest("cgroup:test_cpuset.test_cpuset_perms_object_deny", "fail"),
            SelfTest("cgroup:test_cpuset.test_cpuset_perms_subtree", "skip"),
            SelfTest("cgroup:test_cpuset_prs.sh", "skip"),
            SelfTest("cgroup:test_cpu.test_cpucg_stats", "pass"),
            SelfTest("cgroup:test_cpu", "fail", "TIMEOUT 45 seconds"),
            SelfTest("cpu-hotplug:cpu-on-off-test.sh", "pass"),
        )
    )


def test_what_a_real_kernels_selftests_printed_is_read() -> None:
    found = parse_ktap((Path(__file__).parents[2] / "data/loads/kselftest.out").read_text())
    assert found is not None
    assert found.missing == 0
    assert [(one.name, one.outcome) for one in found.results] == [
        ("cgroup:test_cpuset.test_cpuset_perms_object_allow", "pass"),
        ("cgroup:test_cpuset.test_cpuset_perms_object_deny", "pass"),
        ("cgroup:test_cpuset.test_cpuset_perms_subtree", "pass"),
        ("cpu-hotplug:cpu-on-off-test.sh", "pass"),
    ]


def test_tests_without_a_result_are_counted() -> None:
    cut = RUN[: RUN.index("not ok 3")]
    found = parse_ktap(cut)
    assert found is not None
    assert (found.missing, len(found.results)) == (1, 4)
    half = parse_ktap(RUN[: RUN.index(" # TIMEOUT")])  # a line without an end
    assert half is not None and half.missing == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ok 1 - plain", SelfTest("plain", "pass")),
        ("ok 1 plain # rcode=0", SelfTest("plain", "pass")),
        ("not ok 1 plain # SKIP no module", SelfTest("plain", "skip", "no module")),
        ("ok 1 # XFAIL known", SelfTest("known", "skip", "XFAIL")),
        ("not ok 1 # ERROR it broke", SelfTest("it broke", "fail", "ERROR")),
        ("not ok 1 plain # ERROR it broke", SelfTest("plain", "fail", "ERROR it broke")),
        ("not ok 1", SelfTest("unnamed", "fail")),
    ],
)
def test_directives_are_read_wherever_they_stand(line: str, expected: SelfTest) -> None:
    found = parse_ktap(f"KTAP version 1\n1..1\n{line}\n")
    assert found == SelfTests((expected,))


def test_a_result_behind_a_line_that_a_test_did_not_end_counts() -> None:
    said = "# (cs_prctl_test.c:287) - not ok 1 selftests: sched: cs_prctl_test # exit=1"
    found = parse_ktap(f"TAP version 13\n1..1\n{said}\n")
    assert found == SelfTests((SelfTest("sched:cs_prctl_test", "fail", "exit=1"),))


def test_deeper_nesting_counts_too() -> None:
    text = "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n  ok 1 a\n  not ok 2 b\nnot ok 1 suite\n"
    found = parse_ktap(text)
    assert found is not None
    assert [(one.name, one.outcome) for one in found.results] == [("suite.a", "pass"), ("suite.b", "fail")]
    assert found.missing == 0


@pytest.mark.parametrize("text", ["", "bash: not found\n", "ok 1 but no version\n", "TAP version 13"])
def test_what_is_no_tap_has_no_results(text: str) -> None:
    assert parse_ktap(text) is None


def test_counts_are_figures_of_the_load() -> None:
    assert parse_selftests(RUN) == {"passed": 3.0, "failed": 2.0, "skipped": 2.0}
    with pytest.raises(OutputError, match="no TAP"):
        parse_selftests("bash: not found\n")
    with pytest.raises(OutputError, match="1 of the tests announced has no result"):
        parse_selftests("TAP version 13\n1..2\nok 1 a\n")
