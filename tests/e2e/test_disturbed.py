# SPDX-License-Identifier: GPL-2.0-only
"""A host that somebody else uses while the lab measures: no verdict, and who it was stands in the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e_lab import DECIDING_RUNS, ROOT, RealHost, call, calling

TOPOLOGY = ROOT / "tests/e2e/data/disturbed.yaml"
#: The name of a script is the name of the process that runs it.
INTRUDER = "intruder"
START = (
    f"printf '#!/bin/sh\\nwhile :; do :; done\\n' >/tmp/{INTRUDER}; chmod 755 /tmp/{INTRUDER}; "
    f"taskset -c 1 /tmp/{INTRUDER} >/dev/null 2>&1 </dev/null & echo $!"
)
#: After the phase was told of: well behind the beginning of its window, well before its end.
INTO_THE_WINDOW_S = 5.0


def test_who_disturbs_a_window_makes_it_undecided(
    tmp_path: Path, real_host: RealHost, figures: Callable[..., None]
) -> None:
    """Without the intruder the same is decided, unless the machine outside was busy: then it is run again."""
    for attempt in range(1, DECIDING_RUNS + 1):
        document = run_disturbed(tmp_path / f"recording-{attempt}", tmp_path / "log", real_host)
        if outcomes(document, "quiet") == {"passed"}:
            break
    figures(f"decided at run {attempt}", *map(render_foreign, document["proofs"]))
    assert outcomes(document, "quiet") == {"passed"}, reasons(document, "quiet")
    assert outcomes(document, "intruded") == outcomes(document, "moved") == {"undecided"}
    assert all(f"foreign task {INTRUDER} (" in one for one in reasons(document, "intruded"))
    moved = "vCPU 1 of guest may run on pCPU 0, planned 1 (at the end of the window)"
    assert all(moved in one for one in reasons(document, "moved"))
    assert not any(INTRUDER in one for one in reasons(document, "moved"))


def run_disturbed(recording: Path, log: Path, host: RealHost) -> dict[str, Any]:
    """The judged document of a run in which an intruder burns a leased pCPU; later a vCPU is pinned elsewhere."""
    with calling("run", TOPOLOGY, "--record", recording, log=log) as child:
        child.wait_told("phase intruded")
        with intruder(host):
            child.wait_told("phase moved")
        time.sleep(INTO_THE_WINDOW_S)
        (domain,) = (name for name in host.domains() if name.startswith("lab-") and name.endswith("-guest"))
        host.virsh("vcpupin", domain, "1", "0")
        assert child.process.wait(120) == 5, child.told()
    return dict(json.loads(call("check", recording, "--json").out))


@contextmanager
def intruder(host: RealHost) -> Iterator[None]:
    """Somebody's busy process on pCPU 1 of the host."""
    pid = host.run(START).strip()
    try:
        yield
    finally:
        host.run(f"kill {pid}; rm /tmp/{INTRUDER}")


def render_foreign(proof: dict[str, Any]) -> str:
    shares = ", ".join(f"{pct:.1f} % of pCPU {pcpu}" for pcpu, pct in proof["foreign_pct"].items())
    return f"{proof['phase']}: others ran {shares}; the lab's own helpers {proof['helpers_pct']:.1f} %"


def of_phase(document: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [one for one in document["verdicts"] if one["phase"] == phase]


def outcomes(document: dict[str, Any], phase: str) -> set[str]:
    return {one["outcome"] for one in of_phase(document, phase)}


def reasons(document: dict[str, Any], phase: str) -> list[str]:
    return [one["reason"] for one in of_phase(document, phase)]
