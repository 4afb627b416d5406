# SPDX-License-Identifier: GPL-2.0-only
"""`lab up` on a host that takes for ever, and whose ending waits for a file: DIRECTORY TOPOLOGY."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.cli.main import run

DIRECTORY = Path(sys.argv[1])


@contextmanager
def open_host(_where: str) -> Iterator[None]:
    (DIRECTORY / "opened").touch()
    try:
        time.sleep(60)
        yield
    finally:
        (DIRECTORY / "ending").touch()
        while not (DIRECTORY / "go-on").exists():
            time.sleep(0.02)
        (DIRECTORY / "closed").touch()


def make_wiring(*_args: object) -> Any:
    return SimpleNamespace(resolve_where=lambda where: where, open_host=open_host)


if __name__ == "__main__":
    run(["up", sys.argv[2], "--host", "local"], make_wiring)
