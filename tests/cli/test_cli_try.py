# SPDX-License-Identifier: GPL-2.0-only
"""`lab try` on a host in memory: real mails, a real b4, a small tree, and guests that are imagined."""

from __future__ import annotations

import email
import email.policy
import json
import re
from pathlib import Path

import pytest
from cli.driving import ROOT, Driver
from cli.test_cli_run import FakeWiring
from fakes import RecordedProgress
from fakeworld import MASK, FakeWorld, make_facts

from lab.adapters.commands import ProcessCommands
from lab.artifacts.cache import Cache
from lab.artifacts.workshop import Workshop
from lab.errors import ExitCode
from lab.recording import Recording
from lab.topology.decode import read_topology

BOXES = ROOT / "tests/data/mbox"
TOPOLOGY = """\
version: 1
name: fold
description: Folded where it can be
host: {where: nested, pcpus: 0-1}
kernels:
  mine: {source: {tree: linux}}
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
phases:
  - {name: contended, start: [busy], duration: 5s, settle: 200ms}
  - name: folded
    duration: 5s
    settle: 200ms
    set:
      - {nodes: guest1, knob: avoid_cpus, value: "1"}
      - {nodes: guest2, knob: avoid_cpus, value: "0"}
measure: {disagreement: 10%}
expect:
  - steal: {phase: contended, min: 30%, max: 70%}
  - steal: {phase: folded, max: 20%}
"""


class PatchedWorld(FakeWorld):
    """Only the patched kernel has the mask."""

    def start_guest(self, xml: str) -> None:
        super().start_guest(xml)
        if "-patched" not in xml:
            for name, guest in self.guests.items():
                if f"<name>{name}</name>" in xml:
                    guest.knobs = {knob: value for knob, value in guest.knobs.items() if knob != MASK}


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> FakeWiring:
    fake = FakeWiring(tmp_path, lab.state_dir)
    fake.world = PatchedWorld(make_facts())
    cache = Cache(tmp_path / "cache", RecordedProgress())
    fake.workshop = Workshop(cache, ProcessCommands(), RecordedProgress(), ROOT / "images")  # type: ignore[attr-defined]
    lab.wiring = fake
    return fake


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    """A topology beside a tree to which the series in BOXES apply."""
    (tmp_path / "linux/kernel").mkdir(parents=True)
    (tmp_path / "linux/Kconfig").write_text('source "init/Kconfig"\n')
    (tmp_path / "linux/kernel/file.c").write_text("".join(f"line {number}\n" for number in range(1, 31)))
    path = tmp_path / "fold.yaml"
    path.write_text(TOPOLOGY)
    return path


def test_a_series_is_tried_and_a_reply_drafted(
    lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "rec"
    done = lab("try", BOXES / "versions.mbox", topology, "--repeats", 4, "--record", recording)
    assert done.code == ExitCode.PASSED, done.out + done.err
    draft = email.message_from_string(done.out, policy=email.policy.default)
    assert draft["Subject"] == "Re: [PATCH v2 0/3] sched: Better lines, for a third time"
    assert draft["In-Reply-To"] == draft["References"] == "<v2-0@kernel.invalid>"
    assert draft["To"] == "Sched Hacker <hacker@kernel.invalid>"
    assert draft["Cc"].startswith("linux-list@lists.invalid, Guest Person <guest@example.invalid>")
    assert (draft["From"], draft["Date"]) == (None, None)
    body = draft.get_content()
    assert all(len(line) <= 75 and line.isascii() for line in body.splitlines())
    assert "improved: " in body and "folded/steal" in body
    assert "2 arms x 4 repeats, order abba; baseline: base" in body
    assert re.search(r"base: tree linux$", body, re.MULTILINE)
    assert "lab try v2-0@kernel.invalid fold.yaml --repeats 4" in body
    assert "note: versions v1, v2 are there: the latest, v2, is taken" in body
    assert "off in the patched kernel: CONFIG_BETTER;" in body
    assert "note: skipped where the kernel does not have it: avoid_cpus" in body
    assert not re.search(r"^\S+-by:", body, re.MULTILINE | re.IGNORECASE)
    assert str(tmp_path) not in body

    kept = read_topology(recording / "topology.yaml")
    assert kept.kernels["mine-patched"].patches == ("./series",)
    assert len((recording / "series/series").read_text().split()) == 3
    assert json.loads((recording / "try.json").read_text())["version"] == 2
    skipped = {one.data["node"] for one in Recording(recording).events() if one.kind == "knob-skipped"}
    assert skipped == {"guest1", "guest2"}
    assert lab("check", recording).code == ExitCode.PASSED
    assert wiring.world.guests == {}


def test_a_draft_in_a_file_leaves_tables_on_stdout(
    lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.eml"
    words = ("try", BOXES / "single.mbox", topology, "--repeats", 3, "--reply", draft)
    done = lab(*words, "--record", tmp_path / "rec")
    assert done.code in (ExitCode.PASSED, ExitCode.UNDECIDED), done.err
    assert "Subject: Re: [RFC PATCH sched/core] sched: Change line 5" in draft.read_text()
    assert f"recording: {tmp_path / 'rec'}" in done.out
    assert "Subject:" not in done.out
    assert "yours to add" in done.err
    assert "base-commit 0123456789ab not honoured" in draft.read_text().replace("\n    ", " ")
    again = lab(*words)
    assert (again.code, "exists already" in again.err) == (ExitCode.BAD_INPUT, True)


def test_what_a_program_reads(lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path) -> None:
    done = lab("try", BOXES / "single.mbox", topology, "--repeats", 3, "--record", tmp_path / "rec", "--json")
    document = json.loads(done.out)
    assert document["comparison"]["baseline"] == "base"
    assert document["try"]["patches"] == ["1/1 sched: Change line 5"]
    assert document["try"]["message_id"] == "one@kernel.invalid"
    assert document["try"]["outcome"] in ("passed", "undecided")


def test_a_lost_run_keeps_its_series(lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path) -> None:
    wiring.losses = 1
    done = lab("try", BOXES / "single.mbox", topology, "--repeats", 3, "--record", tmp_path / "rec")
    assert done.code in (ExitCode.PASSED, ExitCode.UNDECIDED), done.err
    assert "! retried" in done.out
    assert (tmp_path / "rec/series/series").is_file()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path
) -> None:
    done = lab("try", BOXES / "versions.mbox", topology, "--config", "BETTER=y", "--aa", "--dry-run")
    assert done.code == ExitCode.PASSED, done.err
    lines = done.out.splitlines()
    assert lines[0] == "series: [PATCH v2 0/3] sched: Better lines, for a third time <v2-0@kernel.invalid>"
    assert lines[1] == "  1/3 sched: Change line 5: applies"
    assert "base: tree linux" in lines
    assert "  mine-patched: to be built" in lines
    assert any("36 windows and settling" in line for line in lines)
    assert "off in the patched kernel" not in done.out
    assert wiring.opened == []
    document = json.loads(lab("try", BOXES / "versions.mbox", topology, "--dry-run", "--json").out)
    assert [one["name"] for one in document["kernels"]] == ["mine", "mine-patched"]
    assert document["run_s"] > 60


def test_a_source_that_is_not_here_leaves_open_whether_a_series_applies(
    lab: Driver, wiring: FakeWiring
) -> None:
    done = lab("try", BOXES / "single.mbox", "--dry-run")
    assert done.code == ExitCode.PASSED, done.err
    assert "1/1 sched: Change line 5: (whether it applies is not known)" in done.out
    assert "base: debian 6.12, not fetched yet" in done.out


def test_what_does_not_apply_ends_before_any_host_is_asked(
    lab: Driver, wiring: FakeWiring, topology: Path, tmp_path: Path
) -> None:
    done = lab("try", BOXES / "reject.mbox", topology, "--record", tmp_path / "rec")
    assert done.code == ExitCode.LAB_FAILED
    assert "patch 2/2 sched: Change line 20 does not apply" in done.err
    assert "kernel/file.c: hunk 1 does not apply at line 19" in done.err
    assert (wiring.opened, (tmp_path / "rec").exists()) == ([], False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["absent.mbox"], "no such file or directory"),
        ([BOXES / "single.mbox", ROOT / "topologies/matrix-small.yaml"], "has arms already"),
        ([BOXES / "single.mbox", "--kernel", "nonsense"], "is no kernel tree or tarball"),
        ([BOXES / "single.mbox", "--config", "nonsense"], "neither a file nor SYMBOL=VALUE"),
        ([BOXES / "single.mbox", "--repeats", "0"], "Invalid value"),
        ([BOXES / "single.mbox", "--host", "moon"], "expected auto, local, nested"),
    ],
)
def test_bad_input_is_one_message(
    lab: Driver, wiring: FakeWiring, words: list[str | Path], told: str
) -> None:
    done = lab("try", *words)
    assert done.code == ExitCode.BAD_INPUT
    assert told in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("kernel", "base"),
    [
        ("debian:6.12", {"debian": "6.12"}),
        ("6.1", {"debian": "6.1"}),
        ("mine", {"tree": "{tmp}/linux"}),
        ("{tmp}/linux", {"tree": "{tmp}/linux"}),
        ("{tmp}/linux@v6.12", {"tree": "{tmp}/linux", "ref": "v6.12"}),
        ("{tmp}/fold.yaml", {"tarball": "{tmp}/fold.yaml"}),
        ("paravirt-cpus", {"debian": "6.12"}),
    ],
)
def test_a_base_is_named_in_many_ways(
    topology: Path, tmp_path: Path, kernel: str, base: dict[str, str]
) -> None:
    from lab.cli.trybase import read_base

    found = read_base(read_topology(topology), kernel.format(tmp=tmp_path), ("paravirt-cpus",))
    assert found["source"] == {key: value.format(tmp=tmp_path) for key, value in base.items()}
