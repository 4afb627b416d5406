# SPDX-License-Identifier: GPL-2.0-only
"""The programs of images/probe, compiled here and run natively."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from probing import HostProbe, start_host_probe

ROOT = Path(__file__).parents[3]


def make(directory: Path, out: Path, *goals: str) -> Path:
    subprocess.run(
        ["make", "-C", str(directory), f"OUT={out}", *goals],
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    return out


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pvprobe, pvspin, test_init and fake_emulator are."""
    out = tmp_path_factory.mktemp("built")
    make(ROOT / "images/probe", out, "all")
    make(ROOT / "images/guest/init", out, "all", "test")
    source = Path(__file__).with_name("fake_emulator.c")
    command = ["cc", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run([*command, "-o", str(out / "fake_emulator"), str(source)], check=True, timeout=60)
    return out


@pytest.fixture(scope="session")
def pvprobe(built: Path) -> Path:
    return built / "pvprobe"


@pytest.fixture(scope="session")
def pvspin(built: Path) -> Path:
    return built / "pvspin"


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that are ended when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(*command: str | Path) -> subprocess.Popen[str]:
        started.append(subprocess.Popen([str(word) for word in command], text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@pytest.fixture
def host_probe(pvprobe: Path, tmp_path: Path) -> Iterator[HostProbe]:
    """A host probe that samples every 20 ms into tmp_path/host.stream."""
    with start_host_probe(pvprobe, tmp_path / "host.stream", interval_ms=20) as probe:
        yield probe
