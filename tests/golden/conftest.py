# SPDX-License-Identifier: GPL-2.0-only
"""Golden files: what the shipped topologies are planned as, kept beside this file."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Seen only where pytest is pointed at this directory; elsewhere the option is not there, so off."""
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Call it with a path below `tests/golden/data` and the text that should stand there."""
    update = request.config.getoption("--update-golden", default=False)

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "data" / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.is_file():
            pytest.fail(f"no golden file {path}; look at what `pytest tests/golden --update-golden` writes")
        elif path.read_text() != text:
            pytest.fail(_difference(path, text), pytrace=False)

    return check


def _difference(path: Path, text: str) -> str:
    lines = difflib.unified_diff(
        path.read_text().splitlines(), text.splitlines(), str(path), "planned now", lineterm=""
    )
    return "\n".join(["the plan changed; if that is right: pytest tests/golden --update-golden", *lines])
