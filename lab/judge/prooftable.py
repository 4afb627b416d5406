# SPDX-License-Identifier: GPL-2.0-only
"""What was proven of a window beside its verdicts: how little others ran, and what is visible of the clocks."""

from __future__ import annotations

from typing import Any

from lab.judge.evidence import Evidence
from lab.judge.layout import wrap
from lab.measure.windows import PhaseProof


def render_proof(evidence: Evidence, phase: str) -> list[str]:
    """One statement about `phase`; nothing where its recording has no snapshots of the host."""
    found = [proof for proof in evidence.measurements.proofs if proof.phase == phase]
    return [line for proof in found for line in wrap(_statement(proof), 2, 4)]


def _statement(proof: PhaseProof) -> str:
    clocks = ", ".join(f"{what} {value}" for what, value in proof.clocks)
    if not proof.foreign_pct:
        return "host: not proven"
    pcpu, most_pct = max(proof.foreign_pct, key=lambda one: one[1])
    return (
        f"host: others ran at most {most_pct:.1f} % of a pCPU (pCPU {pcpu}), the lab's own helpers "
        f"{proof.helpers_pct:.1f} %; {clocks}"
    )


def proof_document(proof: PhaseProof) -> dict[str, Any]:
    """The same for programs; `foreign_pct` is by pCPU, whose numbers are texts as JSON's keys are."""
    return {
        "phase": proof.phase,
        "foreign_pct": {str(pcpu): pct for pcpu, pct in proof.foreign_pct},
        "helpers_pct": proof.helpers_pct,
        "snapshot_ns": list(proof.snapshot_ns),
        "clocks": dict(proof.clocks),
    }
