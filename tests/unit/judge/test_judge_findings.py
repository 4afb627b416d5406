# SPDX-License-Identifier: GPL-2.0-only
"""What kernels reported fails a run, unless it is allowed or is the environment's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from judging import make_measurements, make_plan

from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.junit import render_junit
from lab.judge.table import render_verdicts
from lab.judge.verdict import Outcome
from lab.measure.findings import RecordedConsole, collect_findings
from lab.plan.labplan import HOST_SCOPE, AllowedFinding

WARNING = (
    "[   12.345713] WARNING: CPU: 1 PID: 77 at lib/x.c:28 planted_warn+0xba/0x110\n"
    "[   12.345715] CPU: 1 UID: 0 PID: 77 Comm: sh Not tainted 6.12.0 #1\n"
    "[   12.345720] Call Trace:\n[   12.345720]  vfs_write+0xf5/0x400\n"
    "[   12.345720] ---[ end trace 0000000000000000 ]---\n"
)


def judged(*allowed, node="guest1", times=1, emulated=True):
    console = RecordedConsole(node, f"guests/{node}/console.log", WARNING.encode() * times)
    plan = replace(make_plan(), allow_findings=allowed)
    measurements = replace(make_measurements(), findings=collect_findings([console], emulated=emulated))
    return plan, measurements, judge(plan, measurements)


def test_nothing_found_is_nothing_said():
    assert judge(make_plan(), make_measurements()).verdicts == ()


def test_a_warning_fails_the_run_and_is_told_everywhere():
    plan, measurements, judgement = judged()
    (verdict,) = judgement.verdicts
    assert judgement.outcome is Outcome.FAILED
    assert verdict.subject == "guest1"
    assert "planted_warn+0xba/0x110 (line 1, 12.346 s, vcpu 1, sh[77])" in verdict.observed
    assert verdict.reason == "call trace: planted_warn+0xba/0x110 <- vfs_write+0xf5/0x400"
    assert "FAILED    guest1: warning: WARNING: CPU: 1" in render_verdicts(judgement)
    assert 'failures="1"' in render_junit(plan, judgement)
    (finding,) = json.loads(json.dumps(judgement_json(plan, measurements, judgement)))["findings"]
    assert finding["kind"] == "warning"
    assert finding["console"] == "guests/guest1/console.log"
    assert (finding["vcpu"], finding["process"], finding["outcome"]) == (1, "sh", "failed")


def test_the_same_again_is_counted():
    (verdict,) = judged(times=3)[2].verdicts
    assert verdict.observed.endswith("(3 times)")


@pytest.mark.parametrize(
    ("allowed", "outcome"),
    [
        (AllowedFinding("warning", ("guest1", "guest2")), Outcome.PASSED),
        (AllowedFinding("warning", ("guest1",), r"planted_\w+"), Outcome.PASSED),
        (AllowedFinding("warning", ("guest1",), "vfs_write"), Outcome.PASSED),
        (AllowedFinding("warning", ("guest1",), "something else"), Outcome.FAILED),
        (AllowedFinding("warning", ("guest2",)), Outcome.FAILED),
        (AllowedFinding("oops", ("guest1",)), Outcome.FAILED),
    ],
)
def test_what_is_allowed(allowed, outcome):
    assert judged(allowed)[2].outcome is outcome


def test_the_host_s_own_trouble_is_undecided_and_cannot_be_allowed():
    allowed = AllowedFinding("warning", ("guest1", "guest2"))
    judgement = judged(allowed, node=HOST_SCOPE)[2]
    assert judgement.outcome is Outcome.UNDECIDED
    assert "the environment's" in judgement.verdicts[0].reason
