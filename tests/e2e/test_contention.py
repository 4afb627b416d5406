# SPDX-License-Identifier: GPL-2.0-only
"""Contention on real guests: what is predicted is seen, and hogs end with their lab, also where that is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_lab import ROOT, RealHost, call, calling, run_until_decided

from lab.places import Places

HOGGED = Path(__file__).parent / "data/hogged.yaml"
#: Where hogs have their control groups, whatever the host calls the group of all domains.
FIND_GROUPS = "find /sys/fs/cgroup -type d -name 'lab-*-hog-*'"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("hog-duty", marks=pytest.mark.long),
        pytest.param("overcommit", marks=pytest.mark.long),
        pytest.param("live-changes", marks=pytest.mark.long),
        pytest.param("square-wave", marks=pytest.mark.long),
    ],
)
def test_what_is_seen_is_what_was_predicted(name: str, tmp_path: Path, figures: Callable[..., None]) -> None:
    done, _ = run_until_decided(ROOT / f"topologies/{name}.yaml", tmp_path, "--json")
    assert done.status == 0, done.out + done.err
    document = json.loads(done.out)
    apart = [
        max(abs(one["guest_steal_pct"] - predicted), abs(one["host_steal_pct"] - predicted))
        for one in document["vcpus"]
        if (predicted := one["predicted_steal_pct"]) is not None
    ]
    late = [one["latest_done_ns"] / 1e6 for one in document["schedules"]]
    figures(f"seen and predicted steal at most {max(apart):.2f} points apart, of {len(apart)} busy vCPUs")
    if late:
        figures(f"scheduled changes done at most {max(late):.0f} ms late")


def hog_processes(real_host: RealHost) -> list[str]:
    script = "for f in /proc/[0-9]*/comm; do cat $f 2>/dev/null; done | grep -x pvspin || true"
    return real_host.run(script).split()


def test_hogs_end_with_a_lab_that_is_killed(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    assert hog_processes(real_host) == []
    with calling("run", HOGGED, "--record", tmp_path / "r", log=tmp_path / "log") as child:
        child.wait_told("phase beside")
        child.wait_until(lambda: bool(hog_processes(real_host)), "hog")
        assert real_host.run(FIND_GROUPS).strip()
        time.sleep(1)
        child.kill()
    assert hog_processes(real_host)
    assert call("gc").status == 0
    assert hog_processes(real_host) == []
    assert real_host.run(FIND_GROUPS).strip() == ""
    assert not any((places.state_dir / "labs").glob("*/lab.json"))


def test_hogs_end_with_a_lab_that_is_interrupted(tmp_path: Path, real_host: RealHost) -> None:
    with calling("run", HOGGED, "--record", tmp_path / "r", log=tmp_path / "log") as child:
        child.wait_told("phase beside")
        child.wait_until(lambda: bool(hog_processes(real_host)), "hog")
        assert child.interrupt() == 130
    assert hog_processes(real_host) == []
    assert real_host.run(FIND_GROUPS).strip() == ""
