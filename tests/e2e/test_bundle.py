# SPDX-License-Identifier: GPL-2.0-only
"""A bundle of the suite's quickstart run, run again: on this machine, with empty caches, with another kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_lab import DECIDING_RUNS, RUN_TIMEOUT_S, Done, RealHost, call

from lab.errors import UndecidedError
from lab.recording import Recording

#: Two kernels, an emulator and two images, from nothing but sources and packages, on two cores.
COLD_TIMEOUT_S = 2 * 3600
UNPATCHED = "6.12"


@pytest.fixture(scope="module")
def file(quickstart: tuple[Done, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle."""
    done, recording = quickstart
    assert done.status == 0, done.out + done.err
    target = tmp_path_factory.mktemp("bundle") / "quickstart.tar.zst"
    bundled = call("bundle", recording, "-o", target)
    assert bundled.status == 0, bundled.err
    return target


def repro_until_decided(
    file: Path,
    directory: Path,
    *options: str,
    env: dict[str, str] | None = None,
    timeout_s: float = RUN_TIMEOUT_S,
) -> tuple[dict[str, Any], Path]:
    """`lab repro --json`, again while the host was too disturbed to say anything; what it told, and its recording.

    Raises UndecidedError where no run has decided anything.
    """
    for attempt in range(1, DECIDING_RUNS + 1):
        recording = directory / f"recording-{attempt}"
        done = call("repro", file, "--record", recording, "--json", *options, env=env, timeout_s=timeout_s)
        if done.status != 5:
            assert done.status == 0, done.out + done.err
            return json.loads(done.out), recording
    raise UndecidedError(f"lab repro: {DECIDING_RUNS} runs undecided\n{done.out}{done.err}")


def assert_reproduced(told: dict[str, Any], quickstart: tuple[Done, Path]) -> None:
    theirs = json.loads(quickstart[0].out)["verdicts"]
    assert told["reproduced"] == "yes", told["verdicts"]
    assert [(one["expectation"], one["subject"]) for one in told["verdicts"]] == [
        (one["expectation"], one["subject"]) for one in theirs
    ]
    assert all(one["here"][0]["outcome"] == "passed" for one in told["verdicts"])


def test_a_bundle_replays_and_comes_to_the_same_verdicts(
    file: Path,
    quickstart: tuple[Done, Path],
    real_host: RealHost,
    tmp_path: Path,
    figures: Callable[..., None],
) -> None:
    told, recording = repro_until_decided(file, tmp_path)
    assert_reproduced(told, quickstart)
    steal = [
        one for one in told["figures"] if one["what"].endswith(", guest") and one["phase"] == "contended"
    ]
    assert len(steal) == 4
    for one in steal:
        figures(f"{one['what']}: reporter {one['reporter']:.1f} %, here {one['mean']:.1f} %")
    mine, theirs = (Recording(path).plan() for path in (recording, quickstart[1]))
    assert [node.vcpus for node in mine.nodes] == [node.vcpus for node in theirs.nodes]
    same_host = [
        one for one in told["differences"] if one["what"] in ("host kernel", "QEMU", "libvirt", "pCPUs")
    ]
    assert same_host
    assert not any(one["differs"] for one in same_host)
    kernels = [one for one in told["differences"] if one["what"] == "hash of kernel paravirt"]
    assert [one["differs"] for one in kernels] == [False]
    assert not [name for name in real_host.domains() if name.startswith("lab-")]


def test_a_dry_run_tells_what_is_built_and_starts_nothing(file: Path, where: str) -> None:
    done = call("repro", file, "--dry-run", "--json")
    assert done.status == 0, done.out + done.err
    told = json.loads(done.out)
    assert (told["fits"], told["where"], told["host_effects"]) == (True, where, [])
    assert all(one["built"] for one in told["builds"]), told["builds"]


@pytest.mark.long
def test_an_unpatched_kernel_skips_what_is_expected_of_folding(
    file: Path, tmp_path: Path, figures: Callable[..., None]
) -> None:
    told, recording = repro_until_decided(file, tmp_path, "--kernel", UNPATCHED)
    assert told["kernels"] == {"paravirt": f"swapped: Debian's linux-source-{UNPATCHED}, without patches"}
    assert told["reproduced"] == "undecided"
    by_phase = {
        phase: [one for one in told["verdicts"] if one["phase"] == phase] for phase in ("contended", "folded")
    }
    assert by_phase["folded"]
    for one in by_phase["folded"]:
        assert one["here"][0]["outcome"] == "skipped"
        assert "avoid_cpus" in one["here"][0]["reason"]
        assert "/sys/devices/system/cpu/paravirt" in one["here"][0]["reason"]
    steal = [one for one in by_phase["contended"] if one["expectation"].startswith("steal of every vCPU")]
    assert steal
    assert all(one["here"][0]["outcome"] == "passed" for one in steal)
    figures(*told["lacking"])
    (kernel,) = Recording(recording).plan().kernels
    assert kernel.patches == ()


@pytest.mark.long
def test_a_bundle_replays_with_empty_caches(
    file: Path, quickstart: tuple[Done, Path], tmp_path: Path, figures: Callable[..., None]
) -> None:
    """Everything is built from the bundle's inputs, by a lab that knows nothing of the one that made it."""
    env = {"LAB_CACHE_DIR": str(tmp_path / "cache"), "LAB_STATE_DIR": str(tmp_path / "state")}
    for directory in (tmp_path, *tmp_path.parents):  # the emulator's own user has to pass through
        if directory.stat().st_uid == os.geteuid() and not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
    try:
        dry = json.loads(call("repro", file, "--dry-run", "--json", env=env).out)
        assert not any(one["built"] for one in dry["builds"])
        told, _ = repro_until_decided(file, tmp_path, env=env, timeout_s=COLD_TIMEOUT_S)
        assert_reproduced(told, quickstart)
        kernel = next(one for one in told["differences"] if one["what"] == "hash of kernel paravirt")
        figures(f"kernel there {kernel['there']}, here {kernel['here']}")
    finally:
        call("host", "down", env=env)
