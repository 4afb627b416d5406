# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong in a real lab ends with exit 4, with the lines that help, and with nothing left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from e2e_lab import ROOT, RealHost, call, calling

from lab.places import Places

DATA = Path(__file__).parent / "data"
ONE = DATA / "one.yaml"


def variant(tmp_path: Path, kernel: str) -> Path:
    """The smallest lab with something more said about its kernel."""
    path = tmp_path / "variant.yaml"
    text = ONE.read_text().replace(
        '    source: {debian: "6.12"}\n', f'    source: {{debian: "6.12"}}\n{kernel}'
    )
    path.write_text(text)
    return path


def assert_nothing_left(real_host: RealHost, places: Places) -> None:
    assert not {name for name in real_host.domains() if name.startswith("lab-")}
    assert not {name for name in real_host.networks() if name.startswith("lab-")}
    assert list((places.state_dir / "labs").glob("*")) == []


def test_patch_that_does_not_apply(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    patch = DATA / "patches/does-not-apply.patch"
    done = call("run", variant(tmp_path, f"    patches: [{patch}]\n"), "--record", tmp_path / "r")
    assert done.status == 4, done.err
    assert "does-not-apply.patch" in done.err
    assert "init/main.c" in done.err
    assert "nor is this one" in done.err
    assert "Traceback" not in done.err
    assert_nothing_left(real_host, places)


def test_kernel_that_does_not_build(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    patch = DATA / "patches/does-not-build.patch"
    done = call(
        "run", variant(tmp_path, f"    patches: [{patch}]\n"), "--record", tmp_path / "r", timeout_s=1200
    )
    assert done.status == 4, done.err
    assert "this kernel is not meant to build" in done.err
    assert "Traceback" not in done.err
    assert_nothing_left(real_host, places)


def test_guest_that_panics_in_boot(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    done = call(
        "run", variant(tmp_path, "    cmdline: rdinit=/no/such/program\n"), "--record", tmp_path / "r"
    )
    assert done.status == 4, done.err
    assert "Kernel panic" in done.err
    assert "guest" in done.err
    assert "lost 3 times while booting" in done.err
    assert "Traceback" not in done.err
    assert_nothing_left(real_host, places)


def test_interrupt_takes_down_what_was_made(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    with calling("run", ONE, "--record", tmp_path / "r", log=tmp_path / "log") as child:
        child.wait_told("phase alone")
        assert child.interrupt() == 130
        assert "Traceback" not in child.told()
    assert_nothing_left(real_host, places)


def test_guest_lost_while_measuring_is_run_again(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    short = tmp_path / "short.yaml"
    short.write_text(ONE.read_text().replace("60s", "8s"))
    recording = tmp_path / "r"
    with calling("run", short, "--record", recording, log=tmp_path / "log") as child:
        child.wait_told("phase alone")
        (domain,) = (name for name in real_host.domains() if name.startswith("lab-"))
        real_host.virsh("destroy", domain)
        child.wait_told("running again")
        assert child.process.wait(300) in (0, 5), child.told()
    assert (recording / "lost/1/events.jsonl").exists()
    assert '"kind": "retry"' in (recording / "events.jsonl").read_text()
    assert_nothing_left(real_host, places)


def test_host_vm_lost_while_measuring_is_restarted(
    tmp_path: Path, where: str, real_host: RealHost, places: Places
) -> None:
    if where != "nested":
        pytest.skip("labs run on this machine itself: there is no host VM to lose")
    short = tmp_path / "short.yaml"
    short.write_text(ONE.read_text().replace("60s", "8s"))
    recording = tmp_path / "r"
    with calling("run", short, "--record", recording, log=tmp_path / "log") as child:
        child.wait_told("phase alone")
        name = json.loads(call("host", "status", "--json").out)["name"]
        os.kill(int(Path(f"/run/libvirt/qemu/{name}.pid").read_text()), signal.SIGKILL)
        child.wait_told("running again")
        assert child.process.wait(300) in (0, 5), child.told()
    assert "host VM" in (recording / "events.jsonl").read_text()
    assert_nothing_left(real_host, places)


def test_unfit_host_is_exit_3() -> None:
    done = call("run", ROOT / "topologies/quickstart.yaml", "--host", "ssh://nobody@127.0.0.1:1")
    assert done.status == 3
    assert "Traceback" not in done.err
