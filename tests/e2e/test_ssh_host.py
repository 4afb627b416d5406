# SPDX-License-Identifier: GPL-2.0-only
"""`ssh://`: the host VM as just another machine behind ssh, with the user's own ssh configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_lab import ROOT, RealHost, call, run_until_decided

from lab.places import Places


def test_runs_on_a_host_behind_ssh(tmp_path: Path, where: str, real_host: RealHost, places: Places) -> None:
    if where != "nested":
        pytest.skip("labs run on this machine itself: there is no host VM to reach over ssh")
    config = str(places.state_dir / "host/ssh_config")
    done, _ = run_until_decided(
        *(ROOT / "topologies/steal-pair.yaml", tmp_path, "--host", "ssh://lab-host"),
        env={"LAB_SSH_CONFIG": config},
    )
    assert done.status == 0, done.out + done.err
    assert not {name for name in real_host.domains() if name.startswith("lab-")}


def test_host_whose_key_is_not_known_is_refused(tmp_path: Path, real_host: RealHost, places: Places) -> None:
    text = (
        (places.state_dir / "host/ssh_config").read_text()
        if (places.state_dir / "host/ssh_config").exists()
        else ""
    )
    if not text:
        pytest.skip("labs run on this machine itself: there is no host VM to reach over ssh")
    empty = tmp_path / "known_hosts"
    empty.touch()
    config = tmp_path / "ssh_config"
    lines = [
        f"  UserKnownHostsFile {empty}" if "UserKnownHostsFile" in line else line
        for line in text.splitlines()
    ]
    config.write_text("\n".join(lines) + "\n")
    done = call(
        *("run", ROOT / "topologies/steal-pair.yaml", "--host", "ssh://lab-host"),
        env={"LAB_SSH_CONFIG": str(config)},
    )
    assert done.status == 3, done.err
    assert "known_hosts" in done.err
