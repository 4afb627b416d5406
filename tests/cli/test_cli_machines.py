# SPDX-License-Identifier: GPL-2.0-only
"""What `lab run` and `lab check` give to programs, also where there is no verdict."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cli.driving import ROOT, Driver, wiring_that_fails
from cli.recordings import TOPOLOGY, write_recording

from lab.errors import BuildFailed, ExitCode, GuestLost, HostError, LabError

QUICKSTART = ROOT / "topologies/quickstart.yaml"


def test_check_prints_ktap_and_nothing_else(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", write_recording(tmp_path / "r", TOPOLOGY.replace("max: 60%", "max: 45%")), "--ktap")
    assert done.code == ExitCode.FAILED
    lines = done.out.splitlines()
    assert lines[:3] == ["KTAP version 1", "# pair, lab cafe01 on local", "1..2"]
    assert "  not ok 1 one vcpu 0, contended # observed: " in done.out
    assert lines[-1].startswith("# Totals: pass:2 fail:2 ")


def test_two_formats_at_once_are_bad_input_before_anything_starts(lab: Driver) -> None:
    done = lab("run", QUICKSTART, "--json", "--ktap")
    assert (done.code, done.out) == (ExitCode.BAD_INPUT, "")
    assert "exclude each other" in done.err


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (BuildFailed("kernel mine: compiling failed:\na.c:1: error: x", "the log is l"), "lab failed"),
        (GuestLost("guest guest1 died; its console ends:\nOops"), "lab failed"),
        (HostError("no KVM"), "host unfit"),
    ],
)
def test_a_run_without_a_verdict_is_told_in_both_formats(
    lab: Driver, tmp_path: Path, error: LabError, how: str
) -> None:
    lab.wiring = wiring_that_fails(error)
    junit = tmp_path / "junit.xml"
    done = lab("run", QUICKSTART, "--host", "local", "--record", tmp_path / "d", "--ktap", "--junit", junit)
    first = error.message.splitlines()[0]
    assert done.code == error.exit_code
    assert done.out.splitlines()[-1] == f"not ok 1 quickstart # ERROR {how}: {first}"
    found = ElementTree.parse(junit).getroot().find("testsuite/testcase/error")
    assert found is not None
    assert (found.get("type"), found.get("message")) == (how, first)
    assert found.text is not None and found.text.startswith(error.message)


def test_an_interrupted_run_is_told_too(lab: Driver, tmp_path: Path) -> None:
    lab.wiring = wiring_that_fails(KeyboardInterrupt())
    done = lab("run", QUICKSTART, "--host", "local", "--record", tmp_path / "d", "--ktap")
    assert done.code == ExitCode.INTERRUPTED
    assert done.out.endswith("not ok 1 quickstart # ERROR interrupted: before there was a verdict\n")


def test_what_cannot_be_read_is_told_under_the_name_of_its_file(lab: Driver, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("version: 1\n")
    done = lab("run", tmp_path / "mine.yaml", "--ktap")
    assert done.code == ExitCode.BAD_INPUT
    assert "not ok 1 mine # ERROR bad input: " in done.out
    checked = lab("check", tmp_path, "--ktap", "--junit", tmp_path / "j.xml")
    assert checked.code == ExitCode.BAD_INPUT
    assert f"not ok 1 {tmp_path.name} # ERROR bad input: " in checked.out
    assert ElementTree.parse(tmp_path / "j.xml").getroot().find("testsuite/testcase/error") is not None
