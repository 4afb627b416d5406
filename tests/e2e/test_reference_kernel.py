# SPDX-License-Identifier: GPL-2.0-only
"""The reference kernel under real KVM: its guest tests, one program for each subject."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from guest_programs import run_program
from kernel_log import assert_no_complaints

pytestmark = pytest.mark.lab("data/reference.yaml")

PROGRAM_TIMEOUT_S = 600
#: Which program runs where, and how many cases it has: one that ends early has not passed.
PROGRAMS = {
    "mask_test": ("plain", 9),
    "fair_test": ("plain", 11),
    "class_test": ("plain", 7),
    "cpuset_test": ("plain", 5),
    "counters_test": ("plain", 6),
    "isolation_test": ("set-aside", 9),
}
#: Takes about a minute by itself.
MARKS = {"fair_test": pytest.mark.long, "isolation_test": pytest.mark.long}
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in PROGRAMS])
def test_guest_program_passes(lab, figures, tmp_path: Path, name: str):
    node, cases = PROGRAMS[name]
    done = run_program(lab, node, name, directory=tmp_path, timeout_s=PROGRAM_TIMEOUT_S)
    figures(*done.stdout.splitlines())
    summary = SUMMARY.search(done.stdout)
    assert summary is not None, done.stdout + done.stderr
    assert summary.groups() == (str(cases), "0"), done.stdout
    assert done.status == 0
    assert_no_complaints(lab)
