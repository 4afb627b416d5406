# SPDX-License-Identifier: GPL-2.0-only
"""End-to-end tests: the real command, real libvirt, real KVM guests.

They use the machine's own cache and state directories, so that kernels, images and the host VM are those that
`lab prepare` made and every other lab uses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_lab import ROOT, Done, RealHost, call, run_until_decided

from lab.places import Places, find_places

_FIGURES = pytest.StashKey[list[tuple[str, str]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What tests measured without judging it, or besides: a passed test's output is not shown."""
    told = config.stash.get(_FIGURES, [])
    if not told:
        return
    terminalreporter.section("figures")
    for test in dict(told):
        terminalreporter.write_line(test)
        for line in (line for of, line in told if of == test):
            terminalreporter.write_line(f"  {line}")


@pytest.fixture
def figures(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Say lines about what was measured: they stand at the end of pytest's output and in the JUnit file."""
    kept = request.config.stash.setdefault(_FIGURES, [])

    def say(*lines: str) -> None:
        for line in lines:
            kept.append((request.node.name, line))
            record_property("figure", line)

    return say


@pytest.fixture(scope="session")
def places() -> Places:
    """The directories that `lab` uses."""
    return find_places(os.environ)


@pytest.fixture(scope="session")
def where() -> str:
    """The host that `auto` means on this machine."""
    done = call("doctor", "--probe", "--json")
    assert done.status == 0, done.out + done.err
    return str(json.loads(done.out)["where"])


@pytest.fixture(scope="session")
def real_host(where: str, places: Places) -> RealHost:
    """The host, up."""
    if where == "local":
        return RealHost(("/bin/sh", "-c"))
    up = call("host", "up")
    assert up.status == 0, up.err
    return RealHost(("ssh", "-F", str(places.state_dir / "host" / "ssh_config"), "lab-host"))


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Path]:
    """A run of the quickstart topology (with --json) and its recording."""
    directory = tmp_path_factory.mktemp("quickstart")
    return run_until_decided(ROOT / "topologies/quickstart.yaml", directory, "--json")
