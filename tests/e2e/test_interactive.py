# SPDX-License-Identifier: GPL-2.0-only
"""A lab in the hands of a user: up, status, exec, ssh, knob, load, down; and two labs at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e_lab import ROOT, Done, RealHost, call, lost_guests_decide_nothing

QUICKSTART = ROOT / "topologies/quickstart.yaml"
MASK = "/sys/devices/system/cpu/paravirt"


def test_a_lab_by_hand(real_host: RealHost) -> None:
    up = call("up", QUICKSTART)
    assert up.status == 0, up.err
    try:
        with lost_guests_decide_nothing(real_host):
            use_by_hand()
    finally:
        down = call("down")
    assert down.status == 0, down.err
    assert not {name for name in real_host.domains() if name.startswith("lab-")}


def use_by_hand() -> None:
    """Each verb for a lab that runs."""
    status = json.loads(call("status", "--json").out)
    assert "quickstart" in json.dumps(status)
    assert call("exec", "guest1", "--", "nproc").out.strip() == "2"
    assert call("exec", "guest1", "--", "sh", "-c", "exit 7").status == 7
    assert call("ssh", "guest2", "--", "hostname").out.strip() == "guest2"

    assert call("knob", "set", "guest1", "avoid_cpus", "1").status == 0
    assert call("exec", "guest1", "--", "cat", MASK).out.strip() == "1"
    assert call("knob", "get", "guest1", "avoid_cpus").out.strip() == "1"
    refused = call("knob", "set", "guest1", "avoid_cpus", "0-1")
    assert refused.status in (2, 4)
    assert call("exec", "guest1", "--", "cat", MASK).out.strip() == "1"

    assert call("load", "start", "busy").status == 0
    assert "pvspin" in call("exec", "guest1", "--", "sh", "-c", "cat /proc/[0-9]*/comm").out
    assert call("load", "stop", "busy").status == 0

    taken = call("up", QUICKSTART)
    assert taken.status == 4
    assert "leased" in taken.err


def test_two_labs_at_once_do_not_collide(tmp_path: Path, real_host: RealHost) -> None:
    def run(pcpu: int) -> Done:
        topology = tmp_path / f"pair{pcpu}.yaml"
        text = (ROOT / "topologies/steal-pair.yaml").read_text()
        topology.write_text(text.replace('pcpus: "0"', f'pcpus: "{pcpu}"').replace('["0"]', f'["{pcpu}"]'))
        return call("run", topology, "--record", tmp_path / f"r{pcpu}")

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, (0, 1)))
    # Whether both are quiet enough to be judged is another question: both must have run to their end.
    assert {done.status for done in ended} <= {0, 5}, [done.err for done in ended]
    assert not {name for name in real_host.domains() if name.startswith("lab-")}
