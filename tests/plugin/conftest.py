# SPDX-License-Identifier: GPL-2.0-only
"""A directory in which pytester runs tests as a user would write them, on fake worlds."""

from __future__ import annotations

from collections.abc import Callable

# Imported here, these modules outlive each pytester run, which forgets what was imported during it: extension
# modules (yaml's) do not stand a second import.
import plugin.faking
import pytest

import lab.wiring

assert plugin.faking and lab.wiring


TOPOLOGY = """\
version: 1
name: pair
host: {pcpus: 0-1}
kernels: {plain: {source: {debian: "6.12"}}}
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
phases: [{name: unused, start: [busy], duration: 5s}]
"""
CONFTEST = """\
from pathlib import Path
import pytest
from plugin.faking import FakeOpener

@pytest.fixture(scope="session")
def opener(tmp_path_factory):
    return FakeOpener(tmp_path_factory.mktemp("opener"))

@pytest.fixture(scope="session")
def lab_opener(opener):
    yield opener
    Path("open_labs.txt").write_text(str(opener.open_labs))
    Path("opened.txt").write_text(str(len(opener.worlds)))
"""
HEAD = 'import pytest\npytestmark = pytest.mark.lab("pair.yaml")\n'


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run the test functions of a text; they are all marked with the topology `pair.yaml`."""
    pytester.makefile(".yaml", pair=TOPOLOGY)
    pytester.makeconftest(CONFTEST)

    def run_text(text: str, *options: str, head: str = HEAD) -> pytest.RunResult:
        pytester.makepyfile(test_user=head + text)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options)

    return run_text
