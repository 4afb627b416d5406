# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit tests of the reference series, run by a guest's kernel at boot: every case passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kernel_log import assert_no_complaints

pytestmark = [pytest.mark.lab("data/kunit.yaml"), pytest.mark.long]

SERIES = Path(__file__).parents[2] / "images/kernels/paravirt-cpus"
NODE = "guest"
#: As the patches add them, in the tables of the suites.
_CASE_ADDED = re.compile(r"^\+\tKUNIT_CASE(?:_SLOW)?\((\w+)\),?$", re.MULTILINE)
_SUITE_ADDED = re.compile(r"^\+\t\.name = \"(\w+)\",$", re.MULTILINE)
_CASE_RESULT = re.compile(r"^    (ok|not ok) \d+ (\w+)(?: # (SKIP)\b.*)?$", re.MULTILINE)


def added(pattern: re.Pattern[str]) -> set[str]:
    """What the test files of the series hold, after its last patch."""
    patches = "".join(path.read_text() for path in sorted(SERIES.glob("*KUnit*.patch")))
    return set(pattern.findall(patches))


def test_every_case_of_the_series_passes_in_a_guest(lab, figures):
    suites = lab.exec(NODE, "ls /sys/kernel/debug/kunit").stdout.split()
    assert set(suites) == added(_SUITE_ADDED)
    results = "".join(
        lab.exec(NODE, f"cat /sys/kernel/debug/kunit/{suite}/results").stdout for suite in suites
    )
    outcomes = {case: skipped or outcome for outcome, case, skipped in _CASE_RESULT.findall(results)}
    figures(f"KUnit: {len(outcomes)} cases of {len(suites)} suites")
    assert outcomes == dict.fromkeys(added(_CASE_ADDED), "ok"), results
    assert_no_complaints(lab)
