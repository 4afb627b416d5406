# SPDX-License-Identifier: GPL-2.0-only
"""`lab doctor`: what is found, what mends it, and whether labs can run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.driving import Driver

from lab.adapters.kvmprobe import KvmVerdict, refused_at_once
from lab.artifacts.builtonly import NotBuiltError
from lab.cli.checkup import State, check_reach, check_tools, closed_directory, nearest, qemu_is_root
from lab.errors import ExitCode, HostError
from lab.places import find_places

HAS_KVM = refused_at_once() is None


def _wiring(
    *, libvirt: Exception | None = None, verdict: KvmVerdict | None = None, parts: Any = None
) -> SimpleNamespace:
    def versions() -> tuple[str, str]:
        if libvirt is not None:
            raise libvirt
        return "9.0.0", "7.2.0"

    def kvm_verdict() -> KvmVerdict:
        if verdict is None:
            raise NotBuiltError("kernel k is not built yet")
        return verdict

    def host_vm_parts() -> Any:
        if parts is None:
            raise NotBuiltError("toolbox t is not built yet")
        return parts

    built = SimpleNamespace(kvm_verdict=kvm_verdict, host_vm_parts=host_vm_parts)
    status = SimpleNamespace(name="lab-host-1", running=False, saved=True)
    return SimpleNamespace(
        local_libvirt_versions=versions,
        only_built=lambda: built,
        kvm_verdict=kvm_verdict,
        host_vm=SimpleNamespace(status=lambda: status),
    )


def _findings(done_out: str) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(done_out)["findings"]}


@pytest.fixture(autouse=True)
def reachable(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest's directories are closed to others; what that means has tests of its own below."""
    monkeypatch.setenv("LAB_STATE_DIR", "/var/tmp/lab-doctor-test-that-is-not-there")
    monkeypatch.setenv("LAB_CACHE_DIR", "/var/tmp/lab-doctor-test-that-is-not-there")


def test_a_machine_without_libvirt_cannot_run_labs(lab: Driver) -> None:
    lab.wiring = _wiring(libvirt=HostError("libvirt at qemu:///system: cannot be reached: no socket"))
    done = lab("doctor", "--json")
    assert done.code == ExitCode.HOST_UNFIT
    assert json.loads(done.out)["ready"] is False
    libvirt = _findings(done.out)["libvirt"]
    assert libvirt["state"] == "problem"
    assert "no socket" in libvirt["text"]
    assert "libvirt" in libvirt["mend"]
    text = lab("doctor").out
    assert f"-> {libvirt['mend']}" in text
    assert "labs cannot run" in text


def test_what_is_not_built_is_no_problem(lab: Driver) -> None:
    lab.wiring = _wiring()
    done = lab("doctor", "--json")
    findings = _findings(done.out)
    assert findings["libvirt"]["state"] == "ok"
    parts = findings["host VM's parts"]
    assert parts["state"] == "note"
    assert parts["mend"].startswith("lab prepare ")
    others = [finding for finding in findings.values() if not finding["name"].startswith(("tools", "disk"))]
    assert all(finding["state"] != "problem" for finding in others)


@pytest.mark.skipif(not HAS_KVM, reason="no /dev/kvm here: there is nothing to probe")
@pytest.mark.parametrize(("usable", "where"), [(True, "local"), (False, "nested")])
def test_a_verdict_about_kvm_decides_auto(lab: Driver, usable: bool, where: str) -> None:
    lab.wiring = _wiring(verdict=KvmVerdict(usable, "because of a test", 2.0, "f"))
    document = json.loads(lab("doctor", "--json").out)
    assert (document["where"], document["reason"]) == (where, "because of a test")
    assert f"auto means {where}: because of a test" in lab("doctor").out


@pytest.mark.skipif(not HAS_KVM, reason="no /dev/kvm here: there is nothing to probe")
def test_kvm_is_probed_only_where_that_needs_no_building(lab: Driver) -> None:
    lab.wiring = _wiring()
    document = json.loads(lab("doctor", "--json").out)
    assert document["where"] is None
    kvm = {finding["name"]: finding for finding in document["findings"]}["kvm"]
    assert kvm["mend"] == "lab doctor --probe"


def test_missing_tools_are_named_with_their_packages(tmp_path: Path) -> None:
    assert check_tools().state is not State.NOTE
    finding = check_tools(str(tmp_path))
    assert finding.state is State.PROBLEM
    assert "ccache" in finding.text
    assert finding.mend is not None
    assert finding.mend.startswith("apt-get install ")
    assert "ccache" in finding.mend.split()


def test_a_directory_that_qemu_cannot_pass_is_a_problem(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    places = find_places({"LAB_STATE_DIR": str(closed / "state"), "LAB_CACHE_DIR": "/var/tmp"})
    cache, state = check_reach(places, tmp_path / "no-qemu.conf")
    assert cache.state is State.OK
    assert state.state is State.PROBLEM
    assert state.mend is not None
    assert state.mend.startswith("chmod o+x ")


def test_a_qemu_that_runs_as_root_passes_everywhere(tmp_path: Path) -> None:
    conf = tmp_path / "qemu.conf"
    conf.write_text('#user = "libvirt-qemu"\nuser = "root"\n')
    assert qemu_is_root(conf)
    conf.write_text('#user = "root"\n')
    assert not qemu_is_root(conf)


def test_the_way_to_a_directory_is_looked_at_from_the_outside(tmp_path: Path) -> None:
    inner = tmp_path / "a/b/c"
    assert nearest(inner) == tmp_path
    inner.mkdir(parents=True)
    (tmp_path / "a").chmod(0o700)
    (tmp_path / "a/b").chmod(0o700)
    found = closed_directory(inner)
    assert found is not None
    assert (tmp_path / "a").is_relative_to(found)
