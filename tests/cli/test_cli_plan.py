# SPDX-License-Identifier: GPL-2.0-only
"""`lab plan` and `lab schema`: nothing is touched, nothing is asked."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cli.driving import ROOT, Driver, call

from lab.adapters.kvmprobe import KvmVerdict, refused_at_once
from lab.errors import ExitCode
from lab.run.records import read_boot_id
from lab.topology.schema import topology_schema

SHIPPED = sorted((ROOT / "topologies").glob("*.yaml"))
BAD = sorted((ROOT / "tests/data/bad").glob("*.yaml"))
NESTED = ("--host", "nested")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_topology_can_be_planned(lab: Driver, path: Path) -> None:
    done = lab("plan", path, *NESTED)
    assert done.code == ExitCode.PASSED
    assert f"lab {path.stem} on nested" in done.out
    assert "predicted steal" in done.out
    assert "was not asked" in done.out


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_json_has_what_programs_rely_on(lab: Driver, path: Path) -> None:
    plan = json.loads(lab("plan", path, "--json", *NESTED).out)
    assert plan["name"] == path.stem
    assert plan["overcommit"] >= 1
    assert plan["artifacts"]
    for node in plan["nodes"]:
        for vcpu in node["vcpus"]:
            assert set(vcpu) >= {"vcpu", "pcpus", "predicted_steal_pct"}
            assert all(isinstance(pcpu, int) for pcpu in vcpu["pcpus"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_xml_is_one_document_with_every_domain(lab: Driver, path: Path) -> None:
    nodes = json.loads(lab("plan", path, "--json", *NESTED).out)["nodes"]
    root = ElementTree.fromstring(lab("plan", path, "--xml", *NESTED).out)
    assert [domain.findtext("name") for domain in root.findall("domain")] == [
        node["domain"] for node in nodes
    ]
    assert len(root.findall("network")) == 1


def test_planning_touches_nothing(lab: Driver, tmp_path: Path) -> None:
    for form in ((), ("--json",), ("--xml",)):
        assert lab("plan", SHIPPED[0], *form).code == ExitCode.PASSED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_malformed_topology_is_told_with_its_line(lab: Driver, path: Path) -> None:
    done = lab("plan", path)
    assert done.code == ExitCode.BAD_INPUT
    assert done.out == ""
    head, *problems, hint = done.err.splitlines()
    assert head.startswith(f"lab: error: {len(problems)} problem")
    assert problems
    for problem in problems:
        assert re.match(re.escape(str(path)) + r":\d+: [^ ]+: .", problem)
    assert hint.startswith("lab: hint: ")
    assert "Traceback" not in done.err


def test_a_malformed_topology_ends_the_real_command_too() -> None:
    done = call("plan", BAD[0])
    assert done.code == ExitCode.BAD_INPUT
    assert str(BAD[0]) in done.err


def test_patches_that_do_not_exist_are_told_before_anything_starts(lab: Driver, tmp_path: Path) -> None:
    text = (ROOT / "topologies/quickstart.yaml").read_text().replace("[paravirt-cpus]", "[no-such-series]")
    (tmp_path / "t.yaml").write_text(text)
    for verb in ("plan", "up", "run", "prepare"):
        done = lab(verb, tmp_path / "t.yaml")
        assert done.code == ExitCode.BAD_INPUT
        assert "no-such-series" in done.err


@pytest.mark.parametrize("verb", ["plan", "up", "run"])
@pytest.mark.parametrize("where", ["elsewhere", "ssh://", ""])
def test_a_host_that_cannot_be_is_bad_input(lab: Driver, verb: str, where: str) -> None:
    done = lab(verb, SHIPPED[0], "--host", where)
    assert done.code == ExitCode.BAD_INPUT
    assert "expected auto, local, nested or ssh://user@host" in done.err


def test_a_host_with_too_few_pcpus_is_unfit(lab: Driver, tmp_path: Path) -> None:
    text = (ROOT / "topologies/quickstart.yaml").read_text().replace("pcpus: 0-1", "pcpus: 8000-8001")
    (tmp_path / "t.yaml").write_text(text)
    assert lab("plan", tmp_path / "t.yaml", "--host", "nested").code == ExitCode.HOST_UNFIT
    # Nobody asked the remote host, so nobody knows better.
    assert lab("plan", tmp_path / "t.yaml", "--host", "ssh://user@host").code == ExitCode.PASSED


@pytest.mark.skipif(
    refused_at_once() is not None, reason="no /dev/kvm here: auto is decided without a verdict"
)
@pytest.mark.parametrize(("usable", "where"), [(True, "local"), (False, "nested")])
def test_auto_follows_what_is_known_about_kvm(lab: Driver, usable: bool, where: str, tmp_path: Path) -> None:
    text = (ROOT / "topologies/steal-pair.yaml").read_text()
    (tmp_path / "t.yaml").write_text(text)
    verdict = KvmVerdict(usable, "seen by a test", 1.0, f"{read_boot_id()} kernel")
    lab.state_dir.mkdir()
    (lab.state_dir / "kvm-probe.json").write_text(json.dumps(verdict.__dict__))
    plan = json.loads(lab("plan", tmp_path / "t.yaml", "--json").out)
    assert plan["host"]["where"] == where
    assert "seen by a test" in " ".join(plan["notes"])


def test_json_and_xml_exclude_each_other(lab: Driver) -> None:
    assert lab("plan", SHIPPED[0], "--json", "--xml").code == ExitCode.BAD_INPUT


def test_a_thousand_nodes_are_planned_quickly(tmp_path: Path) -> None:
    text = (ROOT / "topologies/steal-pair.yaml").read_text().replace("count: 2", "count: 1000")
    (tmp_path / "t.yaml").write_text(text)
    started = time.monotonic()
    done = call("plan", tmp_path / "t.yaml", "--json", env={"LAB_STATE_DIR": str(tmp_path / "s")})
    took_s = time.monotonic() - started
    assert len(json.loads(done.out)["nodes"]) == 1000
    assert took_s < 3, "the bound is 1 s on an idle machine"


def test_the_schema_is_the_models(lab: Driver) -> None:
    assert json.loads(lab("schema").out) == topology_schema()
