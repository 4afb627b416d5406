# SPDX-License-Identifier: GPL-2.0-only
"""Findings in consoles against what a topology allows.

Nobody has to expect that kernels are content: whatever one reports fails the run unless it is allowed, in
recordings of any age. A host's own kernel, and what emulators get wrong, say nothing about the kernel under test:
that is UNDECIDED. Nothing is said where nothing was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lab.judge.verdict import Outcome, Verdict
from lab.measure.findings import Finding
from lab.plan.labplan import HOST_SCOPE, AllowedFinding, LabPlan

EXPECTATION = "no panic, oops, warning, lockup or stall on any console"
#: Frames of a call trace that are told beside a verdict.
TOLD_FRAMES = 8


def evaluate_findings(plan: LabPlan, findings: Sequence[Finding]) -> Iterator[Verdict]:
    """A verdict for each kind of report on each console; the same one many times counts as one."""
    for alike in group_alike(findings):
        yield _verdict(plan, alike)


def group_alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one console, kind and place together, in order of their first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        place = one.report.place or re.sub(r"\d+", "#", one.report.text)
        who = f"{one.report.process}[{one.report.pid}]" if one.report.kind == "hung-task" else ""
        groups.setdefault((one.path, one.report.kind, place, who), []).append(one)
    return list(groups.values())


def is_allowed(finding: Finding, allowed: AllowedFinding) -> bool:
    """Whether an entry of the topology is about this finding."""
    if finding.report.kind != allowed.kind or finding.node not in allowed.nodes:
        return False
    return allowed.pattern is None or any(re.search(allowed.pattern, text) for text in _texts_of(finding))


def _texts_of(finding: Finding) -> Iterator[str]:
    report = finding.report
    yield from (report.text, report.message, report.panic)
    yield from (str(frame) for frame in (report.ip, *report.trace) if frame is not None)


def _verdict(plan: LabPlan, alike: Sequence[Finding]) -> Verdict:
    first = alike[0]
    times = f" ({len(alike)} times)" if len(alike) > 1 else ""
    outcome, why = finding_outcome(plan, first)
    reason = "; ".join(filter(None, (why, "" if outcome is Outcome.PASSED else _told(first))))
    return Verdict(outcome, EXPECTATION, first.where, "", f"{headline(first)}{times}", reason)


def finding_outcome(plan: LabPlan, finding: Finding) -> tuple[Outcome, str]:
    """What a finding counts as, and why where it does not speak for itself."""
    if any(is_allowed(finding, allowed) for allowed in plan.allow_findings):
        return Outcome.PASSED, "allowed by allow_findings"
    if finding.environment:
        return Outcome.UNDECIDED, f"the environment's: {finding.environment}"
    return Outcome.FAILED, ""


def headline(finding: Finding) -> str:
    """Kind, what the kernel says first, who, when and where, in one line."""
    report = finding.report
    said = ": ".join(filter(None, (report.message, report.text)))
    panic = f", then panic: {report.panic}" if report.panic else ""
    place = f" in {report.place}" if report.place and report.place not in said else ""
    return f"{report.kind}{place}: {said}{panic} ({', '.join(_circumstances(finding))})"


def _circumstances(finding: Finding) -> Iterator[str]:
    report = finding.report
    yield f"line {report.line}"
    if report.time_s is not None:
        yield f"{report.time_s:.3f} s"
    if report.vcpu is not None:
        yield f"{'pCPU' if finding.node == HOST_SCOPE else 'vcpu'} {report.vcpu}"
    if report.process:
        yield report.process if report.pid is None else f"{report.process}[{report.pid}]"


def _told(finding: Finding) -> str:
    """The call trace, innermost first, without what the kernel only guesses."""
    frames = [text for text in finding.frames() if not text.startswith("?")] or list(finding.frames())
    left = f" <- {len(frames) - TOLD_FRAMES} more" if len(frames) > TOLD_FRAMES else ""
    return f"call trace: {' <- '.join(frames[:TOLD_FRAMES])}{left}" if frames else ""


def finding_document(finding: Finding, plan: LabPlan) -> dict[str, Any]:
    """A finding as plain containers: what was reported, where it stands, and what it counts as."""
    report = finding.report
    outcome, reason = finding_outcome(plan, finding)
    return {
        "kind": report.kind,
        "node": finding.node,
        "which": finding.which or None,
        "console": finding.path,
        "line": report.line,
        "offset": report.offset,
        "time_s": report.time_s,
        "vcpu": report.vcpu,
        "pid": report.pid,
        "process": report.process or None,
        "text": report.text,
        "message": report.message or None,
        "panic": report.panic or None,
        "place": report.place or None,
        "ip": None if report.ip is None else str(report.ip),
        "trace": [str(frame) for frame in report.trace],
        "decoded": dict(finding.decoded),
        "outcome": outcome.value,
        "reason": reason or None,
    }
