# SPDX-License-Identifier: GPL-2.0-only
"""Loads of the catalogue in real guests: begun in lockstep, with figures, ended wholly, brought home."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_lab import call

from lab.recording import Recording

DATA = Path(__file__).parent / "data"
GUESTS = ["guest1", "guest2"]
#: Far above what is seen (some ms; figures tell), far below what an ssh for each would make of it.
SKEW_MS = 100.0

Results = dict[str, list[dict[str, Any]]]


def run(topology: Path, recording: Path) -> dict[str, Any]:
    """What `lab run --json` says. That the machine was disturbed is of no matter to what a load itself says."""
    done = call("run", topology, "--record", recording, "--json")
    assert done.status in (0, 5), done.out + done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def by_load(document: dict[str, Any]) -> Results:
    found: Results = {}
    for one in document["load_results"]:
        found.setdefault(one["load"], []).append(one)
    return found


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loads") / "recording"


@pytest.fixture(scope="module")
def document(recording: Path) -> dict[str, Any]:
    return run(DATA / "loads.yaml", recording)


@pytest.fixture(scope="module")
def results(document: dict[str, Any]) -> Results:
    return by_load(document)


@pytest.mark.parametrize(
    ("load", "phase", "metrics"),
    [
        ("hack", "messages", {"time", "messages"}),
        ("timer", "latency", {"p50", "p99", "max"}),
        ("echo", "latency", {"p50", "p99", "max", "lost"}),
        ("spinning", "spin", {"operations", "wait_p99", "wait_max", "hold_p50", "hold_p99", "hold_max"}),
        ("sleeping", "futex", {"operations", "wait_p99", "wait_max", "hold_p50", "hold_p99", "hold_max"}),
        ("in-kernel", "kernel", {"operations", "wait_p50", "wait_p99", "wait_max"}),
    ],
)
def test_figures_come_out_of_every_guest(
    results: Results, load: str, phase: str, metrics: set[str], figures: Callable[..., None]
) -> None:
    found = results[load]
    assert [(one["node"], one["phase"], one["status"]) for one in found] == [(n, phase, 0) for n in GUESTS]
    for one in found:
        assert metrics <= set(one["values"])
        assert all(value >= 0 for value in one["values"].values())
        figures(f"{load} on {one['node']}: {one['values']}")


def test_guests_begin_in_lockstep(results: Results, figures: Callable[..., None]) -> None:
    for load, found in results.items():
        begins = [one["begin_ns"] for one in found]
        skew_ms = (max(begins) - min(begins)) / 1e6
        figures(f"{load}: begun within {skew_ms:.1f} ms")
        assert skew_ms < SKEW_MS


def test_windows_are_as_long_as_what_they_wait_for(document: dict[str, Any], results: Results) -> None:
    windows = {one["phase"]: one for one in document["phases"]}
    for load in ("hack", "spinning", "sleeping", "in-kernel"):
        window = windows[results[load][0]["phase"]]
        begin = min(one["begin_ns"] for one in results[load])
        end = max(one["end_ns"] for one in results[load])
        assert abs(begin - window["start_ns"]) < 0.5e9
        assert 0 <= window["end_ns"] - end + 20e6 < 2e9  # the clocks match within some ms
    deadline = windows["deadline"]
    assert 2e9 <= deadline["end_ns"] - deadline["start_ns"] < 4e9


def test_what_does_not_end_in_time_is_stopped_and_doubted(results: Results) -> None:
    for one in results["late"]:
        assert any("did not finish: it was stopped after" in doubt for doubt in one["doubts"])


def test_what_left_its_session_is_ended_with_the_load(results: Results) -> None:
    """It ran through the first phase only: stopping it waits until nothing of it is left."""
    for one in results["tree"]:
        assert (one["phase"], one["status"], one["doubts"]) == ("messages", 143, [])


def test_output_is_in_the_recording_and_is_judged_alike_offline(
    recording: Path, document: dict[str, Any]
) -> None:
    for node in GUESTS:
        outputs = {one.load: one for one in Recording(recording).load_outputs(node)}
        assert set(outputs) == set(by_load(document))
        assert b"\nTime: " in outputs["hack"].output and outputs["tree"].output == b"planted\n"
    again = call("check", recording, "--json")
    assert json.loads(again.out)["load_results"] == document["load_results"]


def test_the_table_tells_figures_and_skew(recording: Path) -> None:
    told = call("check", recording).out
    assert "hack ran for" in told and "begun within" in told
    assert "ended with status" not in told


@pytest.mark.long
def test_loads_with_an_image_of_their_own(tmp_path: Path, figures: Callable[..., None]) -> None:
    document = run(DATA / "loads-more.yaml", tmp_path / "recording")
    found = by_load(document)
    assert set(found) == {"prime", "stress", "switch"}
    for load, (one,) in found.items():
        assert (one["node"], one["status"], one["doubts"]) == ("more", 0, [])
        assert all(value > 0 for value in one["values"].values()) and one["values"]
        figures(f"{load}: {one['values']}")


def test_a_program_that_the_image_lacks_is_told(tmp_path: Path) -> None:
    text = (DATA / "loads.yaml").read_text()
    topology = tmp_path / "lacking.yaml"
    topology.write_text(
        text.replace("command: sh -c", "command: no-such-program sh -c").replace(
            "name: loads-e2e", "name: lacking"
        )
    )
    done = call("run", topology, "--record", tmp_path / "recording")
    assert done.status == 4
    assert (
        "load tree on guest" in done.err
        and "no program 'no-such-program' in the root image guest" in done.err
    )
