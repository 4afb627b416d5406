# SPDX-License-Identifier: GPL-2.0-only
"""What is told of a window's proof, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace

from judging import make_measurements, make_plan

from lab.judge.evidence import Evidence
from lab.judge.layout import WIDTH
from lab.judge.prooftable import proof_document, render_proof
from lab.measure.windows import PhaseProof

PROOF = PhaseProof(
    "a",
    ((0, 0.21), (1, 1.26)),
    (4000, 5000),
    (("governor", "not visible"), ("SMT", "off"), ("turbo", "on")),
    3.04,
)


def test_people_are_told_the_most_and_the_clocks() -> None:
    evidence = Evidence(make_plan(), replace(make_measurements(), proofs=(PROOF,)))
    text = " ".join(line.strip() for line in render_proof(evidence, "a"))
    assert text == (
        "host: others ran at most 1.3 % of a pCPU (pCPU 1), the lab's own helpers 3.0 %; governor not visible, "
        "SMT off, turbo on"
    )
    assert max(len(line) for line in render_proof(evidence, "a")) <= WIDTH
    assert render_proof(evidence, "b") == []


def test_what_was_not_proven_is_said() -> None:
    bare = replace(PROOF, foreign_pct=(), clocks=())
    evidence = Evidence(make_plan(), replace(make_measurements(), proofs=(bare,)))
    assert [line.strip() for line in render_proof(evidence, "a")] == ["host: not proven"]


def test_programs_are_told_all_of_it() -> None:
    assert json.loads(json.dumps(proof_document(PROOF))) == {
        "phase": "a",
        "foreign_pct": {"0": 0.21, "1": 1.26},
        "helpers_pct": 3.04,
        "snapshot_ns": [4000, 5000],
        "clocks": {"governor": "not visible", "SMT": "off", "turbo": "on"},
    }
