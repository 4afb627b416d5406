# SPDX-License-Identifier: GPL-2.0-only
"""Every shipped topology runs on real guests and passes; what it recorded is judged alike offline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from e2e_lab import ROOT, Done, call, run_until_decided

QUICKSTART = ROOT / "topologies/quickstart.yaml"
#: What is run every time, and what is left to `make test-long`.
SHORT = ("steal-pair", "weights")
LONG = (
    "database",
    "hackbench-groups",
    "hotplug-storm",
    "interrupts",
    "kselftest",
    "lock-holder",
    "neighbour",
    "nohz-full",
    "pinned",
    "smt-siblings",
    "three-on-one",
    "try",
    "uneven-numa",
    "wakeup-latency",
)
#: And to `make test-arms`.
ARMS = ("arithmetic",)
#: What other files run, since they look at more than verdicts. No need to take minutes twice.
ELSEWHERE = {
    "aa": "test_arms.py",
    "fold-compare": "test_fold_compare.py",
    "governor": "test_governor_user.py",
    "hog-duty": "test_contention.py",
    "live-changes": "test_contention.py",
    "lock-holder-traced": "test_preemption.py",
    "matrix-small": "test_arms.py",
    "overcommit": "test_contention.py",
    "planted": "test_arms.py",
    "preemption-pattern": "test_preemption.py",
    "quickstart": "conftest.py",
    "square-wave": "test_contention.py",
}


def test_every_shipped_topology_is_run() -> None:
    shipped = sorted(path.stem for path in (ROOT / "topologies").glob("*.yaml"))
    assert sorted((*SHORT, *LONG, *ARMS, *ELSEWHERE)) == shipped


@pytest.mark.parametrize(("name", "file"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is_named_there(name: str, file: str) -> None:
    assert re.search(rf'["/]{name}(\.yaml)?"', (Path(__file__).parent / file).read_text())


def verdicts(document: str) -> list[tuple[str, str, str]]:
    return [(one["expectation"], one["subject"], one["outcome"]) for one in json.loads(document)["verdicts"]]


@pytest.mark.parametrize(
    "name",
    [
        *SHORT,
        *(pytest.param(name, marks=pytest.mark.long) for name in LONG),
        *(pytest.param(name, marks=pytest.mark.arms) for name in ARMS),
    ],
)
def test_runs_and_passes(name: str, tmp_path: Path) -> None:
    done, recording = run_until_decided(ROOT / f"topologies/{name}.yaml", tmp_path, "--json")
    assert done.status == 0, done.out + done.err
    again = call("check", recording, "--json")
    assert again.status == 0
    assert verdicts(again.out) == verdicts(done.out)


def test_quickstart_passes_and_is_judged_alike_offline(quickstart: tuple[Done, Path]) -> None:
    done, recording = quickstart
    assert done.status == 0, done.out + done.err
    again = call("check", recording, "--json")
    assert again.status == 0
    assert verdicts(again.out) == verdicts(done.out)


def test_quickstart_really_folds(quickstart: tuple[Done, Path]) -> None:
    """The numbers themselves, not only the verdicts about them."""
    document = json.loads(quickstart[0].out)
    contended = [one for one in document["vcpus"] if one["phase"] == "contended"]
    folded = [one for one in document["vcpus"] if one["phase"] == "folded"]
    assert len(contended) == len(folded) == 4
    assert all(one["guest_steal_pct"] > 30 for one in contended)
    assert (
        sum(one["guest_steal_pct"] for one in folded) < sum(one["guest_steal_pct"] for one in contended) / 4
    )
    assert all(one["involuntary_switches"] > 0 for one in contended)
    assert all(one["kvm_preemption_reported"] > 0 for one in contended)
    assert [task["affinities"] for task in document["affinities"]] == [["0-1"]] * 4


def test_expectation_that_cannot_hold_fails_in_check_and_in_run(
    quickstart: tuple[Done, Path], tmp_path: Path
) -> None:
    impossible = tmp_path / "impossible.yaml"
    text = QUICKSTART.read_text()
    impossible.write_text(
        text.replace("{phase: contended, min: 40%, max: 60%}", "{phase: contended, max: 5%}")
    )
    checked = call("check", quickstart[1], "--expect", impossible)
    assert checked.status == 1, checked.out + checked.err
    # Half of the time is far from 5 %, so that short windows tell as well.
    short = tmp_path / "short.yaml"
    short.write_text(impossible.read_text().replace("duration: 20s", "duration: 6s"))
    failed, recording = run_until_decided(short, tmp_path)
    assert failed.status == 1, failed.out + failed.err
    assert "FAILED" in failed.out
    assert call("check", recording).status == 1
