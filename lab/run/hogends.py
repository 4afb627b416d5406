# SPDX-License-Identifier: GPL-2.0-only
"""Where the hogs of a lab are known on its host, and their end, whoever started them."""

from __future__ import annotations

import shlex

from lab.run.ports import Host
from lab.run.records import LabRecord

HOG_TIMEOUT_S = 60


def hog_directory(remote_dir: str) -> str:
    """Below the lab's directory on its host. No hog can be started when it is gone (images/probe/pvspin.c)."""
    return f"{remote_dir}/hogs"


def end_hogs(host: Host, record: LabRecord) -> None:
    """End every hog of a lab, and let none start any more. Raises as Shell.run."""
    if record.hogs:
        words = [host.program("pvspin"), "end", "--load-dir", hog_directory(record.remote_dir)]
        host.shell.run(shlex.join(words), timeout_s=HOG_TIMEOUT_S)
