# SPDX-License-Identifier: GPL-2.0-only
"""How the guest's init reads the kernel's command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def parse(built: Path, cmdline: str) -> tuple[int, str]:
    done = subprocess.run([built / "test_init", cmdline], capture_output=True, text=True, timeout=10)
    return done.returncode, done.stdout


def test_everything_said(built: Path) -> None:
    words = "lab.name=guest1 lab.ip=10.77.3.4/22 lab.interval_ms=10 lab.role=host lab.root=/dev/vdb"
    words += " lab.watch=/sys/a,/sys/b"
    code, said = parse(built, f"console=hvc0 quiet {words} panic=-1\n")
    assert code == 0
    assert dict(line.split(" ", 1) for line in said.splitlines()) == {
        "name": "guest1",
        "ip": "10.77.3.4/22",
        "address": "0a4d0304",
        "netmask": "fffffc00",
        "interval_ms": "10",
        "role": "host",
        "root": "/dev/vdb",
        "watch": "/sys/a,/sys/b",
    }


def test_defaults(built: Path) -> None:
    code, said = parse(built, "quiet")
    assert code == 0
    assert "name guest\nip \naddress 00000000" in said
    assert "interval_ms 100\nrole guest\nroot /dev/vda\nwatch \n" in said


@pytest.mark.parametrize(
    "word",
    [
        "lab.ip=10.0.0.1",
        "lab.ip=10.0.0.1/33",
        "lab.ip=10.0.0.1/0",
        "lab.ip=10.0.0.1/-8",
        "lab.ip=10.0.0/24",
        "lab.ip=",
        "lab.interval_ms=ten",
        "lab.role=spectator",
        "lab.root=vda",
        "lab.watch=sys/a",
        "lab.watch=",
        "lab.name=",
        "lab.name=" + "x" * 64,
        "lab.naem=guest1",
    ],
)
def test_a_wrong_word_is_named(built: Path, word: str) -> None:
    assert parse(built, f"quiet {word} console=hvc0") == (1, f"wrong {word}\n")


def test_init_refuses_to_be_anything_but_process_1(built: Path) -> None:
    done = subprocess.run([built / "init"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "process 1" in done.stderr
